import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import * as v from 'valibot'
import { configSchema } from '../../src/config/schema.ts'
import type { Metrics } from '../../src/core/metrics.ts'
import { updatesOff } from '../../src/core/update-status.ts'
import type { VisionModel, VisionResult } from '../../src/core/vision-protocol.ts'
import { bundledModel } from '../../src/daemon.ts'
import { MqttDevice } from '../../src/mqtt/device.ts'
import type { BrokerSettings } from '../../src/mqtt/wire.ts'
import type { ModelStage } from '../../src/ota/model-stage.ts'
import { openTransport } from '../../src/ota/transport.ts'
import { Updater } from '../../src/ota/updater.ts'
import { EventStream } from '../../src/pipeline/event-stream.ts'
import { createEventIds } from '../../src/pipeline/events/event-engine.ts'

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

/** Somebody walks through the picture for `visitMs` of each `roundMs`: a `new`, three `update` and an `end`. */
const roundMs = 20_000
const visitMs = 8000

const model: VisionModel = {
  name: 'ssdlite-mobilenet-v2-coco',
  version: '1',
  sha256: '6d1c0376231b',
  task: 'detection',
  threshold: 0.5,
}
const counters = { captured: 0, inferred: 0, dropped: 0, skipped: 0, still: 0, pending: 0 }
const board = { sw: '0.1.0', node: process.versions.node, ort: '1.30.0', os: null, arch: 'arm64', board: null }
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
  #frames = 0

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
      this.#mqtt.publish.metrics(this.#metrics)
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
    const metrics = this.#mqtt.metrics
    const { events_dropped_total: dropped, events_expired_total: expired, events_corrupt_total: corrupt } = metrics
    return { pending: metrics.events_pending, lost: dropped + expired + corrupt + metrics.events_refused_total }
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
    const result = this.#result(Date.now())
    this.#stream.note(result)
    this.#mqtt.publish.result(result, model, model.threshold, this.#resultRate)
  }

  #tell(isHeartbeat = false): void {
    this.#mqtt.publish.state(
      {
        status: 'running',
        reason: null,
        camera: { state: 'online', source: 'libcamera', reason: null, advice: null },
        model: { name: model.name, version: model.version },
        inference: 'ON',
        threshold: model.threshold,
        max_fps: null,
        fps: 10,
        governor: { active: false, reason: null },
        vision: { restarts: 0 },
        ...this.#mqtt.state,
        settings: { problem: null },
      },
      isHeartbeat,
    )
    this.#mqtt.publish.update(this.#updater.status, model)
  }

  #result(atMs: number): VisionResult {
    const inRound = (atMs + this.#phaseMs) % roundMs
    const left = 0.9 * (inRound / visitMs) * 0.9
    const box = { xmin: left, ymin: 0.2, xmax: left + 0.1, ymax: 0.8 }
    const person = { label: 'person', classId: 1, score: 0.8, box }
    return {
      type: 'result',
      frame: { id: this.#frames++, width: 640, height: 480, capturedAtMs: atMs, ageMs: 0.1 },
      finding: { task: 'detection', detections: inRound < visitMs ? [person] : [] },
      timingMs: { preprocess: 1.2, inference: 60, decode: 0.3, total: 61.5 },
      counters,
    }
  }

  get #metrics(): Metrics {
    return {
      uptime_s: Math.round(performance.now() / 1000),
      control_rss_mb: 78,
      vision_rss_mb: 64,
      temp_c: 58.9,
      throttled: false,
      undervoltage: false,
      governor_active: false,
      camera_online: true,
      fps: 10,
      inference_ms_p50: 60,
      inference_ms_p95: 70,
      frame_age_ms_p95: 0.4,
      frames_captured_total: this.#frames,
      frames_inferred_total: this.#frames,
      frames_dropped_total: 0,
      frames_skipped_total: 0,
      frames_still_total: 0,
      vision_restarts_total: 0,
      ...this.#mqtt.metrics,
    }
  }
}
