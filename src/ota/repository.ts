import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { SightdError } from '../core/errors.ts'
import { makeFolderDurably, removeDurably, writeFileAtomic } from '../lib/atomic-file.ts'
import { describeDiskError, errorCode } from '../lib/disk-error.ts'
import {
  documentOf,
  type RootDocument,
  type SnapshotDocument,
  type TargetsDocument,
  type TimestampDocument,
} from './documents.ts'
import { OtaError } from './ota-error.ts'
import { TrustedSet } from './trusted-set.ts'

/** A repository as its operator has it: each document is signed as root says, whether it has expired or not. */
export type RepositoryState = {
  readonly root: RootDocument
  readonly timestamp: TimestampDocument
  readonly snapshot: SnapshotDocument
  readonly targets: TargetsDocument
  readonly deploy: TargetsDocument
}

/** A file to be written, by its name in the repository: `metadata/timestamp.json`. */
export type RepositoryFile = { readonly name: string; readonly bytes: Uint8Array }

/** Undefined for what is not there. */
export type ReadFile = (name: string) => Promise<Uint8Array | undefined>

/**
 * The timestamp to come while a new root is written whose keys alone have signed it: where that was cut short, the
 * repository is read with it, and the next command that signs anything mends what devices see.
 */
export const nextTimestampName = 'metadata/timestamp.next.json'

/** The rule of consistent snapshots for a target's name (specification 6.2): the digest before the last part. */
export function targetFileName(path: string, sha256: string): string {
  const parts = path.split('/')
  const last = parts.pop() ?? ''
  return ['targets', ...parts, `${sha256}.${last}`].join('/')
}

export const sha256Of = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

export const readerOf =
  (folder: string): ReadFile =>
  async (name) => {
    try {
      return await readFile(join(folder, name))
    } catch (error) {
      const code = errorCode(error)
      if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
      throw new SightdError('ota_failed', `${join(folder, name)}: can't be read`, { cause: error })
    }
  }

/**
 * Follows the chain from root 1, as a device does, but for the dates: what comes of it may be signed anew. Undefined when
 * there is no repository yet. Throws an OtaError for one that a device would refuse.
 */
export async function readRepository(read: ReadFile): Promise<RepositoryState | undefined> {
  const metadata = (name: string) => read(`metadata/${name}`)
  let rootBytes = await metadata('1.root.json')
  // Without a timestamp the making of it was cut short: no device can have seen it.
  if (rootBytes === undefined || (await metadata('timestamp.json')) === undefined) return undefined
  let trusted = TrustedSet.fromRoot(rootBytes)
  for (;;) {
    const next = await metadata(`${trusted.root.version + 1}.root.json`)
    if (next === undefined) break
    trusted = trusted.withRoot(next)
    rootBytes = next
  }
  const [timestampBytes, withTimestamp] = await readTimestamp(trusted, read)
  trusted = withTimestamp
  const snapshotBytes = await needed(`${trusted.timestamp?.snapshot.version}.snapshot.json`)
  trusted = trusted.withSnapshot(snapshotBytes, 0)
  const targetsBytes = await needed(`${trusted.listed('targets').version}.targets.json`)
  trusted = trusted.withTargets(targetsBytes, 0)
  const delegation = trusted.targets?.delegations.find(({ name }) => name === 'deploy')
  if (delegation === undefined) throw new OtaError('missing', 'targets', 'it delegates nothing to deploy')
  const deployBytes = await needed(`${trusted.listed('deploy').version}.deploy.json`)
  trusted = trusted.withDelegated(deployBytes, delegation)
  trusted.delegated(delegation, 0)
  return {
    root: documentOf('root', rootBytes),
    timestamp: documentOf('timestamp', timestampBytes),
    snapshot: documentOf('snapshot', snapshotBytes),
    targets: documentOf('targets', targetsBytes),
    deploy: documentOf('targets', deployBytes),
  }

  async function needed(name: string): Promise<Uint8Array> {
    const bytes = await metadata(name)
    if (bytes === undefined) throw new OtaError('missing', name, 'other metadata says that it is there')
    return bytes
  }
}

async function readTimestamp(trusted: TrustedSet, read: ReadFile): Promise<[Uint8Array, TrustedSet]> {
  const bytes = await read('metadata/timestamp.json')
  if (bytes === undefined) throw new OtaError('missing', 'timestamp.json', 'it was there a moment ago')
  try {
    return [bytes, trusted.withTimestamp(bytes, 0)]
  } catch (error) {
    const next = await read(nextTimestampName)
    if (next === undefined || !(error instanceof OtaError && error.reason === 'unsigned')) throw error
    return [next, trusted.withTimestamp(next, 0)]
  }
}

/** One after the other, each on the disk before the next: the order is what keeps devices able to read. Open to a web server. */
export async function writeFiles(folder: string, files: readonly RepositoryFile[]): Promise<void> {
  for (const { name, bytes } of files) {
    const path = join(folder, name)
    try {
      await makeFolderDurably(dirname(path), 0o755)
      await writeFileAtomic(path, bytes, 0o644)
    } catch (error) {
      throw new SightdError('ota_failed', `${path}: can't be written: ${describeDiskError(error)}`, { cause: error })
    }
  }
  if (files.some(({ name }) => name === 'metadata/timestamp.json')) await removeDurably(join(folder, nextTimestampName))
}
