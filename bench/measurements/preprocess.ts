import { demoFrames } from '../../src/cli/bench/frames.ts'
import { bundledModel } from '../../src/daemon.ts'
import { Ring } from '../../src/lib/ring.ts'
import { readModelFolder } from '../../src/vision/model-folder.ts'
import { createPreprocessor } from '../../src/vision/preprocess.ts'
import { ModelSession } from '../../src/vision/session.ts'
import { createPlainPreprocessor } from '../../test/support/plain-preprocess.ts'
import { compared, type Measurement, told } from '../measurement.ts'

/** The kernel should be at least 3 times as fast as plain TypeScript. */
const mostOverPlain = 0.333
const mostOverBare = 0.05

/** The two take turns, each after a run of the network, which leaves them cold caches, as in the daemon. */
export const preprocess: Measurement = {
  name: 'preprocess',
  about: "a 640x480 frame to the model's input: the kernel over a bare run, and over the same in plain TypeScript",
  async run({ threads, rounds, onProgress }) {
    const folder = await readModelFolder(bundledModel)
    const [picture] = await demoFrames(640, 480, 1)
    if (picture === undefined) throw new Error('the demo has no photos')
    const { geometry, data } = picture
    const { input } = folder.manifest
    const stages = { kernel: createPreprocessor(geometry, input), plain: createPlainPreprocessor(geometry, input) }
    await using session = await ModelSession.open(folder, { threads })
    const count = rounds(300)
    const ms = { kernel: new Ring(count), plain: new Ring(count), bare: new Ring(2 * count) }
    for (let round = -rounds(50); round < count; round++) {
      for (const stage of ['kernel', 'plain'] as const) {
        const startMs = performance.now()
        stages[stage].write(data, session.input)
        const writtenMs = performance.now()
        await session.run()
        if (round < 0) continue
        ms[stage].push(writtenMs - startMs)
        ms.bare.push(performance.now() - writtenMs)
      }
      onProgress(`${Math.max(0, round)} of ${count}`)
    }
    const p50 = (ring: Ring) => ring.quantile(0.5) ?? 0
    return {
      'kernel over bare': compared(p50(ms.kernel) / p50(ms.bare), 'x', mostOverBare),
      'kernel over plain': compared(p50(ms.kernel) / p50(ms.plain), 'x', mostOverPlain),
      'bare p50': told(p50(ms.bare), 'ms'),
      'bare p95': told(ms.bare.quantile(0.95) ?? 0, 'ms'),
      'kernel p50': told(p50(ms.kernel), 'ms'),
      'kernel p95': told(ms.kernel.quantile(0.95) ?? 0, 'ms'),
      'plain p50': told(p50(ms.plain), 'ms'),
      'plain p95': told(ms.plain.quantile(0.95) ?? 0, 'ms'),
    }
  },
}
