import { createHash } from 'node:crypto'
import { copyFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Candidate } from '../../src/ota/model-slots.ts'
import { tempFolder } from './temp-folder.ts'

/** Models of a few bytes that are well described, and that nobody runs. */

type TinyModel = {
  readonly name?: string
  /** Of the network. */
  readonly bytes?: number
  /** What its manifest says otherwise. */
  readonly manifest?: object
}

/** Writes a model folder and resolves to it. */
export async function tinyModel(
  version: string,
  { name = 'tiny', bytes = 1000, manifest = {} }: TinyModel = {},
): Promise<string> {
  const folder = join(await tempFolder(), name, version)
  const files = Object.fromEntries(
    [['model.onnx', bytes] as const, ['golden/a.gz', 100] as const].map(([file, length]) => {
      return [file, Buffer.alloc(length, `${file} of ${name} ${version} `)]
    }),
  )
  for (const [file, content] of Object.entries(files)) await put(join(folder, file), content)
  await put(join(folder, 'manifest.json'), manifestOf(name, version, files, manifest))
  return folder
}

function manifestOf(name: string, version: string, files: Record<string, Buffer>, changes: object): string {
  return JSON.stringify({
    format: 1,
    name,
    version,
    task: 'classification',
    description: 'a test',
    licence: 'CC0-1.0',
    source: 'made up',
    model: 'model.onnx',
    files: Object.fromEntries(
      Object.entries(files).map(([file, content]) => [file, { bytes: content.length, sha256: sha256Of(content) }]),
    ),
    input: { name: 'image', shape: [1, 4, 4, 3], type: 'uint8', layout: 'NHWC', colour: 'RGB', resize: 'stretch' },
    outputs: [{ name: 'scores', shape: [1, 2], type: 'float32' }],
    decode: { scores: 'scores', activation: 'none', top: 2 },
    labels: ['dark', 'bright'],
    threshold: 0.5,
    golden: [{ input: 'golden/a.gz', expect: [] }],
    tolerance: { score: 0.05, box: 0.03 },
    ...changes,
  })
}

/** Puts a model's files where a download leaves them in a store's folder, and gives what a record says of it. */
export async function shelve(folder: string, modelFolder: string): Promise<Candidate> {
  const names = await readdir(modelFolder, { recursive: true, withFileTypes: true })
  await mkdir(join(folder, 'blobs'), { recursive: true })
  for (const entry of names.filter((entry) => entry.isFile())) {
    const path = join(entry.parentPath, entry.name)
    await copyFile(path, join(folder, 'blobs', sha256Of(await readFile(path))))
  }
  return candidateIn(modelFolder)
}

/** A model as a record names it. */
export async function candidateIn(modelFolder: string): Promise<Candidate> {
  const bytes = await readFile(join(modelFolder, 'manifest.json'))
  const { name, version }: { name: string; version: string } = JSON.parse(bytes.toString())
  return { name, version, length: bytes.length, sha256: sha256Of(bytes), rollbackIndex: 0 }
}

export const sha256Of = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

async function put(path: string, content: string | Uint8Array): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, content)
}
