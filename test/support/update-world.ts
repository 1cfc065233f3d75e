import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Transport } from '../../src/ota/transport.ts'
import { CrashDisk } from './crash-disk.ts'
import { smallModel } from './small-model.ts'
import { sha256Of } from './stored-updates.ts'
import type { Fleet, SignedModel } from './update-life.ts'
import { UpdateRepository } from './update-repository.ts'

const group = 'porch'

async function writeModel(folder: string, version: string): Promise<string> {
  for (const [name, bytes] of smallModel(version)) {
    await mkdir(dirname(join(folder, name)), { recursive: true })
    await writeFile(join(folder, name), bytes)
  }
  return folder
}

/** A repository at one time: all its files by their names. */
export type Offer = { readonly model: SignedModel; readonly files: ReadonlyMap<string, Buffer> }

/** A fleet, and what it was offered, one after the other. */
export type UpdateWorld = { readonly fleet: Fleet; readonly offers: readonly Offer[] }

/**
 * One repository, made in a folder, that offers models of these versions in turn, each with a higher rollback index. The same
 * version twice: a new timestamp, and nothing else.
 */
export async function makeWorld(folder: string, versions: readonly string[]): Promise<UpdateWorld> {
  const repository = await UpdateRepository.create(folder)
  const offers: Offer[] = []
  for (const [i, version] of versions.entries()) {
    const before = offers.at(-1)
    if (before?.model.version === version) {
      await repository.refresh()
      offers.push({ model: before.model, files: await filesIn(repository.repo) })
      continue
    }
    const model = await writeModel(join(folder, 'models', version), version)
    await repository.offer(model, { group, rollbackIndex: i + 1 })
    const sha256 = sha256Of(await readFile(join(model, 'manifest.json')))
    offers.push({ model: { version, sha256, rollbackIndex: i + 1 }, files: await filesIn(repository.repo) })
  }
  // In memory too: devices look at it at each start.
  const factoryDir = await writeModel(new CrashDisk().path, '0')
  const models = offers.map(({ model }) => model)
  return { fleet: { root: await readFile(repository.rootPath), factoryDir, group, models }, offers }
}

async function filesIn(folder: string): Promise<Map<string, Buffer>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const paths = entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name))
  const read = paths.map(async (path) => [path.slice(folder.length + 1), await readFile(path)] as const)
  return new Map(await Promise.all(read))
}

/** The digests of what says what a group should run. */
export function desiredIn({ files }: Offer): string[] {
  const names = [...files.keys()].filter((name) => name.startsWith('targets/desired/'))
  return names.map((name) => name.slice('targets/desired/'.length).split('.')[0] ?? '')
}

const chunkBytes = 3000

/** A repository that answers at once. */
export function transportOf(files: ReadonlyMap<string, Buffer>): Transport {
  return {
    where: 'memory',
    metadata: async (name) => files.get(name),
    openTarget: async ({ path, fromByte }) => ({
      where: path,
      startByte: fromByte,
      validator: undefined,
      isEndCertain: true,
      chunks: chunksOf(files.get(path) ?? Buffer.of(), fromByte),
      [Symbol.asyncDispose]: async () => {},
    }),
  }
}

async function* chunksOf(bytes: Buffer, fromByte: number): AsyncGenerator<Uint8Array, void> {
  for (let at = fromByte; at < bytes.length; at += chunkBytes) yield bytes.subarray(at, at + chunkBytes)
}
