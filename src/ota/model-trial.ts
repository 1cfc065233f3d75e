import { setTimeout as delay } from 'node:timers/promises'
import { describeError } from '../core/errors.ts'
import type { ModelFailure, ModelSource } from '../core/model-trial.ts'
import type { UpdateOutcome } from '../core/update-status.ts'
import { type Candidate, type Ending, type ModelSlots, outcomeOf } from './model-slots.ts'
import type { ModelResult, ModelStage } from './model-stage.ts'
import type { ModelStore } from './model-store.ts'
import { ConductRecorder, Probation, type ProbationLimits } from './probation.ts'

export type ModelTrialOptions = {
  readonly slots: ModelSlots
  readonly store: ModelStore
  readonly stage: ModelStage
  readonly limits: ProbationLimits
  readonly isConnected: () => boolean
  readonly onProgress: (percent: number) => void
  readonly log: { warn(fields: object, text: string): void }
}

/** So many results have to come within this time. */
const patienceMs = 24 * 3600 * 1000

type Settlement = Ending | 'good'

/**
 * The candidate in charge, until it is committed or the model before is back. Also answers which model a vision process
 * loads, since each start is a risk that is written down first.
 */
export class ModelTrial {
  readonly #options: ModelTrialOptions
  #settled = Promise.withResolvers<Settlement>()
  /** Why the candidate must not be started again, once that is known. */
  #doom: Ending | undefined
  #concluded: Promise<void> = Promise.resolve()
  #probation: Probation | undefined
  #conduct = new ConductRecorder()
  #isThrottled = false
  #isActiveUsable = true
  /** The newest start does not count, once that is written down. */
  #takenBack: Promise<void> = Promise.resolve()

  constructor(options: ModelTrialOptions) {
    this.#options = options
  }

  /** Asked before each start of a vision process; what it gives is ready to be loaded. Throws nothing. */
  async nextModel(): Promise<ModelSource> {
    const { slots, log } = this.#options
    await this.#takenBack
    const { stage, candidate } = slots.record
    if (stage === 'trial' && candidate !== null) {
      this.#doom ??= await this.#beginStart()
      const source = this.#doom === undefined ? await this.#ready(candidate) : undefined
      if (source !== undefined) return source
      this.#doom ??= { outcome: 'rolled_back', code: 'storage', reason: 'its files are damaged', isBad: false }
      this.#settled.resolve(this.#doom)
      // So that the record is true when the model before starts.
      await this.#concluded
    }
    const { source, lost } = await slots.active(this.#isActiveUsable)
    this.#isActiveUsable = true
    if (lost !== undefined)
      log.warn(
        { name: lost.name, version: lost.version },
        'a model can not be loaded any more; another takes its place',
      )
    return source
  }

  /** The candidate takes over, to its end as `watch`. Throws when that can't be written down, and then nothing has changed. */
  async takeOver(candidate: Candidate, signal: AbortSignal): Promise<UpdateOutcome | undefined> {
    const { slots, stage, isConnected } = this.#options
    // Beforehand: it may be told to end, or a process may start, as soon as it is written down.
    this.#settled = Promise.withResolvers<Settlement>()
    this.#doom = undefined
    await slots.beginTrial(candidate, { ...this.#conduct.conduct, isConnected: isConnected() })
    const ended = this.watch(signal)
    // Without one beside it, or without a process, the next start of one does it, and is counted then.
    if (!stage.isServing) this.#takeBack()
    await stage.swap().catch(() => stage.restartVision('another model takes over'))
    return ended
  }

  /** Follows a candidate that is in charge to its end; undefined when `signal` aborts before. */
  async watch(signal: AbortSignal): Promise<UpdateOutcome | undefined> {
    const { slots, limits } = this.#options
    const { candidate, baseline } = slots.record
    if (candidate === null) throw new Error('there is no candidate')
    this.#probation = new Probation(limits, baseline ?? nothingKnown)
    const concluded = Promise.withResolvers<void>()
    this.#concluded = concluded.promise
    const over = new AbortController()
    const late = delay(patienceMs, inconclusive, { signal: AbortSignal.any([signal, over.signal]) }).catch(
      () => undefined,
    )
    try {
      const settlement = await Promise.race([this.#settled.promise, late])
      if (settlement !== undefined) return await this.#conclude(candidate, settlement)
      await slots.endTry().catch(() => {})
      return undefined
    } finally {
      over.abort()
      this.#probation = undefined
      concluded.resolve()
    }
  }

  /** Stores the end of a trial that could not be stored when it came. Throws when it still can't be. */
  async settle(): Promise<void> {
    const { slots } = this.#options
    const { stage, candidate } = slots.record
    if (stage === 'trial' && candidate !== null && this.#doom !== undefined) await slots.giveUp(candidate, this.#doom)
  }

  /** Ends a trial by command. */
  end(ending: Ending): void {
    this.#settled.resolve(ending)
  }

  noteResult(result: ModelResult): void {
    const { slots, isConnected, onProgress } = this.#options
    if (this.#probation === undefined) {
      if (!this.#isThrottled) this.#conduct.note(result.inferenceMs, result.label)
      return
    }
    const state = { isThrottled: this.#isThrottled, isConnected: isConnected() }
    const verdict = this.#probation.note(result, state, performance.now())
    onProgress(this.#probation.percent)
    if (verdict === 'good') this.#settled.resolve('good')
    else if (verdict !== undefined) {
      // Once, the broker may have been away by chance, and that of a whole fleet.
      const isBad = verdict.code !== 'mqtt_lost' || slots.hasLast(verdict.code)
      this.#settled.resolve({ outcome: 'rolled_back', ...verdict, isBad })
    }
  }

  noteThrottled(isThrottled: boolean): void {
    this.#isThrottled = isThrottled
  }

  /** The vision process went down. A mere death is counted when the next one starts; all else needs no second proof. */
  noteDown(failure: ModelFailure | null): void {
    const { slots, stage } = this.#options
    if (failure === null) this.#takeBack()
    if (failure === null || failure.fault === 'died') return
    if (slots.record.stage === 'trial') {
      this.#doom ??= { outcome: 'rolled_back', code: failure.fault, reason: failure.message, isBad: true }
      stage.restartVision('the model before takes over again')
    } else if (failure.fault === 'model_invalid' && slots.record.active !== null) {
      // It was fine once: the disk, or another version of ONNX Runtime.
      this.#isActiveUsable = false
      stage.restartVision('the model can not be loaded any more')
    }
  }

  /** No model has to answer for the end of this start. */
  #takeBack(): void {
    const { slots } = this.#options
    if (slots.record.stage === 'trial') this.#takenBack = slots.endTry().catch(() => {})
  }

  async #conclude(candidate: Candidate, settlement: Settlement): Promise<UpdateOutcome> {
    const { slots, stage, log } = this.#options
    const ending = settlement === 'good' ? await this.#commit() : settlement
    if (!('isBad' in ending)) return ending
    // The vision process is gone already when it was its end that settled it.
    const isDown = this.#doom !== undefined
    this.#doom ??= ending
    const outcome = await slots.giveUp(candidate, ending).catch((error: unknown) => {
      // The candidate stays written down as in charge; but a start of it that can't be written down is none.
      log.warn({ problem: describeError(error) }, 'that a model was rolled back could not be stored')
      return outcomeOf(candidate, ending)
    })
    if (!isDown) await stage.swap().catch(() => stage.restartVision('the model before takes over again'))
    stage.releaseSpare()
    return outcome
  }

  async #commit(): Promise<UpdateOutcome | Ending> {
    const { slots, stage } = this.#options
    try {
      const outcome = await slots.commit()
      // It is the one that the next is held against.
      this.#conduct = this.#probation?.recorder ?? new ConductRecorder()
      stage.releaseSpare()
      return outcome
    } catch (error) {
      return { outcome: 'rolled_back', code: 'store_failed', reason: describeError(error), isBad: false }
    }
  }

  async #beginStart(): Promise<Ending | undefined> {
    try {
      return await this.#options.slots.beginStart()
    } catch (error) {
      return { outcome: 'rolled_back', code: 'store_failed', reason: describeError(error), isBad: false }
    }
  }

  async #ready(candidate: Candidate): Promise<ModelSource | undefined> {
    return this.#options.store.ready(candidate).catch(() => undefined)
  }
}

const nothingKnown = { p50Ms: null, p95Ms: null, commonest: 1, isConnected: false }

const inconclusive: Ending = {
  outcome: 'rolled_back',
  code: 'inconclusive',
  reason: 'too few results came within a day',
  isBad: false,
}
