import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { startFeedRun } from '../../src/cli/bench/feed-run.ts'
import { frameBytes, paddedGeometry } from '../../src/core/frame.ts'
import { message } from '../../src/lib/protobuf-writer.ts'
import { Ring } from '../../src/lib/ring.ts'
import { integerAttribute, node, tensorInfo, types } from '../../src/vision/onnx-writer.ts'
import { compared, type Measurement, told } from '../measurement.ts'
import { tempFolder } from '../support/temp-folder.ts'

export const handover: Measurement = {
  name: 'handover',
  about: 'a 640x480 frame to the inference thread and back, with a network that does next to nothing',
  async run({ rounds }) {
    using folder = tempFolder()
    writeNothingModel(folder.path)
    const geometry = paddedGeometry(640, 480)
    const picture = { geometry, data: new Uint8Array(frameBytes(geometry)) }
    await using feed = await startFeedRun([picture], {
      model: { dir: folder.path, manifestSha256: null },
      threads: 1,
    })
    const count = rounds(5000)
    const times = new Ring(count)
    for (let round = -rounds(1000); round < count; round++) {
      const { timingMs } = await feed.show()
      const { preprocess, inference, decode, total } = timingMs
      if (round >= 0) times.push((total - preprocess - inference - decode) * 1000)
    }
    const at = (q: number) => times.quantile(q) ?? 0
    // What it takes usually depends more on how soon the system wakes a thread than on what we do: the quick ones tell of that.
    return {
      'there and back p5': compared(at(0.05), 'us'),
      'there and back p50': told(at(0.5), 'us'),
      'there and back p95': told(at(0.95), 'us'),
    }
  },
}

/** A model that gives back what it sees, 4x4 pixels. */
function writeNothingModel(folder: string): void {
  const graph = message(
    [1, node('Cast', ['image'], ['real'], integerAttribute('to', types.float))],
    [1, node('Flatten', ['real'], ['scores'], integerAttribute('axis', 1))],
    [2, 'nothing'],
    [11, tensorInfo('image', 'uint8', [1, 4, 4, 3])],
    [12, tensorInfo('scores', 'float', [1, 48])],
  )
  const network = message([1, 8], [7, graph], [8, message([2, 17])])
  const manifest = {
    format: 1,
    name: 'nothing',
    version: '1',
    task: 'classification',
    description: 'gives back what it sees',
    licence: 'Apache-2.0',
    source: 'npm run bench',
    model: 'model.onnx',
    files: { 'model.onnx': { bytes: network.length, sha256: createHash('sha256').update(network).digest('hex') } },
    input: { name: 'image', shape: [1, 4, 4, 3], type: 'uint8', layout: 'NHWC', colour: 'RGB', resize: 'stretch' },
    outputs: [{ name: 'scores', shape: [1, 48], type: 'float32' }],
    decode: { scores: 'scores', activation: 'none', top: 1 },
    labels: Array.from({ length: 48 }, (_, i) => `value ${i}`),
    threshold: 1,
    golden: [],
    tolerance: { score: 0, box: 0 },
  }
  writeFileSync(join(folder, 'model.onnx'), network)
  writeFileSync(join(folder, 'manifest.json'), JSON.stringify(manifest))
}
