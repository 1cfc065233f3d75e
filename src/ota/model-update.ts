import { describeError } from '../core/errors.ts'
import type { OutcomeCode, UpdateOutcome, UpdateStatus } from '../core/update-status.ts'
import { Doorbell } from '../lib/doorbell.ts'
import { DownloadError } from './download-error.ts'
import type { ModelProof } from './model-proof.ts'
import type { Ending, ModelSlots } from './model-slots.ts'
import type { ModelStage } from './model-stage.ts'
import type { ModelStore } from './model-store.ts'
import type { ModelTrial } from './model-trial.ts'
import { OtaError } from './ota-error.ts'
import type { ModelRef } from './update-record.ts'
import type { Look, UpdateSource, WantedModel } from './update-source.ts'

export type ModelUpdateOptions = {
  readonly slots: ModelSlots
  readonly store: ModelStore
  readonly source: UpdateSource
  readonly proof: ModelProof
  readonly trial: ModelTrial
  readonly stage: ModelStage
  /** The digest of the manifest of the model that the device came with; undefined when that can't be read. */
  readonly factorySha256: string | undefined
  /** A candidate waits for `consent()`. */
  readonly needsConsent: boolean
  /** From one look to the next, while a candidate waits. */
  readonly pollMs: number
  /** Whether a candidate may take over at that time. */
  readonly mayTakeOver: (at: Date) => boolean
  readonly onChange: () => void
  readonly onOutcome: (outcome: UpdateOutcome) => void
  readonly log: { info(fields: object, text: string): void; warn(fields: object, text: string): void }
}

type Phase = UpdateStatus['phase']

const windowPollMs = 10_000
const dayMs = 24 * 3600 * 1000

/** Phases that know how far they are. */
const measured: readonly Phase[] = ['download', 'shadow', 'trial']

/** The way of one update: look, download, proof, leave, trial. Also says where on it the device is. */
export class ModelUpdate {
  readonly #options: ModelUpdateOptions
  readonly #consented = new Doorbell()
  #hasConsent = false
  phase: Phase = 'idle'
  /** How much of the phase is over, 0..100. */
  percent: number | null = null
  /** What it waits for, or what is wrong, in words. */
  reason: string | null = null
  candidate: ModelRef | null = null
  /** What the newest look has found, and when that was. */
  found: Look = {}
  checked: string | null = null

  constructor(options: ModelUpdateOptions) {
    this.#options = options
    const { stage, candidate } = options.slots.record
    if (stage !== 'trial') return
    this.phase = 'trial'
    this.candidate = candidate
  }

  get isWaitingForConsent(): boolean {
    return this.phase === 'waiting' && this.#options.needsConsent
  }

  consent(): void {
    this.#hasConsent = true
    this.#consented.ring()
  }

  progress(percent: number): void {
    const isNews = Math.floor(percent) !== Math.floor(this.percent ?? -1)
    this.percent = percent
    if (isNews) this.#options.onChange()
  }

  tell(outcome: UpdateOutcome | undefined): void {
    if (outcome === undefined) return
    const { log, onOutcome, onChange } = this.#options
    const { model, code, reason } = outcome
    if (outcome.outcome === 'committed') log.info({ ...model }, 'the new model stays')
    else log.warn({ ...model, outcome: outcome.outcome, code, reason }, 'a model was not taken')
    onOutcome(outcome)
    onChange()
  }

  /** Goes on with a trial that an earlier run has begun. */
  async resume(signal: AbortSignal): Promise<void> {
    this.#enter('trial')
    this.tell(await this.#options.trial.watch(signal))
  }

  /** From a look to its end. Throws when `signal` aborts, and what passes by itself. */
  async run(signal: AbortSignal): Promise<void> {
    const { source, slots, trial, log, factorySha256 } = this.#options
    this.reason = null
    // A command that came first may have paused it.
    if (slots.record.paused) return
    await trial.settle()
    this.#enter('check')
    this.found = await source.look(signal)
    this.checked = new Date().toISOString()
    const { stale, wanted, signedPastMs, blob } = this.found
    const { active, timeFloorMs } = slots.record
    if (signedPastMs !== undefined && signedPastMs > timeFloorMs + dayMs) await slots.raiseTimeFloor(signedPastMs)
    if (stale !== undefined) log.warn({ stale }, 'nothing new is installed: metadata has expired')
    else if (active !== null && !(await source.isApproved(active)))
      this.reason = `${active.name} ${active.version}, which is in charge, is no longer approved`
    const present = active === null ? factorySha256 : active.sha256
    if (wanted !== undefined && wanted.sha256 !== present) await this.#bring(wanted, signal)
    else await slots.clean(blob === undefined ? [] : [blob])
  }

  /** Whatever came of it, it is over. */
  rest(): void {
    this.candidate = null
    this.#hasConsent = false
    this.#options.stage.releaseSpare()
    this.#enter('idle')
  }

  /** From a model that is wanted to one that is in charge, or known not to be good. */
  async #bring(wanted: WantedModel, signal: AbortSignal): Promise<void> {
    const { slots, log, trial } = this.#options
    const { name, version } = wanted
    const known = slots.failureOf(wanted)
    if (known !== undefined) {
      this.reason = `${name} ${version} has failed here (${known}); retry_update tries it again`
      // Where a crash came before it was cleaned up after.
      const { blob } = this.found
      return slots.clean(blob === undefined ? [] : [blob])
    }
    this.candidate = wanted
    const ending = await this.#judge(wanted, signal)
    if (ending === undefined) {
      log.info({ name, version }, 'a new model takes over, on probation')
      this.#enter('trial')
      this.tell(await trial.takeOver(wanted, signal))
    } else this.tell(await slots.giveUp(wanted, ending))
    // From here on it is too late for commands about it.
    this.rest()
    await slots.clean([])
  }

  /** Undefined when it may take over. */
  async #judge(wanted: WantedModel, signal: AbortSignal): Promise<Ending | undefined> {
    const { slots, log, stage, source, store, proof } = this.#options
    const { name, version, rollbackIndex } = wanted
    const { floor } = slots.record
    if (rollbackIndex < floor) {
      const reason = `its rollback index is ${rollbackIndex}, and ${floor} has been in charge here`
      return { outcome: 'refused', code: 'downgrade', reason, isBad: true }
    }
    log.info({ name, version }, 'a new model is fetched')
    this.#enter('download')
    try {
      await source.fetch(wanted, signal, (percent) => this.progress(percent))
    } catch (error) {
      const ending = signal.aborted ? undefined : endingOf(error)
      if (ending === undefined) throw error
      return ending
    }
    const ready = await store.ready(wanted)
    if (ready === undefined) throw new OtaError('store_failed', wanted.folder, 'its files are damaged')
    this.#enter('self_test')
    const failure = await proof.selfTest(wanted, ready, signal)
    if (failure !== undefined) return failure
    await this.#leave(wanted, signal)
    // With no model to hold it against, only its probation can tell.
    if (!stage.isServing) return undefined
    this.#enter('shadow')
    return proof.shadow(wanted, ready, signal)
  }

  /** Resolves in the window, or when somebody says so. Throws when it should no longer run here. */
  async #leave(wanted: WantedModel, signal: AbortSignal): Promise<void> {
    const { needsConsent, mayTakeOver, pollMs } = this.#options
    const mayBegin = () => this.#hasConsent || (!needsConsent && mayTakeOver(new Date()))
    if (mayBegin()) return
    this.reason = needsConsent ? 'it waits for install_update' : 'it waits for its window'
    this.#enter('waiting')
    let lookMs = performance.now() + pollMs
    for (let { rings } = this.#consented; !mayBegin(); { rings } = this.#consented) {
      await this.#consented.moreThan(
        rings,
        AbortSignal.any([signal, AbortSignal.timeout(Math.min(windowPollMs, pollMs))]),
      )
      signal.throwIfAborted()
      if (performance.now() < lookMs) continue
      await this.#lookAgain(wanted, signal)
      lookMs = performance.now() + pollMs
    }
    this.reason = null
  }

  /** What was said before holds on while nobody can be asked. */
  async #lookAgain({ name, version, sha256 }: WantedModel, signal: AbortSignal): Promise<void> {
    try {
      this.found = await this.#options.source.look(signal)
    } catch (error) {
      if (error instanceof DownloadError && !signal.aborted) return
      throw error
    }
    this.checked = new Date().toISOString()
    if (this.found.wanted?.sha256 !== sha256)
      throw new Error(`${name} ${version}, which waited, is no longer wanted here`)
  }

  #enter(phase: Phase): void {
    this.phase = phase
    this.percent = measured.includes(phase) ? 0 : null
    this.#options.onChange()
  }
}

const refusals: readonly OutcomeCode[] = ['incompatible', 'revoked', 'malformed']
const lacks: readonly OutcomeCode[] = ['too_large', 'no_space']

/** What is the model's own fault, or passes only when somebody does something; undefined for what passes by itself. */
function endingOf(error: unknown): Ending | undefined {
  if (!(error instanceof OtaError || error instanceof DownloadError)) return undefined
  const reason = describeError(error)
  const refusal = refusals.find((code) => code === error.reason)
  // One that is not approved now may be so later.
  if (refusal !== undefined) return { outcome: 'refused', code: refusal, reason, isBad: refusal !== 'revoked' }
  const lack = lacks.find((code) => code === error.reason)
  return lack === undefined ? undefined : { outcome: 'failed', code: lack, reason, isBad: false }
}
