import type { ModelSource } from '../core/model-trial.ts'
import type { OutcomeCode, UpdateOutcome } from '../core/update-status.ts'
import { isShortage } from '../lib/disk-error.ts'
import { DownloadError } from './download-error.ts'
import type { ModelStore } from './model-store.ts'
import type { ModelRef, RecordFiles, UpdateRecord } from './update-record.ts'

/** Ends of a candidate's process, or of ours while it was tried, after which it is not tried again; and of the power. */
const maxDeaths = 3
const maxPowerLosses = 10

/** A candidate that has been written down so often goes round in a circle. */
const maxWrites = 64

export type Candidate = ModelRef & { readonly rollbackIndex: number }
export type Baseline = NonNullable<UpdateRecord['baseline']>
/** How a candidate came to its end; `isBad`: it is not tried again. */
export type Ending = Pick<UpdateOutcome, 'outcome' | 'reason'> & {
  readonly code: OutcomeCode
  readonly isBad: boolean
}

/**
 * Which model is in charge, which one was before, and which one is being tried. Each risk is written down before it is
 * taken, so that whoever starts after a crash knows what has been going on. Methods that write throw an OtaError
 * `store_failed`, and have then changed nothing.
 */
export class ModelSlots {
  readonly #files: RecordFiles
  readonly #store: ModelStore
  readonly #factory: ModelSource
  readonly #bootId: string

  constructor(options: {
    readonly files: RecordFiles
    readonly store: ModelStore
    readonly factory: ModelSource
    /** Names this start of the board: another than the recorded one means that the power was gone. */
    readonly bootId: string
  }) {
    this.#files = options.files
    this.#store = options.store
    this.#factory = options.factory
    // A recorded one says that a try is open.
    this.#bootId = options.bootId || 'unknown'
  }

  get record(): UpdateRecord {
    return this.#files.record
  }

  /** Why it is not tried (again), as the code of its failure. */
  failureOf({ sha256 }: ModelRef): string | undefined {
    return this.record.bad.find(([digest]) => digest === sha256)?.[1]
  }

  /** Whether that was how the candidate, or one of its name and version, ended before. */
  hasLast(code: OutcomeCode): boolean {
    const { candidate, last } = this.record
    return last?.code === code && last.model.name === candidate?.name && last.model.version === candidate.version
  }

  /** Before a candidate is loaded for a proof. Why it may not be, if it has been tried too often. */
  async beginProof({ name, version, length, sha256, rollbackIndex }: Candidate): Promise<Ending | undefined> {
    const { record } = this
    const isKnown = record.candidate?.sha256 === sha256
    const tries = isKnown ? this.#triesAfterStart() : { tries: 1, powerLosses: 0 }
    const verdict = this.#tooMany(tries, isKnown ? record.writes : 0)
    if (verdict !== undefined) return verdict
    await this.#files.write(({ writes }) => ({
      candidate: { name, version, length, sha256, rollbackIndex },
      stage: 'proving',
      ...tries,
      bootId: this.#bootId,
      writes: isKnown ? writes + 1 : 1,
    }))
    return undefined
  }

  /** The proof, or the time in charge so far, has come to an orderly end, whatever it has shown. Twice is as good as once. */
  async endTry(): Promise<void> {
    await this.#files.write(({ tries, stage, bootId, writes }) => ({
      ...(bootId === '' ? {} : { tries: Math.max(0, tries - 1), writes: Math.max(0, writes - 1) }),
      stage: stage === 'trial' ? 'trial' : 'idle',
      bootId: '',
    }))
  }

  /** Before the candidate takes over. */
  async beginTrial({ name, version, length, sha256, rollbackIndex }: Candidate, baseline: Baseline): Promise<void> {
    await this.#files.write(({ writes }) => ({
      candidate: { name, version, length, sha256, rollbackIndex },
      stage: 'trial',
      tries: 1,
      powerLosses: 0,
      bootId: this.#bootId,
      baseline,
      writes: writes + 1,
    }))
  }

  /** Before the candidate is started in charge again. Why it may not be, if it has gone wrong too often. */
  async beginStart(): Promise<Ending | undefined> {
    const tries = this.#triesAfterStart()
    const verdict = this.#tooMany(tries, this.record.writes)
    if (verdict !== undefined) return verdict
    await this.#files.write(({ writes }) => ({ ...tries, bootId: this.#bootId, writes: writes + 1 }))
    return undefined
  }

  /** The candidate is the model in charge from now on: all of it in one write. */
  async commit(): Promise<UpdateOutcome> {
    const { candidate } = this.record
    if (candidate === null) throw new Error('there is no candidate')
    const { rollbackIndex, ...active } = candidate
    const last = outcomeOf(candidate, proved)
    await this.#files.writeTwice((record) => ({
      ...noCandidate,
      active,
      previous: record.active ?? 'factory',
      floor: Math.max(record.floor, rollbackIndex),
      last,
    }))
    return last
  }

  /** A candidate is given up. */
  async giveUp(model: ModelRef, ending: Ending): Promise<UpdateOutcome> {
    const last = outcomeOf(model, ending)
    await this.#files.writeTwice(({ bad }) => ({
      ...noCandidate,
      last,
      ...(ending.isBad ? { bad: withFailure(bad, model, ending.code) } : {}),
    }))
    return last
  }

  /** The model before is in charge from now on, and the present one is not tried again. Undefined when there is none. */
  async goBack(ending: Ending): Promise<UpdateOutcome | undefined> {
    const { active, previous } = this.record
    if (previous === null || active === null) return undefined
    const last = outcomeOf(active, ending)
    await this.#files.writeTwice(({ bad }) => ({
      ...noCandidate,
      active: previous === 'factory' ? null : previous,
      previous: null,
      bad: withFailure(bad, active, ending.code),
      last,
    }))
    return last
  }

  /** The model before, ready to be loaded; undefined when there is none, or it is damaged. */
  async previous(): Promise<ModelSource | undefined> {
    const { previous } = this.record
    if (previous === null) return undefined
    return previous === 'factory' ? this.#factory : this.#store.ready(previous)
  }

  /**
   * The model in charge, ready to be loaded. When it is damaged, or known not to load any more, the one before takes its
   * place, or the one that the device came with, which always is there; `lost` is then what was in charge. Throws nothing.
   */
  async active(isUsable = true): Promise<{ readonly source: ModelSource; readonly lost?: ModelRef }> {
    const { active, previous } = this.record
    if (active === null) return { source: this.#factory }
    const { source, isDamaged } = isUsable ? await this.#ready(active) : { isDamaged: true }
    if (source !== undefined) return { source }
    const { source: instead } = previous === null || previous === 'factory' ? {} : await this.#ready(previous)
    // What a full disk, or too many open files, are to blame for may be otherwise at the next start.
    if (!isDamaged) return { source: instead ?? this.#factory, lost: active }
    await this.#files
      .write(() => ({
        active: instead === undefined || previous === 'factory' ? null : previous,
        previous: null,
        last: outcomeOf(active, damaged),
      }))
      // It is damaged still at the next start, and this is done again.
      .catch(() => {})
    return { source: instead ?? this.#factory, lost: active }
  }

  /** Forgets all failures. */
  async forgive(): Promise<void> {
    await this.#files.write(() => ({ bad: [], last: null, candidate: null, tries: 0, powerLosses: 0, writes: 0 }))
  }

  async pause(paused: boolean): Promise<void> {
    await this.#files.write(() => ({ paused }))
  }

  async raiseTimeFloor(timeFloorMs: number): Promise<void> {
    await this.#files.write(() => ({ timeFloorMs }))
  }

  /** Only files of models that have a place here stay, and these blobs. */
  async clean(blobs: readonly string[]): Promise<void> {
    const { active, previous, candidate } = this.record
    const models = [active, previous === 'factory' ? null : previous, candidate]
    await this.#store.keepOnly(
      models.filter((model) => model !== null),
      blobs,
    )
  }

  #triesAfterStart(): { tries: number; powerLosses: number } {
    const { tries, powerLosses, bootId } = this.record
    const isPowerLoss = bootId !== '' && bootId !== this.#bootId
    return { tries: tries + 1, powerLosses: powerLosses + (isPowerLoss ? 1 : 0) }
  }

  #tooMany({ tries, powerLosses }: { tries: number; powerLosses: number }, writes: number): Ending | undefined {
    const outcome = this.record.stage === 'trial' ? 'rolled_back' : 'failed'
    const deaths = tries - 1 - powerLosses
    if (deaths >= maxDeaths)
      return { outcome, code: 'died', reason: `${deaths} processes have died of it`, isBad: true }
    if (powerLosses >= maxPowerLosses)
      return {
        outcome,
        code: 'died',
        reason: `the power was lost ${powerLosses} times while it was tried`,
        isBad: true,
      }
    if (writes >= maxWrites) return { outcome, code: 'loop', reason: `it was begun anew ${writes} times`, isBad: true }
    return undefined
  }

  async #ready(model: ModelRef): Promise<{ readonly source?: ModelSource; readonly isDamaged: boolean }> {
    try {
      const source = await this.#store.ready(model)
      return source === undefined ? { isDamaged: true } : { source, isDamaged: false }
    } catch (error) {
      return { isDamaged: error instanceof DownloadError && !isShortage(error.cause) }
    }
  }
}

const proved: Ending = { outcome: 'committed', code: 'done', reason: 'it has proved itself', isBad: false }
const damaged: Ending = { outcome: 'failed', code: 'storage', reason: 'it can not be loaded any more', isBad: false }

const noCandidate = {
  candidate: null,
  stage: 'idle',
  tries: 0,
  powerLosses: 0,
  bootId: '',
  baseline: null,
  writes: 0,
} as const

export function outcomeOf({ name, version }: ModelRef, { outcome, code, reason }: Ending): UpdateOutcome {
  return { model: { name, version }, outcome, code, reason, ts: new Date().toISOString() }
}

const maxBad = 32

function withFailure(bad: UpdateRecord['bad'], { sha256 }: ModelRef, code: string): UpdateRecord['bad'] {
  return [...bad.filter(([digest]) => digest !== sha256), [sha256, code] satisfies [string, string]].slice(-maxBad)
}
