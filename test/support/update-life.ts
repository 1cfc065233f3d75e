import { setImmediate } from 'node:timers/promises'
import * as v from 'valibot'
import { describeError } from '../../src/core/errors.ts'
import type { ModelFailure, ModelSource } from '../../src/core/model-trial.ts'
import type { UpdateOutcome } from '../../src/core/update-status.ts'
import { Updater } from '../../src/ota/updater.ts'
import type { CrashDisk } from './crash-disk.ts'
import { SimulatedVision } from './simulated-vision.ts'
import { group, type Offer, sha256Of, transportOf, type UpdateWorld } from './update-world.ts'

export type Failures = Readonly<Record<string, ModelFailure>>

/** What the world has seen of a device, which no crash may undo. Versions of models; never changed in place. */
export type Facts = {
  /** Of the metadata that it trusts: root, timestamp, snapshot, targets. */
  readonly metadata: readonly number[]
  readonly floor: number
  /** In charge by the newest report, and what may be so without one. */
  readonly settled: string
  readonly underWay: string | undefined
  /** Reported as not good. */
  readonly bad: readonly string[]
}

export const noFacts: Facts = { metadata: [0, 0, 0, 0], floor: 0, settled: '0', underWay: undefined, bad: [] }

export type LifeOptions = {
  readonly disk: CrashDisk
  readonly world: UpdateWorld
  readonly offer: Offer
  readonly bootId: string
  readonly facts: Facts
  /** How a model fails in charge, by its version. */
  readonly failures?: Failures
  readonly onFacts?: (facts: Facts) => void
  /** Called when a model is about to be loaded. */
  readonly onLoad?: (version: string, where: string) => void
}

const modelSchema = v.object({ version: v.string(), sha256: v.string() })
const recordSchema = v.pipe(
  v.string(),
  v.parseJson(),
  v.object({
    seq: v.number(),
    active: v.nullable(modelSchema),
    previous: v.nullable(v.union([modelSchema, v.literal('factory')])),
    candidate: v.nullable(v.object({ version: v.string() })),
    stage: v.string(),
    tries: v.number(),
    bad: v.array(v.tuple([v.string(), v.string()])),
    floor: v.number(),
  }),
)
export type SeenRecord = v.InferOutput<typeof recordSchema>

const filesSchema = v.pipe(
  v.string(),
  v.parseJson(),
  v.object({ version: v.string(), files: v.record(v.string(), v.object({ bytes: v.number(), sha256: v.string() })) }),
)
const versionSchema = v.pipe(v.string(), v.parseJson(), v.object({ signed: v.object({ version: v.number() }) }))

/** Codes of failures that were not the model's. */
const passing = ['store_failed', 'no_space', 'storage']

/** So many turns of the event loop anything may take. */
const outlook = 4000

/** The digests of what says what a group should run. */
function desiredIn({ files }: Offer): string[] {
  const names = [...files.keys()].filter((name) => name.startsWith('targets/desired/'))
  return names.map((name) => name.slice('targets/desired/'.length).split('.')[0] ?? '')
}

/** One process with an updater and its vision side, from its start on a disk; what it does against the rules is noted. */
export class Life {
  readonly problems: string[] = []
  /** Lines of the log. */
  readonly said: string[] = []
  readonly outcomes: UpdateOutcome[] = []
  #facts: Facts
  readonly #options: LifeOptions
  readonly #vision: SimulatedVision
  readonly #stop = new AbortController()
  readonly #running: Promise<void>[] = []
  #updater: Updater | undefined
  #restsSeen = 0

  private constructor(options: LifeOptions) {
    this.#options = options
    this.#facts = options.facts
    this.#vision = new SimulatedVision({
      updater: () => this.updater,
      failureOf: (source) => options.failures?.[this.#versionOf(source)],
      onLoad: (source, where) => this.#noteLoad(source, where),
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
    life.#noteShown()
    const isTrial = life.record?.stage === 'trial'
    const { signal } = life.#stop
    life.#running.push(life.updater.run(signal), life.#vision.run(signal))
    if (isTrial) await life.#until(() => life.#restsSeen > 0, 'the trial does not end')
    return life
  }

  get facts(): Facts {
    return this.#facts
  }

  set facts(facts: Facts) {
    this.#facts = facts
    this.#options.onFacts?.(facts)
  }

  get updater(): Updater {
    if (this.#updater === undefined) throw new Error('it was not opened')
    return this.#updater
  }

  get isOpen(): boolean {
    return this.#updater !== undefined
  }

  /** One look at the repository, and all that comes of it. */
  async look(): Promise<void> {
    if (!this.isOpen) return
    const before = this.#restsSeen
    await this.updater.check()
    await this.#until(() => this.#restsSeen > before, 'a look does not end')
  }

  /** By command. */
  async rollback(to: string): Promise<void> {
    this.facts = { ...this.facts, underWay: to }
    await this.updater.rollback().catch((error: unknown) => this.said.push(describeError(error)))
  }

  async end(): Promise<void> {
    this.#stop.abort()
    await Promise.all(this.#running)
    this.#checkFloors()
  }

  /** Of the two on the disk the newer one that is whole. */
  get record(): SeenRecord | undefined {
    const found = [0, 1].map((at) => {
      const bytes = this.#options.disk.peek(`${this.#folder}/record.${at}`)
      if (bytes === undefined || sha256Of(bytes.subarray(64)) !== bytes.toString('latin1', 0, 64)) return undefined
      const parsed = v.safeParse(recordSchema, bytes.toString('utf8', 64))
      return parsed.success ? parsed.output : undefined
    })
    return found.toSorted((a, b) => (b?.seq ?? -1) - (a?.seq ?? -1))[0]
  }

  /** The version of the model that serves, and whether its files are what was signed. */
  get serving(): string {
    const source = this.#vision.active
    return source === undefined ? 'nothing' : this.#versionOf(source)
  }

  /** What is on the disk of models that have no place in the record, or of none at all. */
  get litter(): string[] {
    const { disk, offer } = this.#options
    const { record } = this
    const kept = new Set(this.#updater === undefined ? [] : [...desiredIn(offer)])
    for (const model of [record?.active, record?.previous]) {
      if (model === null || model === undefined || model === 'factory') continue
      kept.add(model.sha256)
      const bytes = disk.peek(`${this.#folder}/blobs/${model.sha256}`)
      const parsed = v.safeParse(filesSchema, bytes?.toString())
      if (parsed.success) for (const { sha256 } of Object.values(parsed.output.files)) kept.add(sha256)
    }
    return ['blobs', 'part'].flatMap((name) => disk.names(`${this.#folder}/${name}`)).filter((name) => !kept.has(name))
  }

  async #until(fits: () => boolean, problem: string): Promise<void> {
    for (let turn = 0; turn < outlook; turn++) {
      if (fits()) return
      await setImmediate()
    }
    this.problems.push(`${problem}: ${JSON.stringify(this.updater.status)}`)
  }

  get #folder(): string {
    return `${this.#options.disk.path}/ota`
  }

  #open(): Promise<Updater> {
    const { world, offer, bootId } = this.#options
    const say = (fields: object, text: string) => this.said.push(`${text} ${JSON.stringify(fields)}`)
    return Updater.open({
      folder: this.#folder,
      factoryDir: world.factoryDir,
      settings: {
        transports: [transportOf(offer.files)],
        root: world.root,
        group,
        pollMs: 3_600_000,
        needsConsent: false,
        mayTakeOver: () => true,
        shadowMs: 0.001,
        probationMs: 0.001,
        probationResults: 3,
        maxModelBytes: 1_000_000,
        slowdown: 2,
        reserveBytes: 0,
      },
      deviceId: 'device',
      bootId,
      floorMs: 0,
      stage: this.#vision,
      isConnected: () => true,
      onChange: () => this.#noteChange(),
      onOutcome: (outcome) => this.#noteOutcome(outcome),
      log: { info: say, warn: say },
    })
  }

  #noteChange(): void {
    const { phase, metadata } = this.updater.status
    if (phase === 'idle') this.#restsSeen++
    this.#noteShown()
    if (metadata === null) return
    const seen = [metadata.root, metadata.timestamp ?? 0, metadata.snapshot ?? 0, metadata.targets ?? 0]
    this.facts = { ...this.facts, metadata: seen.map((version, i) => Math.max(version, this.facts.metadata[i] ?? 0)) }
  }

  /** The status is a report as well. */
  #noteShown(): void {
    const { active, last } = this.updater.status
    const { settled, underWay } = this.facts
    if (active !== null && active.version !== settled && active.version === underWay) this.#settle(active.version)
    if (last !== null) this.#noteBad(last)
  }

  #noteOutcome(reported: UpdateOutcome): void {
    const { outcome, model } = reported
    this.outcomes.push(reported)
    if (outcome === 'committed') this.#settle(model.version)
    else if (model.version === this.facts.settled) this.#settle(this.facts.underWay ?? 'none')
    this.#noteBad(reported)
  }

  #settle(version: string): void {
    const { offers } = this.#options.world
    const index = offers.find(({ model }) => model.version === version)?.model.rollbackIndex ?? 0
    const floor = Math.max(this.facts.floor, index)
    this.facts = { ...this.facts, floor, settled: version, underWay: undefined }
  }

  #noteBad({ outcome, code, model: { version } }: UpdateOutcome): void {
    const { facts } = this
    if (outcome === 'committed' || passing.includes(code) || facts.bad.includes(version)) return
    const underWay = facts.underWay === version ? undefined : facts.underWay
    this.facts = { ...facts, underWay, bad: [...facts.bad, version] }
  }

  #noteLoad(source: ModelSource, where: string): void {
    const version = this.#versionOf(source)
    if (where === 'charge' && this.facts.settled !== version && this.facts.underWay !== version)
      this.problems.push(`${version} is loaded, in charge is ${this.facts.settled}`)
    if (this.facts.bad.includes(version)) this.problems.push(`${version} is loaded again (${where})`)
    this.#options.onLoad?.(version, where)
    if (where === 'spare' && version !== this.facts.settled) this.facts = { ...this.facts, underWay: version }
  }

  /** Of a model that is about to be loaded, and looked at. */
  #versionOf({ dir, manifestSha256 }: ModelSource): string {
    const { disk, world } = this.#options
    if (manifestSha256 === null) {
      if (dir !== world.factoryDir) this.problems.push(`${dir} is no factory model`)
      return '0'
    }
    const bytes = disk.peek(`${dir}/manifest.json`) ?? Buffer.of()
    const isSigned = world.offers.some(({ model }) => model.sha256 === manifestSha256)
    if (!isSigned || sha256Of(bytes) !== manifestSha256) {
      this.problems.push(`${dir} is not what was signed`)
      return 'unknown'
    }
    const { version, files } = v.parse(filesSchema, bytes.toString())
    for (const [name, { sha256 }] of Object.entries(files))
      if (sha256Of(disk.peek(`${dir}/${name}`) ?? Buffer.of()) !== sha256)
        this.problems.push(`${name} of ${version} is torn`)
    return version
  }

  /** Neither the rollback floor nor a version of metadata is lower than it was once. */
  #checkFloors(): void {
    const { metadata, floor } = this.facts
    const now = this.record?.floor ?? 0
    if (now < floor) this.problems.push(`the rollback floor went from ${floor} to ${now}`)
    for (const [i, role] of ['root', 'timestamp', 'snapshot', 'targets'].entries()) {
      const bytes = this.#options.disk.peek(`${this.#folder}/tuf/${role}.json`)
      const parsed = v.safeParse(versionSchema, bytes?.toString() ?? '')
      const version = parsed.success ? parsed.output.signed.version : 0
      if (version < (metadata[i] ?? 0)) this.problems.push(`${role} went from ${metadata[i]} to ${version}`)
    }
  }
}
