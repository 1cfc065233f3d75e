import { SightdError } from '../core/errors.ts'
import {
  bytesOf,
  type Envelope,
  lifetimesOf,
  type RootDocument,
  type SnapshotDocument,
  specVersion,
  type TimestampDocument,
  utcText,
} from './documents.ts'
import { type Draft, dated, isHalfOver, isMet, signedBy } from './drafts.ts'
import type { Keyring } from './key-files.ts'
import {
  nextTimestampName,
  type ReadFile,
  type RepositoryFile,
  type RepositoryState,
  readRepository,
  sha256Of,
} from './repository.ts'

export type Publishing = {
  readonly keyring: Keyring
  readonly nowMs: number
  readonly read: ReadFile
  /** Signs the timestamp anew even if nothing else is, and the snapshot when half of its time is over. */
  readonly isRefresh?: boolean
}

type OnlineRole = 'snapshot' | 'timestamp'

/**
 * Every file that a change writes, in the order that leaves devices able to read at each moment, and the repository as it is
 * then, read as a device would. Throws an OtaError when a device would refuse it, a SightdError when an online key is not here.
 */
export async function filesOf(
  state: RepositoryState | undefined,
  drafts: readonly Draft[],
  targetFiles: readonly RepositoryFile[],
  { keyring, nowMs, read, isRefresh = false }: Publishing,
): Promise<{ files: RepositoryFile[]; state: RepositoryState }> {
  const root = rootIn(drafts) ?? state?.root
  if (root === undefined) throw new Error('a repository begins with a root')
  const days = lifetimesOf(root)
  const rootFiles = drafts.filter(({ role }) => role === 'root').map(fileOf)
  const roleFiles = drafts.filter(({ role }) => role !== 'root').map(fileOf)
  const hasNewKeys = (role: OnlineRole) => state?.root.roles[role].keyids.join() !== root.roles[role].keyids.join()
  const isSnapshotDue = isRefresh && isHalfOver(state?.snapshot, days.snapshot, nowMs)
  const snapshot =
    roleFiles.length > 0 || hasNewKeys('snapshot') || isSnapshotDue
      ? await online('snapshot', nextSnapshot(state, roleFiles, days.snapshot, nowMs))
      : undefined
  const snapshotFiles = snapshot === undefined ? [] : [onlineFile('snapshot', snapshot)]
  const timestamp =
    snapshot !== undefined || hasNewKeys('timestamp') || isRefresh
      ? await online('timestamp', nextTimestamp(state, snapshotFiles, days.timestamp, nowMs))
      : undefined
  const files = [...targetFiles, ...roleFiles, ...snapshotFiles, ...lastFiles()]
  const overlay = new Map(files.map(({ name, bytes }) => [name, bytes]))
  const after = await readRepository(async (name) => overlay.get(name) ?? read(name))
  if (after === undefined) throw new Error('nothing came of it')
  return { files, state: after }

  async function online<T>(role: OnlineRole, document: T): Promise<Envelope<T>> {
    const needs = root?.roles[role] ?? { keyids: [], threshold: 1 }
    const envelope = await signedBy(document, [needs, state?.root.roles[role] ?? needs], keyring)
    if (isMet(needs, envelope)) return envelope
    const names = needs.keyids.map((id) => keyring.nameOf(id)).join(', ')
    throw new SightdError(
      'ota_failed',
      `${role} can't be signed: ${keyring.folder} has no private key of ${names} (lost? sightd ota key rotate ${role})`,
    )
  }

  /**
   * What devices begin with. A root that takes keys away comes last, when all else has signatures of the old keys too.
   * Without these, devices are shut out from the new root on until the timestamp is there; in case that is cut short, the
   * timestamp waits beforehand where we look for it.
   */
  function lastFiles(): RepositoryFile[] {
    if (timestamp === undefined) return rootFiles
    const last = onlineFile('timestamp', timestamp)
    if (state === undefined || rootFiles.length === 0) return [...rootFiles, last]
    const { roles } = state.root
    const isReadableBefore =
      isMet(roles.timestamp, timestamp) &&
      (snapshot === undefined || isMet(roles.snapshot, snapshot)) &&
      drafts.every(({ role, envelope }) => role !== 'targets' || isMet(roles.targets, envelope))
    return isReadableBefore ? [last, ...rootFiles] : [{ ...last, name: nextTimestampName }, ...rootFiles, last]
  }
}

function nextSnapshot(
  state: RepositoryState | undefined,
  roleFiles: readonly RepositoryFile[],
  days: number,
  nowMs: number,
): SnapshotDocument {
  const meta = { ...state?.snapshot.meta, ...Object.fromEntries(roleFiles.map(metaOf)) }
  return dated({ ...(state?.snapshot ?? begun('snapshot')), meta }, state?.snapshot, days, nowMs)
}

function nextTimestamp(
  state: RepositoryState | undefined,
  snapshotFiles: readonly RepositoryFile[],
  days: number,
  nowMs: number,
): TimestampDocument {
  const meta =
    snapshotFiles.length === 0 ? (state?.timestamp.meta ?? {}) : Object.fromEntries(snapshotFiles.map(metaOf))
  const begin = state?.timestamp ?? begun('timestamp')
  return dated({ ...begin, meta, 'x-sightd-signed': utcText(nowMs) }, state?.timestamp, days, nowMs)
}

const begun = <T extends OnlineRole>(type: T) => ({
  _type: type,
  spec_version: specVersion,
  version: 0,
  expires: '',
  meta: {},
})

function onlineFile(role: OnlineRole, envelope: Envelope<SnapshotDocument | TimestampDocument>): RepositoryFile {
  const name = role === 'timestamp' ? 'timestamp.json' : `${envelope.signed.version}.${role}.json`
  return { name: `metadata/${name}`, bytes: bytesOf(envelope) }
}

const fileOf = ({ role, envelope }: Draft): RepositoryFile => ({
  name: `metadata/${envelope.signed.version}.${role}.json`,
  bytes: bytesOf(envelope),
})

function metaOf({ name, bytes }: RepositoryFile) {
  const [, version = '', role = ''] = /^metadata\/(\d+)\.(.+)$/.exec(name) ?? []
  return [role, { version: Number(version), length: bytes.length, hashes: { sha256: sha256Of(bytes) } }] as const
}

function rootIn(drafts: readonly Draft[]): RootDocument | undefined {
  for (const { envelope } of drafts) if (envelope.signed._type === 'root') return envelope.signed
  return undefined
}
