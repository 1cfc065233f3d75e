import { sha256Of } from './stored-updates.ts'

/** The files of a model that nobody can run; its network is as long as it has to be. */
export function smallModel(version: string, networkBytes = 5000): Map<string, Uint8Array> {
  const sizes = { 'model.onnx': networkBytes, 'golden/a.gz': 700 }
  // Not of zeros, which a torn file has as well.
  const contents = Object.entries(sizes).map(
    ([name, bytes]) => [name, Buffer.alloc(bytes, `${version} ${name} `)] as const,
  )
  const files = Object.fromEntries(
    contents.map(([name, bytes]) => [name, { bytes: bytes.length, sha256: sha256Of(bytes) }]),
  )
  return new Map<string, Uint8Array>([
    ...contents,
    ['manifest.json', Buffer.from(JSON.stringify({ ...manifest, version, files }))],
  ])
}

export const smallName = 'tiny'

const manifest = {
  format: 1,
  name: smallName,
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
