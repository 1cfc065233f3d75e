import { startFeedRun } from '../../src/cli/bench/feed-run.ts'
import { demoFrames } from '../../src/cli/bench/frames.ts'
import { StageTimes } from '../../src/cli/bench/stages.ts'
import { bundledModel } from '../../src/daemon.ts'
import { Ring } from '../../src/lib/ring.ts'
import { compared, type Measurement, told, Yardstick } from '../measurement.ts'

const warmUp = 30

/** The two take turns, so that a machine that slows down slows both. */
export const overhead: Measurement = {
  name: 'overhead',
  about: 'frame ready to result (hand-over, preprocess, run, decode, back) over a bare run of the same model',
  async run({ threads, rounds, onProgress }) {
    const count = rounds(300)
    const pictures = await demoFrames(640, 480, 8)
    await using feed = await startFeedRun(pictures, { model: { dir: bundledModel, manifestSha256: null }, threads })
    await using yardstick = await Yardstick.open(threads)
    const stages = new StageTimes()
    const bare = new Ring(count)
    for (let round = -rounds(warmUp); round < count; round++) {
      const { timingMs } = await feed.show()
      const bareMs = await yardstick.runMs()
      if (round < 0) continue
      stages.push(timingMs)
      bare.push(bareMs)
      onProgress(`${round} of ${count}`)
    }
    const { preprocess, inference, decode, total } = stages.quantiles
    const bareMs = bare.quantile(0.5) ?? 0
    return {
      'total over bare': compared(total.p50 / bareMs, 'x', 1.1),
      'bare p50': told(bareMs, 'ms'),
      'total p50': told(total.p50, 'ms'),
      'total p95': told(total.p95, 'ms'),
      'preprocess over bare': compared(preprocess.p50 / bareMs, 'x'),
      'inference over bare': compared(inference.p50 / bareMs, 'x'),
      'decode over bare': compared(decode.p50 / bareMs, 'x'),
    }
  },
}
