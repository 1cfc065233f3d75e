import { describeError, SightdError } from '../core/errors.ts'
import type { ModelFailure, ModelSource, ShadowSample } from '../core/model-trial.ts'
import type { UpdateControl, UpdateOutcome, UpdateStatus } from '../core/update-status.ts'
import { backoffDelays } from '../lib/backoff.ts'
import { Doorbell } from '../lib/doorbell.ts'
import { HintGate } from './hint-gate.ts'
import { ModelProof } from './model-proof.ts'
import { type Ending, ModelSlots } from './model-slots.ts'
import type { ModelResult, ModelStage } from './model-stage.ts'
import { type FactoryModel, ModelStore } from './model-store.ts'
import { ModelTrial } from './model-trial.ts'
import { ModelUpdate } from './model-update.ts'
import { shadowStatus } from './shadow-run.ts'
import { RecordFiles } from './update-record.ts'
import type { UpdateSettings } from './update-settings.ts'
import { UpdateSource } from './update-source.ts'

export type UpdaterOptions = {
  /** Holds all that updates need. */
  readonly folder: string
  /** The folder of the model that the device came with. */
  readonly factoryDir: string
  readonly settings: UpdateSettings
  readonly deviceId: string
  /** Names this start of the board. */
  readonly bootId: string
  /** It can't be earlier than that, in ms since 1970. */
  readonly floorMs: number
  readonly stage: ModelStage
  readonly isConnected: () => boolean
  readonly onChange: () => void
  readonly onOutcome: (outcome: UpdateOutcome) => void
  readonly log: { info(fields: object, text: string): void; warn(fields: object, text: string): void }
}

/** A fleet that is switched on, or hears of news, at one moment does not ask at one moment. */
const usualSpreadMs = 30_000

const retryBackoff = { firstMs: 60_000, lastMs: 3_600_000 }

/**
 * Keeps the model up to date: looks, downloads, proves, lets it take over, and takes it back when it is not as good as the one
 * before. One candidate at a time; the model in charge serves all the while.
 */
export class Updater implements UpdateControl {
  readonly #options: UpdaterOptions
  readonly #factory: FactoryModel | undefined
  readonly #slots: ModelSlots
  readonly #source: UpdateSource
  readonly #proof: ModelProof
  readonly #trial: ModelTrial
  readonly #update: ModelUpdate
  readonly #bell = new Doorbell()
  readonly #hints: HintGate
  /** Ends the job that is under way. */
  #abort = new AbortController()
  #turn: Promise<unknown> = Promise.resolve()

  private constructor(options: UpdaterOptions, files: RecordFiles, store: ModelStore, factory?: FactoryModel) {
    const { factoryDir, bootId, settings, deviceId, stage, floorMs } = options
    const { slowdown, shadowMs, probationMs: ms, probationResults: results } = settings
    this.#options = options
    this.#factory = factory
    const slots = new ModelSlots({ files, store, factory: { dir: factoryDir, manifestSha256: null }, bootId })
    const onProgress = (percent: number) => this.#update.progress(percent)
    const source = new UpdateSource({
      ...settings,
      store,
      deviceId,
      floorMs: () => Math.max(floorMs, slots.record.timeFloorMs),
    })
    const proof = new ModelProof({ slots, stage, shadowMs, slowdown, onProgress })
    const trial = new ModelTrial({ ...options, slots, store, limits: { ms, results, slowdown }, onProgress })
    this.#update = new ModelUpdate({
      ...options,
      ...settings,
      slots,
      store,
      source,
      proof,
      trial,
      factorySha256: factory?.sha256,
    })
    this.#hints = new HintGate(settings.pollMs)
    this.#slots = slots
    this.#source = source
    this.#proof = proof
    this.#trial = trial
  }

  /** Throws an OtaError `store_failed` when nothing can be read or kept there. */
  static async open(options: UpdaterOptions): Promise<Updater> {
    const { folder, factoryDir, log } = options
    const { files, isLost } = await RecordFiles.open(folder)
    if (isLost) log.warn({ folder }, 'what was known of updates is damaged: back to the first model')
    return new Updater(options, files, await ModelStore.open(folder), await ModelStore.factory(factoryDir))
  }

  get status(): UpdateStatus {
    const { record } = this.#slots
    const { phase, percent, reason, candidate, found, checked, isWaitingForConsent } = this.#update
    const { settings } = this.#options
    return {
      enabled: this.#isEnabled,
      phase,
      active: named(record.active ?? this.#factory ?? null),
      previous: named(record.previous === 'factory' ? (this.#factory ?? null) : record.previous),
      candidate: named(candidate),
      percent: percent === null ? null : Math.floor(percent),
      reason,
      paused: record.paused,
      needs_consent: isWaitingForConsent,
      group: this.#isEnabled ? settings.group : null,
      rollout: found.rollout ?? null,
      metadata: this.#source.versions,
      stale: found.stale ?? null,
      shadow: shadowStatus(this.#proof.summary),
      last: record.last,
      checked,
    }
  }

  /** Asked before each start of a vision process. */
  nextModel(): Promise<ModelSource> {
    return this.#trial.nextModel()
  }

  noteResult(result: ModelResult): void {
    this.#trial.noteResult(result)
  }

  noteShadow(sample: ShadowSample): void {
    this.#proof.noteShadow(sample)
  }

  noteCandidateDown(failure: ModelFailure): void {
    this.#proof.noteCandidateDown(failure)
  }

  /** The vision process went down; `failure` says why, null when no model can have done it. */
  noteDown(reason: string, failure: ModelFailure | null): void {
    this.#proof.noteDown(reason, failure === null)
    this.#trial.noteDown(failure)
  }

  noteThrottled(isThrottled: boolean): void {
    this.#trial.noteThrottled(isThrottled)
  }

  /** Works until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    if (this.#slots.record.stage === 'trial') await this.#try((job) => this.#update.resume(job), signal)
    if (!this.#isEnabled) return
    const { pollMs, spreadMs = usualSpreadMs } = this.#options.settings
    // A proof that was cut short goes on soon.
    let waitMs = this.#slots.record.stage === 'idle' ? Math.random() * spreadMs : 0
    let delays = backoffDelays(retryBackoff)
    for (let { rings } = this.#bell; !signal.aborted; ) {
      const until = AbortSignal.any([signal, AbortSignal.timeout(Math.ceil(waitMs))])
      await this.#bell.moreThan(rings, this.#slots.record.paused ? signal : until)
      // Those that come while it works are news.
      rings = this.#bell.rings
      if (signal.aborted || this.#slots.record.paused) continue
      const isFine = await this.#try((job) => this.#update.run(job), signal)
      if (isFine) delays = backoffDelays(retryBackoff)
      waitMs = isFine ? pollMs * (0.8 + 0.4 * Math.random()) : Math.min(pollMs, delays.next().value)
    }
  }

  async check(): Promise<void> {
    this.#requireEnabled()
    if (this.#slots.record.paused) throw refused('updates are paused: resume_updates first')
    this.#again()
  }

  hint(version: number): void {
    const known = this.#source.versions?.timestamp ?? 0
    if (!this.#isEnabled || !this.#hints.isHeard(version, known, performance.now())) return
    const { spreadMs = usualSpreadMs } = this.#options.settings
    setTimeout(() => this.#again(), Math.random() * spreadMs).unref()
  }

  async install(): Promise<void> {
    if (this.#update.phase !== 'waiting') throw refused('no model waits to be installed')
    this.#update.consent()
  }

  async cancel(): Promise<void> {
    const { phase, candidate } = this.#update
    if (candidate === null) throw refused('no update is under way')
    if (phase === 'trial') return this.#trial.end({ ...byCommand, outcome: 'rolled_back' })
    await this.#alone(async () => this.#update.tell(await this.#slots.giveUp(candidate, byCommand)))
  }

  async pause(): Promise<void> {
    this.#requireEnabled()
    await this.#slots.pause(true)
    if (this.#update.phase !== 'trial') this.#abort.abort(new Error('paused'))
    this.#options.onChange()
  }

  async resume(): Promise<void> {
    this.#requireEnabled()
    await this.#slots.pause(false)
    this.#bell.ring()
    this.#options.onChange()
  }

  async retry(): Promise<void> {
    this.#requireEnabled()
    if (this.#update.phase === 'trial') throw refused('a model is on probation: cancel_update takes it back')
    await this.#alone(() => this.#slots.forgive())
    this.#bell.ring()
  }

  async rollback(): Promise<void> {
    const ending: Ending = { ...byCommand, outcome: 'rolled_back', code: 'rolled_back_by_command' }
    if (this.#update.phase === 'trial') return this.#trial.end(ending)
    await this.#alone(() => this.#goBack(ending))
  }

  async #goBack(ending: Ending): Promise<void> {
    const { stage } = this.#options
    const { previous } = this.#slots.record
    if (previous === null) throw refused('there is no model before this one')
    if (previous !== 'factory' && !(await this.#source.isApproved(previous)))
      throw refused(`${previous.name} ${previous.version} is no longer approved`)
    const source = await this.#slots.previous()
    if (source === undefined) throw refused('the files of the model before are damaged')
    // One that can't be loaded beside the present one shows that before anything has changed.
    if (stage.isServing) await stage.loadCandidate(source)
    try {
      const outcome = await this.#slots.goBack(ending)
      await stage.swap().catch(() => stage.restartVision('the model before takes over again'))
      this.#update.tell(outcome)
    } finally {
      stage.releaseSpare()
    }
  }

  /** True when it came to an end of its own, and nothing was in its way. */
  #try(work: (signal: AbortSignal) => Promise<void>, signal: AbortSignal): Promise<boolean> {
    return this.#exclusive(async (abort) => {
      const job = AbortSignal.any([signal, abort])
      try {
        await work(job)
        return true
      } catch (error) {
        if (job.aborted) return true
        this.#update.reason = describeError(error)
        this.#options.log.warn({ problem: this.#update.reason }, 'the update goes on later')
        return false
      } finally {
        this.#update.rest()
      }
    })
  }

  /** Ends what is under way, and does something before anything else begins. */
  #alone(work: () => Promise<void>): Promise<void> {
    this.#abort.abort(new Error('told to stop'))
    return this.#exclusive(work)
  }

  /** One after the other. */
  #exclusive<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const done = this.#turn.then(() => {
      this.#abort = new AbortController()
      return work(this.#abort.signal)
    })
    this.#turn = done.catch(() => {})
    return done
  }

  /** Looks anew: what has not taken over begins anew with what there is then. Parts of files are kept. */
  #again(): void {
    if (this.#update.phase !== 'trial') this.#abort.abort(new Error('there is news'))
    this.#bell.ring()
  }

  get #isEnabled(): boolean {
    return this.#options.settings.transports.length > 0
  }

  #requireEnabled(): void {
    if (!this.#isEnabled)
      throw new SightdError('turned_off', 'updates are off: `ota.sources` in the configuration file')
  }
}

const byCommand: Ending = { outcome: 'cancelled', code: 'cancelled', reason: 'by command', isBad: true }

function named(model: { readonly name: string; readonly version: string } | null) {
  return model === null ? null : { name: model.name, version: model.version }
}

function refused(why: string): SightdError {
  return new SightdError('update_refused', why)
}
