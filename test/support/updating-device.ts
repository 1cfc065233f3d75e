import { readdirSync, statSync } from 'node:fs'
import { cp, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { onTestFinished } from 'vitest'
import type { UpdateOutcome, UpdateStatus } from '../../src/core/update-status.ts'
import { openTransport } from '../../src/ota/transport.ts'
import type { UpdateSettings } from '../../src/ota/update-settings.ts'
import { Updater } from '../../src/ota/updater.ts'
import type { RepositoryServer } from './repository-server.ts'
import { StagedVision } from './staged-vision.ts'
import { tempFolder } from './temp-folder.ts'
import { tinyModel } from './tiny-model.ts'
import { UpdateRepository } from './update-repository.ts'

type Settings = Partial<UpdateSettings>

/** An updater with a real repository on a real server, and a vision side that is at once with everything. */
export class UpdatingDevice {
  readonly repository: UpdateRepository
  readonly server: RepositoryServer
  folder: string
  readonly outcomes: UpdateOutcome[] = []
  /** Lines of the log. */
  readonly said: string[] = []
  /** Phases in their order, each once. */
  readonly phases: string[] = []
  /** How far they were. */
  readonly percents: string[] = []
  vision = new StagedVision()
  isConnected = true
  #settings: Settings
  readonly #factoryDir: string
  #boots = 1
  #isOver = false
  #updater: Updater | undefined
  #stop = new AbortController()
  #running: Promise<void>[] = []

  private constructor(repository: UpdateRepository, server: RepositoryServer, folder: string, factoryDir: string) {
    this.repository = repository
    this.server = server
    this.folder = folder
    this.#factoryDir = factoryDir
    this.#settings = {}
  }

  /** With a model of version 1, and nothing that should run. */
  static async start(settings: Settings = {}, prepare: (vision: StagedVision) => void = () => {}) {
    const repository = await UpdateRepository.create()
    const server = await repository.serve()
    const device = new UpdatingDevice(repository, server, join(await tempFolder(), 'ota'), await tinyModel('1'))
    onTestFinished(() => {
      device.#isOver = true
      return device.stop()
    })
    prepare(device.vision)
    await device.restart(settings)
    return device
  }

  get updater(): Updater {
    if (this.#updater === undefined) throw new Error('it is not running')
    return this.#updater
  }

  get status(): UpdateStatus {
    return this.updater.status
  }

  /** Ends in order and starts again; settings stay as they were but for these. */
  async restart(settings: Settings = {}, { bootId = `boot-${this.#boots}` } = {}): Promise<void> {
    await this.stop()
    await this.open(settings, bootId)
    this.start()
  }

  /** Opens it; nothing works yet. */
  async open(settings: Settings = {}, bootId = `boot-${this.#boots}`): Promise<void> {
    this.#settings = { ...this.#settings, ...settings }
    const before = this.vision
    this.vision = new StagedVision()
    Object.assign(this.vision, { ...before, active: undefined, spare: undefined })
    this.#updater = await Updater.open({
      folder: this.folder,
      factoryDir: this.#factoryDir,
      settings: {
        transports: [openTransport(this.server.url)],
        root: await readFile(this.repository.rootPath),
        group: 'porch',
        pollMs: 3_600_000,
        needsConsent: false,
        mayTakeOver: () => true,
        shadowMs: 1,
        probationMs: 1,
        probationResults: 5,
        maxModelBytes: 10_000_000,
        slowdown: 2,
        reserveBytes: 0,
        ...this.#settings,
      },
      deviceId: 'device',
      bootId,
      floorMs: 0,
      stage: this.vision,
      isConnected: () => this.isConnected,
      onChange: () => this.#noteChange(),
      onOutcome: (outcome) => this.outcomes.push(outcome),
      log: { info: (_, text) => this.said.push(text), warn: (_, text) => this.said.push(text) },
    })
  }

  start({ hasVision = true } = {}): void {
    this.#stop = new AbortController()
    this.#running = [this.updater.run(this.#stop.signal)]
    if (hasVision) this.startVision()
  }

  startVision(): void {
    this.#running.push(this.vision.run(this.updater, this.#stop.signal))
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    await Promise.all(this.#running)
  }

  /** Nothing of this life writes any more, and the next one begins with what is on the disk. */
  async losePower(): Promise<void> {
    const folder = join(await tempFolder(), 'ota')
    await cp(this.folder, folder, { recursive: true, verbatimSymlinks: true })
    await this.stop()
    this.#boots++
    this.folder = folder
    await this.open()
    this.start()
    await this.until(({ active }) => this.vision.active !== undefined && active !== null)
  }

  /** What the status comes to as soon as it fits. */
  async until(fits: (status: UpdateStatus) => boolean): Promise<UpdateStatus> {
    while (!fits(this.status)) {
      if (this.#isOver) throw new Error('the test is over')
      await setImmediate()
    }
    return this.status
  }

  /** Of the longest part of a file that is here. */
  get partBytes(): number {
    const folder = join(this.folder, 'part')
    return Math.max(
      0,
      ...readdirSync(folder).map((name) => statSync(join(folder, name), { throwIfNoEntry: false })?.size ?? 0),
    )
  }

  /** In that phase. */
  in(phase: UpdateStatus['phase']): Promise<UpdateStatus> {
    return this.until((status) => status.phase === phase)
  }

  /** Publishes a model of that version, for all of the group, and looks. */
  async offer(version: string, options: Parameters<UpdateRepository['offer']>[1] = {}): Promise<void> {
    await this.repository.offer(await tinyModel(version), options)
    await this.updater.check()
  }

  /** What becomes of the model of that version, once all is over. */
  async verdict(version: string, isOther: (outcome: UpdateOutcome) => boolean = () => true): Promise<UpdateOutcome> {
    const { last } = await this.until(
      ({ last, phase }) => last !== null && last.model.version === version && phase === 'idle' && isOther(last),
    )
    if (last === null) throw new Error('no outcome')
    return last
  }

  /** A look to its end, at which nothing is under way. */
  async look(): Promise<UpdateStatus> {
    const { checked } = this.status
    await this.updater.check()
    return this.until((status) => status.phase === 'idle' && status.checked !== checked)
  }

  #noteChange(): void {
    const { phase, percent } = this.status
    if (percent !== null) this.percents.push(`${phase} ${percent}`)
    if (this.phases.at(-1) !== phase) this.phases.push(phase)
  }
}
