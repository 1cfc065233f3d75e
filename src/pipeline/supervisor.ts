import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type {
  FrameCounters,
  PictureReport,
  PictureRequest,
  Tuning,
  VisionReport,
  VisionStart,
} from '../core/vision-protocol.ts'
import { backoffDelays } from '../lib/backoff.ts'
import { addCounters, lostWithProcess, noFrames } from './counters.ts'
import { ProgressDeadline } from './deadline.ts'
import { type Picture, PictureRequests } from './picture-requests.ts'
import { VisionProcess, type VisionProcessOptions } from './vision-process.ts'

export type { Picture } from './picture-requests.ts'

export type SupervisorOptions = Omit<VisionProcessOptions, 'onReport'> & {
  readonly start: VisionStart
  readonly onReport: (report: Exclude<VisionReport, PictureReport>) => void
  /** The process is gone and will be started again: why, in words. */
  readonly onDown: (down: Ending) => void
  /** Least silence that counts as a hang, in ms. */
  readonly minHangMs?: number
}

const restartBackoff = { firstMs: 500, lastMs: 30_000 }

/** A run this long shows that the trouble is over: the next restart is quick again. */
const goodRunMs = 60_000

/** How long a process may take to stop when asked. */
const stopLimitMs = 2000

/** How often the files of a model that can't be loaded are looked at. */
const modelPollMs = 2000

export type Ending = {
  readonly reason: string
  readonly isModelInvalid: boolean
  /** What the process printed at last. */
  readonly output?: string
}

/**
 * Keeps one vision process running until told to stop: one that dies or makes no progress is killed and replaced with
 * back-off, for ever. A model that can't be loaded is tried again when its files change.
 */
export class VisionSupervisor {
  readonly #options: SupervisorOptions
  readonly #pictures = new PictureRequests()
  #tuning: Tuning
  #past = noFrames
  #current = noFrames
  #process: VisionProcess | undefined
  restarts = 0

  constructor(options: SupervisorOptions) {
    this.#options = options
    this.#tuning = options.start.tuning
  }

  get pid(): number | undefined {
    return this.#process?.pid
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

  async run(signal: AbortSignal): Promise<void> {
    let delays = backoffDelays(restartBackoff)
    while (!signal.aborted) {
      const startedMs = performance.now()
      const ending = await this.#runOnce(signal)
      if (ending === undefined) return
      this.#options.onDown(ending)
      if (performance.now() - startedMs > goodRunMs) delays = backoffDelays(restartBackoff)
      if (ending.isModelInvalid) await folderChanges(this.#options.start.modelDir, signal)
      else await delay(delays.next().value, undefined, { signal }).catch(() => {})
      this.restarts++
    }
  }

  /** One process from start to end; how it ended, or undefined when it was told to stop. */
  async #runOnce(signal: AbortSignal): Promise<Ending | undefined> {
    const { onReport, start, minHangMs, ...options } = this.#options
    const deadline = new ProgressDeadline(start.source.fps, minHangMs)
    const hung = Promise.withResolvers<Ending>()
    let failure: Ending | undefined
    let timer: NodeJS.Timeout | undefined
    const rearm = () => {
      clearTimeout(timer)
      const { limitMs } = deadline
      if (limitMs === undefined) return
      timer = setTimeout(
        () =>
          hung.resolve({ reason: `no progress for ${Math.round(limitMs / 1000)} s, killed`, isModelInvalid: false }),
        limitMs,
      )
    }
    const vision = new VisionProcess({
      ...options,
      onReport: (report) => {
        if ('counters' in report) this.#current = report.counters
        if (report.type === 'failed')
          failure = { reason: report.message, isModelInvalid: report.code === 'model_invalid' }
        if (deadline.note(report)) rearm()
        if (report.type === 'picture') this.#pictures.answer(report)
        else onReport(report)
      },
    })
    this.#process = vision
    rearm()
    vision.send({ ...start, tuning: this.#tuning })
    const stopped = Promise.withResolvers<undefined>()
    const onAbort = () => stopped.resolve(undefined)
    signal.addEventListener('abort', onAbort, { once: true })
    if (signal.aborted) onAbort()
    try {
      const exited = vision.exited.then(
        ({ code, signal, output }): Ending =>
          failure ?? {
            reason: `the vision process ended ${signal === null ? `with exit code ${code}` : `by ${signal}`}`,
            isModelInvalid: false,
            ...(output === '' ? {} : { output }),
          },
        (error: Error): Ending => ({
          reason: `the vision process can't be started: ${error.message}`,
          isModelInvalid: false,
        }),
      )
      const ending = await Promise.race([exited, hung.promise, stopped.promise])
      if (ending === undefined) await this.#stop(vision)
      vision.kill()
      await exited
      return ending
    } finally {
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
      this.#process = undefined
      this.#pictures.endAll('the vision process is down')
      this.#past = addCounters(this.#past, lostWithProcess(this.#current))
      this.#current = noFrames
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

/** Resolves when a file in the folder, or the folder itself, comes, goes or changes. */
async function folderChanges(folder: string, signal: AbortSignal): Promise<void> {
  const before = await fingerprint(folder)
  while (!signal.aborted) {
    await delay(modelPollMs, undefined, { signal }).catch(() => {})
    if ((await fingerprint(folder)) !== before) return
  }
}

async function fingerprint(folder: string): Promise<string> {
  const names = await readdir(folder, { recursive: true }).catch(() => [])
  const stats = await Promise.all(
    ['.', ...names.sort()].map(async (name) => ({ name, file: await stat(join(folder, name)).catch(() => undefined) })),
  )
  return stats.map(({ name, file }) => `${name} ${file?.ino} ${file?.size} ${file?.mtimeMs}`).join('|')
}
