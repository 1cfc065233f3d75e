import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { constants } from 'node:os'
import { extname, join, resolve } from 'node:path'
import { Readable } from 'node:stream'
import * as v from 'valibot'
import { describeError, SightdError } from '../core/errors.ts'
import type { ModelFailure, ModelFault, ModelSource, SelfTestOutcome } from '../core/model-trial.ts'
import { maxTrialReportBytes, type TrialReport, trialReportSchema } from '../core/trial-protocol.ts'
import { ConfinedProcess, type ProcessExit } from './confined-process.ts'
import { faultOfDeath, faultOfFailure, lastWords } from './model-fault.ts'

export type SelfTestLimits = {
  /** A folder of its own is made in here, and removed again. */
  readonly workDir: string
  /** As for the vision process. */
  readonly maxMemoryMb: number
  /** Wall clock, from the start of the process to its end. */
  readonly limitMs: number
  /** Threads of one run. */
  readonly threads: number
  /** The script of the process, if it is not ours. */
  readonly entry?: URL
}

/** Of many problems these are enough to see what is wrong. */
const maxProblems = 5

const trialEntry = new URL(`../vision/trial${extname(import.meta.url)}`, import.meta.url)

export type Trial = Extract<TrialReport, { type: 'done' }> | ({ readonly type: 'failed' } & ModelFailure)

/**
 * Whether a model works on this device: it is loaded and its golden samples are run in a process of their own, which can do
 * no harm. Rejects with the signal's reason when it is called off, and with a SightdError `vision_failed` when there is no
 * process to be had; neither says anything about the model.
 */
export async function runSelfTest(
  model: ModelSource,
  limits: SelfTestLimits,
  signal: AbortSignal,
): Promise<SelfTestOutcome> {
  const trial = await tryModel(model, limits, signal)
  if (trial.type === 'failed') return { passed: false, fault: trial.fault, message: trial.message }
  const problems = trial.golden.flatMap(({ input, problems }) => problems.map((problem) => `${input}: ${problem}`))
  if (problems.length > 0)
    return {
      passed: false,
      fault: 'golden_mismatch',
      message: `${model.dir}: ${problems.slice(0, maxProblems).join('; ')}`,
    }
  const { loadMs, inferenceMs, peakMb } = trial
  return { passed: true, loadMs, inferenceMs, peakMb }
}

/** The same, with what each golden sample came to; whether that is what it should be is left to the caller. */
export async function tryModel(model: ModelSource, limits: SelfTestLimits, signal: AbortSignal): Promise<Trial> {
  signal.throwIfAborted()
  await mkdir(limits.workDir, { recursive: true, mode: 0o700 })
  const workDir = await mkdtemp(join(limits.workDir, 'self-test-'))
  try {
    return await tryIn(workDir, model, limits, signal)
  } finally {
    await rm(workDir, { recursive: true, force: true })
  }
}

async function tryIn(
  workDir: string,
  { dir, manifestSha256 }: ModelSource,
  { maxMemoryMb, limitMs, threads, entry = trialEntry }: SelfTestLimits,
  signal: AbortSignal,
): Promise<Trial> {
  const trial = new ConfinedProcess({
    entry,
    args: [resolve(dir), `${threads}`, ...(manifestSha256 === null ? [] : [manifestSha256])],
    workDir,
    maxMemoryMb,
    inferenceThreads: 0,
    // More than it can use by then: for one that is left alone.
    maxCpuS: Math.ceil(limitMs / 1000) * (threads + 2),
    channel: 'pipe',
  })
  const report = boundedText(trial)
  let isLate = false
  const timer = setTimeout(() => {
    isLate = true
    trial.kill()
  }, limitMs)
  const onAbort = () => trial.kill()
  signal.addEventListener('abort', onAbort)
  try {
    const exit = await trial.exited.catch((error: unknown) => {
      throw new SightdError('vision_failed', `${dir}: no process to try the model in`, { cause: error })
    })
    signal.throwIfAborted()
    if (isLate) return failed('hung', `${dir}: the model was not through after ${limitMs / 1000} s`)
    return judge(dir, exit, report())
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', onAbort)
  }
}

/** Collects what a process writes to its descriptor 3, and kills it if that is too much; gives what there is, or undefined then. */
function boundedText(process: ConfinedProcess): () => string | undefined {
  const chunks: Buffer[] = []
  let bytes = 0
  const pipe = process.child.stdio[3]
  if (pipe instanceof Readable)
    pipe.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes <= maxTrialReportBytes) chunks.push(chunk)
      else process.kill()
    })
  return () => (bytes <= maxTrialReportBytes ? Buffer.concat(chunks).toString() : undefined)
}

function judge(dir: string, exit: ProcessExit, text: string | undefined): Trial {
  const who = `${dir}: the process that tried the model`
  if (text === undefined) return failed('died', `${who} gave a report that is too long`)
  if (exit.code !== 0) {
    const fault = exit.signal === 'SIGXCPU' ? 'hung' : faultOfDeath(exit.output)
    return failed(fault, `${who} died: ${deathOf(exit)}`)
  }
  const report = parseReport(text)
  if (report instanceof Error) return failed('died', `${who} gave no usable report: ${describeError(report)}`)
  return report.type === 'failed' ? failed(faultOfFailure(report.code, report.message), report.message) : report
}

function parseReport(text: string): TrialReport | Error {
  try {
    return v.parse(trialReportSchema, JSON.parse(text))
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error))
  }
}

function deathOf({ code, signal, output }: ProcessExit): string {
  const said = lastWords(output)
  switch (signal) {
    case 'SIGILL':
      return 'illegal instruction: this build of ONNX Runtime does not run on this CPU'
    case 'SIGKILL':
      return `killed, perhaps for want of memory${said}`
    case null:
      return `it ended with exit code ${code}${said}`
    default:
      return `it ended with ${signal} (${constants.signals[signal]})${said}`
  }
}

function failed(fault: ModelFault, message: string): Trial {
  return { type: 'failed', fault, message }
}
