import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Transport } from '../../src/ota/transport.ts'
import { CrashDisk } from './crash-disk.ts'
import { UpdateRepository } from './update-repository.ts'

export const group = 'porch'
export const modelName = 'tiny'

/** A model of a few KiB that nobody can run. Its files are not pages, nor chunks, long. */
async function makeTinyModel(folder: string, version: string): Promise<string> {
  const write = async (name: string, bytes: string | Uint8Array) => {
    await mkdir(dirname(join(folder, name)), { recursive: true })
    await writeFile(join(folder, name), bytes)
  }
  const contents = new Map([
    ['model.onnx', 5000],
    ['golden/a.gz', 700],
  ])
  const files: Record<string, { bytes: number; sha256: string }> = {}
  for (const [name, length] of contents) {
    // Not of zeros, which a torn file has as well.
    const bytes = Buffer.alloc(length, `${version} ${name} `)
    files[name] = { bytes: length, sha256: sha256Of(bytes) }
    await write(name, bytes)
  }
  await write('manifest.json', JSON.stringify({ ...manifest, version, files }))
  return folder
}

const manifest = {
  format: 1,
  name: modelName,
  task: 'classification',
  description: 'a test',
  licence: 'CC0-1.0',
  source: 'made up',
  model: 'model.onnx',
  input: { name: 'image', shape: [1, 4, 4, 3], type: 'uint8', layout: 'NHWC', colour: 'RGB', resize: 'stretch' },
  outputs: [{ name: 'scores', shape: [1, 2], type: 'float32' }],
  decode: { scores: 'scores', activation: 'none', top: 2 },
  labels: ['dark', 'bright'],
  threshold: 0.5,
  golden: [{ input: 'golden/a.gz', expect: [] }],
  tolerance: { score: 0.05, box: 0.03 },
}

export const sha256Of = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

/** A model as the repository has it. */
export type SignedModel = {
  readonly version: string
  readonly sha256: string
  readonly rollbackIndex: number
}

/** A repository at one time: all its files by their names. */
export type Offer = { readonly model: SignedModel; readonly files: ReadonlyMap<string, Buffer> }

/** What a fleet was offered, one after the other, and what it came with. */
export type UpdateWorld = {
  readonly root: Uint8Array
  readonly factoryDir: string
  readonly offers: readonly Offer[]
}

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
    const model = await makeTinyModel(join(folder, 'models', version), version)
    await repository.offer(model, { group, rollbackIndex: i + 1 })
    const sha256 = sha256Of(await readFile(join(model, 'manifest.json')))
    offers.push({ model: { version, sha256, rollbackIndex: i + 1 }, files: await filesIn(repository.repo) })
  }
  // In memory too: devices look at it at each start.
  const factoryDir = await makeTinyModel(new CrashDisk().path, '0')
  return { root: await readFile(repository.rootPath), factoryDir, offers }
}

async function filesIn(folder: string): Promise<Map<string, Buffer>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const paths = entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name))
  const read = paths.map(async (path) => [path.slice(folder.length + 1), await readFile(path)] as const)
  return new Map(await Promise.all(read))
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
