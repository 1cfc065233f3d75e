import { startFeedRun } from '../../src/cli/bench/feed-run.ts'
import { demoFrames } from '../../src/cli/bench/frames.ts'
import { bundledModel } from '../../src/daemon.ts'
import { Ring } from '../../src/lib/ring.ts'
import { compared, type Measurement, told } from '../measurement.ts'

const model = { dir: bundledModel, manifestSha256: null }

/** Frames between two swaps. */
const between = 10

export const swap: Measurement = {
  name: 'swap',
  about: 'from the last result of one model to the first of the other, over the usual time between results',
  async run({ threads, rounds }) {
    const ready = Promise.withResolvers<number>()
    await using feed = await startFeedRun(await demoFrames(640, 480, 4), { model, threads }, (report) => {
      if (report.type !== 'candidate') return
      if (report.state === 'ready') ready.resolve(report.loadMs)
      else ready.reject(new Error(report.message))
    })
    feed.feed.loadCandidate({ candidateId: 1, model, threads })
    const loadMs = await ready.promise
    const usual = new Ring(rounds(20) * between)
    const across = new Ring(rounds(20))
    let lastMs = performance.now()
    const step = async (into: Ring | undefined) => {
      await feed.show()
      into?.push(performance.now() - lastMs)
      lastMs = performance.now()
    }
    // Whoever takes over for the first time runs for the first time: that counts among the others.
    for (let round = 0; round < rounds(20); round++) {
      for (let frame = 0; frame < between; frame++) await step(frame === 0 ? undefined : usual)
      feed.feed.swap()
      await step(across)
    }
    const usualMs = usual.quantile(0.5) ?? 0
    return {
      'gap p50 over usual': compared((across.quantile(0.5) ?? 0) / usualMs, 'x'),
      'longest gap over usual': told((across.quantile(1) ?? 0) / usualMs, 'x'),
      'load beside the other': told(loadMs, 'ms'),
    }
  },
}
