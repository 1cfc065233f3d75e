import { setTimeout as delay } from 'node:timers/promises'
import { describeError, SightdError } from '../core/errors.ts'
import type { ModelFailure, ModelSource, ShadowSample } from '../core/model-trial.ts'
import type { Candidate, Ending, ModelSlots } from './model-slots.ts'
import type { ModelStage } from './model-stage.ts'
import { medianToleranceMs, slower } from './probation.ts'
import { ShadowRun, type ShadowSummary } from './shadow-run.ts'

export type ModelProofOptions = {
  readonly slots: ModelSlots
  readonly stage: ModelStage
  readonly shadowMs: number
  /** It may take so many times as long as the active model. */
  readonly slowdown: number
  readonly onProgress: (percent: number) => void
}

/** Frames have to come within this time. */
const patienceMs = 24 * 3600 * 1000

/** Whether a candidate may take over: by its golden samples in a process of its own, and by live frames beside the active model. */
export class ModelProof {
  readonly #options: ModelProofOptions
  #shadow: { readonly run: ShadowRun; readonly end: (ending: Ending | undefined) => void } | undefined
  /** What the newest shadow run has seen. */
  summary: ShadowSummary | null = null

  constructor(options: ModelProofOptions) {
    this.#options = options
  }

  /** Undefined when it has passed. Throws when `signal` aborts, or nothing can be written down. */
  async selfTest(candidate: Candidate, source: ModelSource, signal: AbortSignal): Promise<Ending | undefined> {
    const { slots, stage } = this.#options
    const verdict = await slots.beginProof(candidate)
    if (verdict !== undefined) return verdict
    // Should we die meanwhile, it stays written down as begun.
    const outcome = await stage.selfTest(source, signal).finally(() => slots.endTry())
    signal.throwIfAborted()
    return outcome.passed ? undefined : failed(outcome)
  }

  /**
   * Undefined when it has passed; then it is loaded beside the active model. Throws when `signal` aborts, when nothing can be
   * written down, or when the vision process went down, which may have been the candidate's fault: it is counted as such.
   */
  async shadow(candidate: Candidate, source: ModelSource, signal: AbortSignal): Promise<Ending | undefined> {
    const { slots, stage, shadowMs } = this.#options
    const verdict = await slots.beginProof(candidate)
    if (verdict !== undefined) return verdict
    let ending: Ending | undefined
    this.#isInnocent = false
    try {
      await stage.loadCandidate(source)
      if (shadowMs > 0) ending = await this.#watch(signal)
    } catch (error) {
      const isInvalid = error instanceof SightdError && error.code === 'model_invalid'
      if (isInvalid || signal.aborted || this.#isInnocent) await slots.endTry()
      if (!isInvalid) throw error
      return failed({ fault: 'model_invalid', message: describeError(error) })
    }
    if (ending !== undefined || signal.aborted) stage.releaseSpare()
    await slots.endTry()
    signal.throwIfAborted()
    return ending
  }

  noteShadow(sample: ShadowSample): void {
    if (this.#shadow === undefined) return
    const { run, end } = this.#shadow
    const isOver = run.note(sample, performance.now())
    this.summary = run.summary
    this.#options.onProgress(run.percent)
    if (isOver) end(this.#slow())
  }

  /** The candidate failed, and the active model goes on. */
  noteCandidateDown(failure: ModelFailure): void {
    this.#shadow?.end(failed(failure))
  }

  /** The vision process went down, and both models with it; `isInnocent`: no model can have done it. */
  noteDown(reason: string, isInnocent: boolean): void {
    this.#isInnocent = isInnocent
    this.#fail?.(new SightdError('vision_failed', `while it saw live frames: ${reason}`))
  }
  #fail: ((error: SightdError) => void) | undefined
  #isInnocent = false

  async #watch(signal: AbortSignal): Promise<Ending | undefined> {
    const { shadowMs } = this.#options
    const { promise, resolve, reject } = Promise.withResolvers<Ending | undefined>()
    const over = new AbortController()
    this.#shadow = { run: new ShadowRun(shadowMs), end: resolve }
    this.#fail = reject
    this.summary = null
    const late = delay(patienceMs, inconclusive, { signal: AbortSignal.any([signal, over.signal]) }).catch(
      () => undefined,
    )
    try {
      return await Promise.race([promise, late])
    } finally {
      over.abort()
      this.#shadow = undefined
      this.#fail = undefined
    }
  }

  #slow(): Ending | undefined {
    if (this.summary === null) return undefined
    const { candidateMs, activeMs } = this.summary
    const verdict = slower('half of the runs', candidateMs, activeMs, this.#options.slowdown, medianToleranceMs)
    return verdict === undefined ? undefined : { outcome: 'failed', ...verdict, isBad: true }
  }
}

const inconclusive: Ending = {
  outcome: 'failed',
  code: 'inconclusive',
  reason: 'too few frames came within a day',
  isBad: false,
}

function failed({ fault, message }: ModelFailure): Ending {
  return { outcome: 'failed', code: fault, reason: message, isBad: true }
}
