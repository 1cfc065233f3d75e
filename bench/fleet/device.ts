import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import * as v from 'valibot'
import { configSchema } from '../../src/config/schema.ts'
import { updatesOff } from '../../src/core/update-status.ts'
import { bundledModel } from '../../src/daemon.ts'
import { MqttDevice } from '../../src/mqtt/device.ts'
import type { BrokerSettings } from '../../src/mqtt/wire.ts'
import type { ModelStage } from '../../src/ota/model-stage.ts'
import { openTransport } from '../../src/ota/transport.ts'
import { Updater } from '../../src/ota/updater.ts'
import { EventStream } from '../../src/pipeline/event-stream.ts'
import { createEventIds } from '../../src/pipeline/events/event-engine.ts'
import { board, condition, metrics, model, resultAt, roundMs } from './made-up.ts'

export type FleetSettings = {
  readonly broker: Omit<BrokerSettings, 'clientId' | 'will'>
  readonly repository: { readonly url: string; readonly root: Buffer }
  readonly resultRate: number
  /** Over which devices spread their looks for updates, at the start and after a nudge. */
  readonly spreadMs: number
}

/** What is worth counting in one device; times are in ms since the epoch. */
export type DeviceHooks = {
  readonly onAttempt: (atMs: number) => void
  readonly onConnected: (atMs: number) => void
  readonly onEvent: (isAway: boolean) => void
}

/** A configuration that says nothing: every device of the fleet has the defaults. */
const { events, mqtt, home_assistant: homeAssistant, ota } = v.parse(configSchema, { camera: { source: 'synthetic' } })

const capabilities = ['classification', 'detection']

/** Nobody has anything to install in this fleet: devices look, and that is all. */
const idleStage: ModelStage = {
  isServing: false,
  selfTest: () => Promise.reject(new Error('no model is offered')),
  loadCandidate: () => Promise.reject(new Error('no model is offered')),
  swap: () => Promise.reject(new Error('no model is offered')),
  releaseSpare: () => {},
  restartVision: () => {},
}

/** The control process without its camera: connection, outbox, topics, events and updates are the daemon's own. */
export class FleetDevice implements AsyncDisposable {
  readonly #mqtt: MqttDevice
  readonly #updater: Updater
  readonly #stream: EventStream
  readonly #resultRate: number
  readonly #stop = new AbortController()
  readonly #phaseMs = Math.random() * roundMs
  readonly #timers: NodeJS.Timeout[] = []
  #running: Promise<void> | undefined

  private constructor(device: MqttDevice, updater: Updater, settings: FleetSettings, { onEvent }: DeviceHooks) {
    this.#mqtt = device
    this.#updater = updater
    this.#resultRate = settings.resultRate
    this.#stream = new EventStream({
      makeId: createEventIds(),
      onEvent: (event) => {
        onEvent(!device.isConnected)
        device.publish.event(event, model)
      },
      onView: (view, atMs) => device.publish.current(view, atMs),
    })
  }

  /** All that a daemon does before it looks for its broker, in a folder of its own. */
  static async open(id: string, folder: string, settings: FleetSettings, hooks: DeviceHooks): Promise<FleetDevice> {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    const boot = `boot-${id}`
    const started = new Date()
    let wasConnected = false
    let updater: Updater | undefined
    const identity = {
      ...board,
      v: 1 as const,
      id,
      name: id,
      serial: id,
      boot,
      started: started.toISOString(),
      capabilities,
    }
    const device: MqttDevice = await MqttDevice.open({
      id,
      boot,
      startedMs: started.getTime(),
      baseTopic: mqtt.base_topic,
      settings: async () => {
        hooks.onAttempt(Date.now())
        return { keepaliveS: mqtt.keepalive_s, sessionExpiryS: mqtt.session_expiry_s, ...settings.broker }
      },
      homeAssistant,
      folder,
      outbox: {
        maxBytes: mqtt.outbox_max_mb * 1024 * 1024,
        maxAgeMs: mqtt.outbox_max_days * 24 * 3600 * 1000,
        replayRate: mqtt.replay_rate,
      },
      commanded: {
        info: () => identity,
        takePicture: () => undefined,
        restart: async () => {},
        settings: () => ({ config: {}, overlay: {} }),
        change: async () => undefined,
        get updates() {
          return updater
        },
        updateStatus: () => updater?.status ?? updatesOff,
      },
      takesHints: true,
      onChange: () => {
        if (device.isConnected && !wasConnected) hooks.onConnected(Date.now())
        wasConnected = device.isConnected
      },
      log: { info: () => {}, warn: () => {} },
    })
    updater = await Updater.open({
      folder: join(folder, 'ota'),
      factoryDir: bundledModel,
      settings: {
        transports: [openTransport(settings.repository.url)],
        root: settings.repository.root,
        group: ota.group,
        pollMs: ota.poll_h * 3_600_000,
        spreadMs: settings.spreadMs,
        needsConsent: false,
        mayTakeOver: () => true,
        shadowMs: 0,
        probationMs: 0,
        probationResults: 0,
        maxModelBytes: 0,
        slowdown: ota.max_slowdown,
      },
      deviceId: id,
      bootId: boot,
      floorMs: 0,
      stage: idleStage,
      isConnected: () => device.isConnected,
      onChange: () => device.publish.update(updater?.status ?? updatesOff, model),
      onOutcome: () => {},
      log: { info: () => {}, warn: () => {} },
    })
    device.publish.info(identity)
    device.publish.allowPictures({ snapshot: false, eventSnapshot: false })
    device.announce({
      ...identity,
      baseTopic: mqtt.base_topic,
      labels: homeAssistant.labels,
      zones: [],
      hasSnapshot: false,
      hasEventSnapshot: false,
      maxFpsOfCamera: 10,
    })
    return new FleetDevice(device, updater, settings, hooks)
  }

  /** Looks for the broker, begins to see, and looks for updates. */
  start(): void {
    this.#mqtt.start()
    this.#stream.configure(events, model.threshold)
    this.#every(1000 / Math.max(2, this.#resultRate), () => this.#look())
    this.#every(1000, () => this.#tell())
    this.#every(60_000, () => {
      this.#tell(true)
      this.#mqtt.publish.metrics({ ...metrics, ...this.#mqtt.metrics })
    })
    this.#running = this.#updater.run(this.#stop.signal)
  }

  /** Nothing new is seen from now on; what was in view has left. */
  hush(): void {
    for (const timer of this.#timers) clearInterval(timer)
    this.#stream.interrupt(Date.now())
  }

  get isConnected(): boolean {
    return this.#mqtt.isConnected
  }

  /** Events that wait, and those that the device itself gave up. */
  get events(): { readonly pending: number; readonly lost: number } {
    const counts = this.#mqtt.metrics
    const { events_dropped_total: dropped, events_expired_total: expired, events_corrupt_total: corrupt } = counts
    return { pending: counts.events_pending, lost: dropped + expired + corrupt + counts.events_refused_total }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.hush()
    this.#stop.abort()
    await this.#running
    await this.#mqtt[Symbol.asyncDispose]()
  }

  /** Devices beat at times of their own. */
  #every(ms: number, act: () => void): void {
    const begin = setTimeout(() => {
      if (!this.#stop.signal.aborted) this.#timers.push(setInterval(act, ms))
    }, Math.random() * ms)
    this.#timers.push(begin)
  }

  #look(): void {
    const result = resultAt(Date.now(), this.#phaseMs)
    this.#stream.note(result)
    this.#mqtt.publish.result(result, model, model.threshold, this.#resultRate)
  }

  #tell(isHeartbeat = false): void {
    this.#mqtt.publish.state({ ...condition, ...this.#mqtt.state }, isHeartbeat)
    this.#mqtt.publish.update(this.#updater.status, model)
  }
}
