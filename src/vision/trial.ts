import { readFileSync, writeFileSync } from 'node:fs'
import { maxLength, maxProblems, type TrialReport } from '../core/trial-protocol.ts'
import { Ring } from '../lib/ring.ts'
import { failureOf } from './failure.ts'
import { checkFinite } from './finite.ts'
import { runGoldenSamples } from './golden.ts'
import { readModelFolder } from './model-folder.ts'
import { ModelSession } from './session.ts'

/**
 * A throw-away process that loads one model, runs its golden samples, reports, and is gone: if the model or ONNX Runtime
 * brings the process down, only this one. Arguments: the model's folder, the threads of a run, the SHA-256 that its
 * manifest.json has to have (or none).
 */

/** Runs over which the time of one is taken. */
const leastRuns = 5

/** Where the report goes: a pipe, since whoever reads it can stop where it gets too long. */
const reportFd = 3

const [, , dir = '', threads = '1', manifestSha256] = process.argv
const startMs = performance.now()
const report = await tryModel().catch((error: unknown): TrialReport => {
  const { code, message } = failureOf(error)
  return { type: 'failed', code, message: message.slice(0, maxLength.message) }
})
writeFileSync(reportFd, JSON.stringify(report))

async function tryModel(): Promise<TrialReport> {
  const folder = await readModelFolder(dir, manifestSha256)
  await using session = await ModelSession.open(folder, { threads: Number(threads) })
  const loadMs = performance.now() - startMs
  const golden = await runGoldenSamples(folder, session)
  const ms = new Ring(Math.max(leastRuns, golden.length))
  for (const sample of golden) ms.push(sample.ms)
  // The input is still that of the last sample; what a run takes does not depend on it.
  while (ms.length < leastRuns) {
    const runMs = performance.now()
    checkFinite(await session.run())
    ms.push(performance.now() - runMs)
  }
  return {
    type: 'done',
    loadMs,
    golden: golden.map((sample) => ({
      ...sample,
      problems: sample.problems.slice(0, maxProblems).map((problem) => problem.slice(0, maxLength.problem)),
    })),
    inferenceMs: ms.quantile(0.5) ?? 0,
    peakMb: peakMb(),
  }
}

/** Not getrusage's: its maximum includes what the process that started this one had in memory. */
function peakMb(): number {
  const kilobytes = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]
  if (kilobytes === undefined) throw new Error('/proc/self/status has no VmHWM')
  return Number(kilobytes) / 1024
}
