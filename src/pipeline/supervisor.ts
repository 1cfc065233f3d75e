import { setTimeout as delay } from 'node:timers/promises'
import { describeError, SightdError } from '../core/errors.ts'
import type { ModelFailure, ModelFault, ModelSource } from '../core/model-trial.ts'
import type {
  FrameCounters,
  PictureReport,
  PictureRequest,
  Tuning,
  VisionModel,
  VisionReport,
  VisionStart,
} from '../core/vision-protocol.ts'
import { backoffDelays } from '../lib/backoff.ts'
import type { ProcessExit } from './confined-process.ts'
import { addCounters, lostWithProcess, noFrames } from './counters.ts'
import { ProgressDeadline } from './deadline.ts'
import { folderChanges } from './folder-watch.ts'
import { faultOfDeath, faultOfFailure } from './model-fault.ts'
import { type Picture, PictureRequests } from './picture-requests.ts'
import { SpareControl } from './spare-control.ts'
import { VisionProcess, type VisionProcessOptions } from './vision-process.ts'

export type { Picture } from './picture-requests.ts'

export type SupervisorOptions = Omit<VisionProcessOptions, 'onReport'> & {
  /** Which model to load; asked before each start of a process. */
  readonly model: () => Promise<ModelSource>
  readonly start: Omit<VisionStart, 'model'>
  readonly onReport: (report: Exclude<VisionReport, PictureReport>) => void
  /** The process is gone and will be started again. */
  readonly onDown: (down: Ending) => void
  /** A second model that had been loaded has failed and is gone; the process goes on. */
  readonly onCandidateDown: (failure: ModelFailure) => void
  /** Least silence that counts as a hang, in ms. */
  readonly minHangMs?: number
}

const restartBackoff = { firstMs: 500, lastMs: 30_000 }

/** A run this long shows that the trouble is over: the next restart is quick again. */
const goodRunMs = 60_000

/** How long a process may take to stop when asked. */
const stopLimitMs = 2000

export type Ending = {
  /** In words. */
  readonly reason: string
  /** What the model has done; null when it is not to blame. */
  readonly fault: ModelFault | null
  /** Whether its model had been loaded. */
  readonly wasReady: boolean
  /** What the process printed at last. */
  readonly output?: string
}

/**
 * Keeps one vision process running until told to stop: one that dies or makes no progress is killed and replaced with
 * back-off, for ever. A model that can't be loaded is tried again when its files change, or when told.
 */
export class VisionSupervisor {
  readonly #options: SupervisorOptions
  readonly #pictures = new PictureRequests()
  readonly #spare: SpareControl
  #tuning: Tuning
  #past = noFrames
  #current = noFrames
  #process: VisionProcess | undefined
  #isReady = false
  #starts = 0
  /** Aborts, with a reason in words, when the process, or the wait for the next, is to end at once. */
  #renewal = new AbortController()
  #hang: ((reason: string) => void) | undefined

  constructor(options: SupervisorOptions) {
    this.#options = options
    this.#tuning = options.start.tuning
    this.#spare = new SpareControl({
      send: (command) => this.#process?.send(command),
      onHang: (reason) => this.#hang?.(reason),
      onCandidateDown: options.onCandidateDown,
    })
  }

  get pid(): number | undefined {
    return this.#process?.pid
  }

  /** Starts of the process after the first. */
  get restarts(): number {
    return Math.max(0, this.#starts - 1)
  }

  /** Frames of all processes so far. */
  get counters(): FrameCounters {
    return addCounters(this.#past, this.#current)
  }

  /** Holds for the process that runs, and for those to come. */
  tune(tuning: Tuning): void {
    this.#tuning = tuning
    this.#process?.send({ type: 'tune', tuning })
  }

  /** Always resolves, within 8 s. */
  async requestPicture(wanted: Omit<PictureRequest, 'type' | 'requestId'>): Promise<Picture> {
    const vision = this.#process
    if (vision === undefined) return { reason: 'the vision process is not running' }
    return this.#pictures.open((requestId) => vision.send({ type: 'picture', requestId, ...wanted }))
  }

  /**
   * Loads a second model beside the one in charge. Settles within 60 s; rejects with a SightdError: `model_invalid` when the
   * model's files are to blame, else `vision_failed`.
   */
  async loadCandidate(model: ModelSource): Promise<VisionModel> {
    if (!this.#isReady) throw new SightdError('vision_failed', 'the vision process is not running with a model')
    return this.#spare.load(model, this.#options.start.threads)
  }

  /** The second model takes over, and the first becomes the second. Settles within 60 s; rejects with a SightdError `vision_failed`. */
  swap(): Promise<VisionModel> {
    return this.#spare.swap()
  }

  /** Lets the second model go, if there is one. */
  releaseSpare(): void {
    this.#spare.release()
  }

  /** Ends the process, or the wait for the next, now; the next start asks for the model again. */
  restart(reason: string): void {
    this.#renewal.abort(reason)
  }

  async run(signal: AbortSignal): Promise<void> {
    let delays = backoffDelays(restartBackoff)
    while (!signal.aborted) {
      if (this.#renewal.signal.aborted) delays = backoffDelays(restartBackoff)
      this.#renewal = new AbortController()
      const ended = AbortSignal.any([signal, this.#renewal.signal])
      const startedMs = performance.now()
      const model = await orAborted(this.#askForModel(), ended)
      const ending = model === undefined || 'fault' in model ? model : await this.#runOnce(model, ended)
      if (signal.aborted) return
      if (ending !== undefined) this.#options.onDown(ending)
      if (performance.now() - startedMs > goodRunMs) delays = backoffDelays(restartBackoff)
      if (ending?.fault === 'model_invalid' && model !== undefined && 'dir' in model)
        await folderChanges(model.dir, ended)
      else await delay(delays.next().value, undefined, { signal: ended }).catch(() => {})
    }
  }

  async #askForModel(): Promise<ModelSource | Ending> {
    return this.#options.model().catch((error: unknown): Ending => {
      const reason = `it can't be told which model to load: ${describeError(error)}`
      return { reason, fault: null, wasReady: false }
    })
  }

  /** One process from start to end, and how it ended. */
  async #runOnce(model: ModelSource, signal: AbortSignal): Promise<Ending> {
    const { onReport, start, minHangMs, entry, workDir, maxMemoryMb } = this.#options
    const deadline = new ProgressDeadline(start.source.fps, minHangMs)
    const ended = Promise.withResolvers<Ending>()
    const end = (reason: string, fault: ModelFault | null) => ended.resolve({ reason, fault, wasReady: this.#isReady })
    let timer: NodeJS.Timeout | undefined
    const rearm = () => {
      clearTimeout(timer)
      const { limitMs } = deadline
      if (limitMs === undefined) return
      timer = setTimeout(() => end(`no progress for ${Math.round(limitMs / 1000)} s, killed`, 'hung'), limitMs)
    }
    const note = (report: VisionReport) => {
      if ('counters' in report) this.#current = report.counters
      if (report.type === 'ready') this.#isReady = true
      if (report.type === 'failed') end(report.message, faultOfFailure(report.code, report.message))
      if (deadline.note(report)) rearm()
      if (report.type === 'picture') this.#pictures.answer(report)
      else if (this.#isNews(report)) onReport(report)
    }
    let vision: VisionProcess
    try {
      vision = new VisionProcess({ entry, workDir, maxMemoryMb, onReport: note })
    } catch (error) {
      // No memory for a process, no room for its folder: the next try may have it.
      return { reason: cantStart(error), fault: null, wasReady: false }
    }
    this.#process = vision
    this.#starts++
    this.#hang = (reason) => end(reason, 'hung')
    rearm()
    vision.send({ ...start, model, tuning: this.#tuning })
    const exited = vision.exited.then(
      (exit) => ended.resolve({ ...deathOf(exit), wasReady: this.#isReady }),
      (error: unknown) => end(cantStart(error), null),
    )
    try {
      const ending = await orAborted(ended.promise, signal)
      if (ending === undefined) await this.#stop(vision)
      vision.kill()
      await exited
      return ending ?? { reason: String(signal.reason), fault: null, wasReady: this.#isReady }
    } finally {
      clearTimeout(timer)
      this.#process = undefined
      this.#isReady = false
      this.#hang = undefined
      this.#pictures.endAll('the vision process is down')
      this.#spare.end('the vision process is down')
      this.#past = addCounters(this.#past, lostWithProcess(this.#current))
      this.#current = noFrames
    }
  }

  #isNews(report: Exclude<VisionReport, PictureReport>): boolean {
    switch (report.type) {
      case 'candidate':
      case 'swapped':
      case 'shadow':
        return this.#spare.note(report)
      default:
        return true
    }
  }

  /** Asks the process to finish; whoever called kills it if it has not. */
  async #stop(vision: VisionProcess): Promise<void> {
    vision.send({ type: 'stop' })
    const waited = new AbortController()
    await Promise.race([vision.exited, delay(stopLimitMs, undefined, { signal: waited.signal })]).catch(() => {})
    waited.abort()
  }
}

function cantStart(error: unknown): string {
  return `the vision process can't be started: ${describeError(error)}`
}

function deathOf({ code, signal, output }: ProcessExit): Omit<Ending, 'wasReady'> {
  return {
    reason: `the vision process ended ${signal === null ? `with exit code ${code}` : `by ${signal}`}`,
    fault: faultOfDeath(output),
    ...(output === '' ? {} : { output }),
  }
}

/** What comes of `promise`, or undefined when `signal` aborts first. */
async function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  const aborted = Promise.withResolvers<undefined>()
  const onAbort = () => aborted.resolve(undefined)
  signal.addEventListener('abort', onAbort, { once: true })
  if (signal.aborted) onAbort()
  try {
    return await Promise.race([promise, aborted.promise])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
