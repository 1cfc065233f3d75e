import { demoFrames } from '../../src/cli/bench/frames.ts'
import { bundledModel } from '../../src/daemon.ts'
import { Ring } from '../../src/lib/ring.ts'
import { createDecoder, type RawOutputs } from '../../src/vision/decode.ts'
import { readModelFolder } from '../../src/vision/model-folder.ts'
import { createPreprocessor } from '../../src/vision/preprocess.ts'
import { ModelSession } from '../../src/vision/session.ts'
import { type Measurement, quantileFigures } from '../measurement.ts'

export const decode: Measurement = {
  name: 'decode',
  about: 'output tensors to labels, scores and boxes',
  async run({ rounds }) {
    const folder = await readModelFolder(bundledModel)
    const outputs = await outputsOf(folder)
    const decoder = createDecoder(folder.manifest)
    const count = rounds(3000)
    const decoded = new Ring(count)
    for (let round = -rounds(500); round < count; round++) {
      const output = outputs[(round + outputs.length * count) % outputs.length] ?? {}
      const startMs = performance.now()
      decoder(output, folder.manifest.threshold)
      if (round >= 0) decoded.push((performance.now() - startMs) * 1000)
    }
    return quantileFigures('decode', 'us', decoded)
  },
}

/** What the model says of each of the demo's photos. */
async function outputsOf(folder: Awaited<ReturnType<typeof readModelFolder>>): Promise<RawOutputs[]> {
  await using session = await ModelSession.open(folder, { threads: 1 })
  const outputs: RawOutputs[] = []
  for (const { geometry, data } of await demoFrames(640, 480, 1)) {
    createPreprocessor(geometry, folder.manifest.input).write(data, session.input)
    // Copied: the memory is the session's until its next run.
    outputs.push(structuredClone(await session.run()))
  }
  return outputs
}
