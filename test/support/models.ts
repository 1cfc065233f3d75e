import { createHash } from 'node:crypto'
import { cp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as v from 'valibot'
import { type ModelManifest, modelManifestSchema } from '../../src/core/model-manifest.ts'
import { bundledModel } from '../../src/daemon.ts'
import { tempFolder } from './temp-folder.ts'

/** A copy of the bundled model that a test may break. */
export async function copyOfBundledModel(): Promise<string> {
  const folder = join(await tempFolder(), 'model')
  await cp(bundledModel, folder, { recursive: true })
  return folder
}

/** Rewrites a copy's manifest. */
export async function editManifest(folder: string, edit: (manifest: Record<string, unknown>) => void): Promise<void> {
  const path = join(folder, 'manifest.json')
  const manifest = JSON.parse(await readFile(path, 'utf8'))
  edit(manifest)
  await writeFile(path, JSON.stringify(manifest))
}

/** Replaces a file of a copy and brings the manifest's length and digest in line, so that only the content is wrong. */
export async function replaceListedFile(folder: string, name: string, bytes: Uint8Array): Promise<void> {
  await writeFile(join(folder, name), bytes)
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  await editManifest(folder, (manifest) => {
    manifest['files'] = { ...(manifest['files'] as object), [name]: { bytes: bytes.length, sha256 } }
  })
}

/** A manifest for tests of pure code; `changes` overrides its parts. */
export function detectionManifest(
  changes: Record<string, unknown> = {},
): Extract<ModelManifest, { task: 'detection' }> {
  const manifest = v.parse(modelManifestSchema, { ...rawDetectionManifest, ...changes })
  if (manifest.task !== 'detection') throw new Error('not a detection manifest')
  return manifest
}

const sha256 = '0'.repeat(64)

export const rawDetectionManifest = {
  format: 1,
  name: 'test',
  version: '1',
  task: 'detection',
  description: 'a test',
  licence: 'CC0-1.0',
  source: 'made up',
  model: 'model.onnx',
  files: { 'model.onnx': { bytes: 1, sha256 } },
  input: { name: 'image', shape: [1, 4, 4, 3], type: 'uint8', layout: 'NHWC', colour: 'RGB', resize: 'stretch' },
  outputs: [
    { name: 'boxes', shape: [1, 3, 4], type: 'float32' },
    { name: 'logits', shape: [1, 3, 3], type: 'float32' },
  ],
  decode: {
    boxes: 'boxes',
    boxFormat: 'yxyx',
    scores: 'logits',
    activation: 'sigmoid',
    iouThreshold: 0.6,
    maxDetections: 20,
  },
  labels: ['', 'cat', 'dog'],
  threshold: 0.5,
  golden: [],
  tolerance: { score: 0.05, box: 0.03 },
}
