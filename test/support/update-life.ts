import { setImmediate } from 'node:timers/promises'
import { describeError } from '../../src/core/errors.ts'
import type { ModelFailure, ModelSource } from '../../src/core/model-trial.ts'
import type { UpdateOutcome } from '../../src/core/update-status.ts'
import type { Transport } from '../../src/ota/transport.ts'
import { Updater } from '../../src/ota/updater.ts'
import { type LoadPlace, SimulatedVision } from './simulated-vision.ts'
import { type ReadableDisk, roles, StoredUpdates } from './stored-updates.ts'
import { type Facts, withEnding, withMetadata, withSettled } from './update-facts.ts'

export type Failures = Readonly<Record<string, ModelFailure>>

/** A model as the repository has it. */
export type SignedModel = { readonly version: string; readonly sha256: string; readonly rollbackIndex: number }

/** A fleet: what its devices came with, and what its operator has signed. */
export type Fleet = {
  readonly root: Uint8Array
  readonly factoryDir: string
  readonly group: string
  readonly models: readonly SignedModel[]
}

export type LifeOptions = {
  readonly disk: ReadableDisk
  readonly fleet: Fleet
  readonly transport: Transport
  readonly bootId: string
  readonly facts: Facts
  /** How a model fails in charge, by its version. */
  readonly failures?: Failures
  /** How long the vision side takes for anything; a turn of the event loop if left out. */
  readonly tick?: () => Promise<unknown>
  /** So many of them after an update's end, and all that it does is done; 1 if left out. */
  readonly quietTicks?: number
  readonly onFacts?: (facts: Facts) => void
  readonly onPhase?: (phase: string) => void
  /** Called when a model is about to be loaded. */
  readonly onLoad?: (version: string, place: LoadPlace) => void
}

/** So many ticks anything may take. */
const patience = 4000

/** One process with an updater and its vision side, from its start on a disk; what it does against the rules is noted. */
export class Life {
  readonly problems: string[] = []
  /** Lines of the log. */
  readonly said: string[] = []
  readonly stored: StoredUpdates
  readonly #options: LifeOptions
  readonly #tick: () => Promise<unknown>
  readonly #vision: SimulatedVision
  readonly #stop = new AbortController()
  readonly #running: Promise<void>[] = []
  #facts: Facts
  #updater: Updater | undefined
  #rests = 0

  private constructor(options: LifeOptions) {
    this.#options = options
    this.#facts = options.facts
    this.#tick = options.tick ?? setImmediate
    this.stored = new StoredUpdates(options.disk)
    this.#vision = new SimulatedVision({
      updater: () => this.updater,
      tick: this.#tick,
      failureOf: (source) => options.failures?.[this.#versionOf(source)],
      onLoad: (source, place) => this.#noteLoad(source, place),
    })
  }

  /** Opens the updater, starts the vision side, and goes on with what an earlier life has begun. */
  static async start(options: LifeOptions): Promise<Life> {
    const life = new Life(options)
    life.#checkFloors()
    try {
      life.#updater = await life.#open()
    } catch (error) {
      life.problems.push(`does not open: ${describeError(error)}`)
      return life
    }
    const { settled, underWay } = life.facts
    const { version } = life.updater.status.active ?? { version: 'none' }
    if (version !== settled && version !== underWay)
      life.problems.push(`${version} is in charge, ${settled} was (${underWay} under way)`)
    life.#noteStatus()
    const isTrial = life.stored.record?.stage === 'trial'
    const { signal } = life.#stop
    life.#running.push(life.updater.run(signal), life.#vision.run(signal))
    if (isTrial) await life.#until(() => life.#rests > 0, 'the trial does not end')
    return life
  }

  get isOpen(): boolean {
    return this.#updater !== undefined
  }

  get updater(): Updater {
    if (this.#updater === undefined) throw new Error('it was not opened')
    return this.#updater
  }

  get facts(): Facts {
    return this.#facts
  }

  set facts(facts: Facts) {
    this.#facts = facts
    this.#options.onFacts?.(facts)
  }

  /** The version of the model that serves. */
  get serving(): string {
    const source = this.#vision.active
    return source === undefined ? 'nothing' : this.#versionOf(source)
  }

  /** One look at the repository, and all that comes of it. */
  async look(): Promise<void> {
    const before = this.#rests
    await this.updater.check()
    await this.#until(() => this.#rests > before, 'a look does not end')
  }

  /** By command, to the model before. */
  async rollback(to: string): Promise<void> {
    this.facts = { ...this.facts, underWay: to }
    await this.updater.rollback().catch((error: unknown) => this.said.push(describeError(error)))
  }

  /** By command: a model that has failed is tried again. */
  async retry(): Promise<void> {
    this.facts = { ...this.facts, bad: [] }
    await this.updater.retry()
  }

  async end(): Promise<void> {
    this.#stop.abort()
    await Promise.all(this.#running)
    this.#checkFloors()
  }

  async #until(fits: () => boolean, problem: string): Promise<void> {
    let quiet = 0
    for (let ticks = 0; ticks < patience; ticks++) {
      // What is to be cleaned up comes after it has said so.
      quiet = fits() && this.updater.status.phase === 'idle' ? quiet + 1 : 0
      if (quiet > (this.#options.quietTicks ?? 1)) return
      await this.#tick()
    }
    this.problems.push(`${problem}: ${JSON.stringify(this.updater.status)}`)
  }

  #open(): Promise<Updater> {
    const { fleet, transport, bootId } = this.#options
    const say = (fields: object, text: string) => this.said.push(`${text} ${JSON.stringify(fields)}`)
    return Updater.open({
      folder: this.stored.folder,
      factoryDir: fleet.factoryDir,
      settings: {
        transports: [transport],
        root: fleet.root,
        group: fleet.group,
        pollMs: 3_600_000,
        needsConsent: false,
        mayTakeOver: () => true,
        shadowMs: 0.001,
        probationMs: 0.001,
        probationResults: 3,
        maxModelBytes: 10_000_000,
        slowdown: 2,
        reserveBytes: 0,
      },
      deviceId: 'device',
      bootId,
      floorMs: 0,
      stage: this.#vision,
      isConnected: () => true,
      onChange: () => {
        const { phase } = this.updater.status
        if (phase === 'idle') this.#rests++
        this.#options.onPhase?.(phase)
        this.#noteStatus()
      },
      onOutcome: (outcome) => this.#noteOutcome(outcome),
      log: { info: say, warn: say },
    })
  }

  /** The status is a report as well. */
  #noteStatus(): void {
    const { active, last, metadata } = this.updater.status
    const { settled, underWay } = this.facts
    if (active !== null && active.version !== settled && active.version === underWay) this.#settle(active.version)
    if (last !== null) this.facts = withEnding(this.facts, last)
    if (metadata !== null)
      this.facts = withMetadata(
        this.facts,
        roles.map((role) => metadata[role] ?? 0),
      )
  }

  #noteOutcome(reported: UpdateOutcome): void {
    const { settled, underWay } = this.facts
    if (reported.outcome === 'committed') this.#settle(reported.model.version)
    else if (reported.model.version === settled) this.#settle(underWay ?? 'none')
    this.facts = withEnding(this.facts, reported)
  }

  #settle(version: string): void {
    const { models } = this.#options.fleet
    const { rollbackIndex = 0 } = models.find((model) => model.version === version) ?? {}
    this.facts = withSettled(this.facts, version, rollbackIndex)
  }

  #noteLoad(source: ModelSource, place: LoadPlace): void {
    const version = this.#versionOf(source)
    const { settled, underWay, bad } = this.facts
    if (place === 'charge' && settled !== version && underWay !== version)
      this.problems.push(`${version} is loaded, in charge is ${settled}`)
    if (bad.includes(version)) this.problems.push(`${version} is loaded again (${place})`)
    this.#options.onLoad?.(version, place)
    if (place !== 'charge' && version !== settled) this.facts = { ...this.facts, underWay: version }
  }

  /** Of a model that is about to be loaded, and looked at. */
  #versionOf({ dir, manifestSha256 }: ModelSource): string {
    const { factoryDir, models } = this.#options.fleet
    if (manifestSha256 === null) {
      if (dir !== factoryDir) this.problems.push(`${dir} is no factory model`)
      return '0'
    }
    const { version, torn } = this.stored.check(dir, manifestSha256)
    if (!models.some(({ sha256 }) => sha256 === manifestSha256)) this.problems.push(`${dir} was never signed`)
    if (torn.length > 0) this.problems.push(`${torn} of ${version} is torn`)
    return version
  }

  /** Neither the rollback floor nor a version of metadata is lower than it was once. */
  #checkFloors(): void {
    const { metadata, floor } = this.facts
    const now = this.stored.record?.floor ?? 0
    if (now < floor) this.problems.push(`the rollback floor went from ${floor} to ${now}`)
    for (const [i, version] of this.stored.metadata.entries())
      if (version < (metadata[i] ?? 0)) this.problems.push(`${roles[i]} went from ${metadata[i]} to ${version}`)
  }
}
