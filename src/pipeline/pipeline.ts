import { availableParallelism } from 'node:os'
import type { EventOptions } from '../core/event-options.ts'
import type { Metrics } from '../core/metrics.ts'
import type { SceneEvent, View } from '../core/scene.ts'
import type { SourceOptions } from '../core/source-options.ts'
import type { Tuning, VisionModel, VisionReport, VisionResult } from '../core/vision-protocol.ts'
import type { Ring } from '../lib/ring.ts'
import { round } from '../lib/round.ts'
import { type Condition, DeviceState } from './device-state.ts'
import { EventStream } from './event-stream.ts'
import { createEventIds, lowestScore } from './events/event-engine.ts'
import { type BoardReading, Governor, halvedFps } from './governor.ts'
import { RunStats } from './run-stats.ts'
import { type Picture, VisionSupervisor } from './supervisor.ts'

/** The parts of the configuration that matter here; all but `camera`, `threads`, `max_memory_mb` and `governor` may change. */
export type PipelineConfig = {
  readonly camera: SourceOptions
  readonly inference: {
    readonly enabled: boolean
    readonly threads?: number | undefined
    readonly threshold?: number | undefined
    readonly max_fps?: number | undefined
    readonly max_memory_mb: number
  }
  readonly events: EventOptions
  readonly motion: {
    readonly gate: 'auto' | 'on' | 'off'
    readonly sensitivity: 'low' | 'medium' | 'high'
    readonly idle_s: number
  }
  readonly pictures: { readonly of_events: boolean; readonly max_kb: number }
  readonly governor: { readonly enabled: boolean; readonly hot_c: number; readonly cool_c: number }
}

export type PipelineOptions = {
  readonly config: PipelineConfig
  readonly modelDir: string
  /** The script of the vision process, and an empty folder for it to work in. */
  readonly entry: URL
  readonly workDir: string
  readonly onResult: (result: VisionResult, model: VisionModel) => void
  readonly onEvent: (event: SceneEvent) => void
  readonly onView: (view: View, atMs: number) => void
  readonly onModel: (model: VisionModel) => void
  /** How it is doing may have changed. */
  readonly onChange: () => void
  readonly log: { info(fields: object, text: string): void; warn(fields: object, text: string): void }
}

/** Below this every box of the network would be a find, and sorting them out would take longer than the network itself. */
const leastScore = 0.01

/** The control side of vision: keeps the vision process running and tuned, and makes events of what it reports. */
export class Pipeline {
  readonly #options: PipelineOptions
  readonly #supervisor: VisionSupervisor
  readonly #device = new DeviceState()
  readonly #governor: Governor
  readonly #events: EventStream
  readonly stats = new RunStats()
  #config: PipelineConfig
  #governedFps: number | null = null

  constructor(options: PipelineOptions) {
    const { config, modelDir, entry, workDir, onEvent, onView } = options
    this.#options = options
    this.#config = config
    this.#governor = new Governor({ hotC: config.governor.hot_c, coolC: config.governor.cool_c })
    this.#events = new EventStream({ makeId: createEventIds(), onEvent, onView })
    this.#supervisor = new VisionSupervisor({
      entry,
      workDir,
      maxMemoryMb: config.inference.max_memory_mb,
      start: {
        type: 'start',
        modelDir,
        threads: config.inference.threads ?? Math.max(1, availableParallelism() - 1),
        source: config.camera,
        tuning: this.#tuning(),
      },
      onReport: (report) => this.#note(report),
      onDown: (down) => {
        options.log.warn(down, 'vision process is down and will be started again')
        this.#device.noteDown(down)
        this.#events.interrupt(Date.now())
        options.onChange()
      },
    })
  }

  get model(): VisionModel | undefined {
    return this.#device.model
  }

  /** Score from which a find is reported; undefined until the model is loaded. */
  get threshold(): number | undefined {
    return this.#config.inference.threshold ?? this.model?.threshold
  }

  get pid(): number | undefined {
    return this.#supervisor.pid
  }

  get counters() {
    return this.#supervisor.counters
  }

  /** What the `state` topic says of it. */
  get state() {
    const { camera, model } = this.#device
    const { inference, camera: source } = this.#config
    return {
      ...this.condition,
      camera: { ...camera, source: source.source },
      model: model === undefined ? null : { name: model.name, version: model.version },
      inference: inference.enabled ? ('ON' as const) : ('OFF' as const),
      threshold: this.threshold ?? null,
      max_fps: inference.max_fps ?? null,
      fps: this.stats.fps,
      governor: { active: this.#governor.reason !== undefined, reason: this.#governor.reason ?? null },
      vision: { restarts: this.#supervisor.restarts },
    }
  }

  get condition(): Condition {
    const { condition } = this.#device
    if (condition.status !== 'running') return condition
    if (!this.#config.inference.enabled) return { status: 'paused', reason: null }
    const { reason } = this.#governor
    return reason === undefined ? condition : { status: 'degraded', reason: `${reason}: inference at half the rate` }
  }

  /** For monitors: live while it works or says why not; ready while it sees. */
  get health(): { readonly isLive: boolean; readonly isReady: boolean; readonly reason: string | null } {
    const { status, reason } = this.condition
    return {
      isLive: status !== 'error',
      isReady: status === 'running' || status === 'paused',
      reason: reason ?? status,
    }
  }

  get metrics() {
    const { captured, inferred, dropped, skipped, still } = this.counters
    const { inferenceMs, ageMs, fps } = this.stats
    const quantile = (ring: Ring, q: number) => {
      const value = ring.quantile(q)
      return value === undefined ? null : round(value, 2)
    }
    return {
      governor_active: this.#governor.reason !== undefined,
      camera_online: this.#device.camera.state === 'online',
      fps: round(fps, 2),
      inference_ms_p50: quantile(inferenceMs, 0.5),
      inference_ms_p95: quantile(inferenceMs, 0.95),
      frame_age_ms_p95: quantile(ageMs, 0.95),
      frames_captured_total: captured,
      frames_inferred_total: inferred,
      frames_dropped_total: dropped,
      frames_skipped_total: skipped,
      frames_still_total: still,
      vision_restarts_total: this.#supervisor.restarts,
    } satisfies Partial<Metrics>
  }

  /** Takes a changed configuration over, without losing a frame. */
  configure(config: PipelineConfig): void {
    const isPausing = this.#config.inference.enabled && !config.inference.enabled
    this.#config = config
    if (isPausing) this.#events.interrupt(Date.now())
    this.#tune()
  }

  /** Takes what the board says of itself at `nowMs` of a clock that never jumps. */
  noteBoard(reading: BoardReading, nowMs = performance.now()): void {
    if (!this.#config.governor.enabled || !this.#governor.note(reading, nowMs)) return
    const { reason } = this.#governor
    const { inference, camera } = this.#config
    this.#governedFps =
      reason === undefined
        ? null
        : halvedFps(inference.max_fps ?? null, camera.fps, this.stats.inferenceMs.quantile(0.5))
    if (reason === undefined) this.#options.log.info({}, 'the board is cool again: inference at full rate')
    else this.#options.log.warn({ reason, maxFps: this.#governedFps }, 'inference at half the rate')
    this.#tune()
    this.#options.onChange()
  }

  /** A picture of what the model saw last or, while it looks at nothing, of what the camera sees next. */
  takePicture(): Promise<Picture> {
    return this.#supervisor.requestPicture({ frameId: null, maxBytes: this.#config.pictures.max_kb * 1024 })
  }

  async run(signal: AbortSignal): Promise<void> {
    // Whoever still has the view of an earlier run is told that nothing is in view, even if no camera ever comes.
    this.#events.interrupt(Date.now())
    await this.#supervisor.run(signal)
    this.#events.interrupt(Date.now())
  }

  #note(report: VisionReport): void {
    const { onResult, onModel, onChange } = this.#options
    if (report.type === 'result') {
      if (this.model === undefined) return
      this.stats.note(report)
      // One that was under way when it was told that nobody can tell any more comes too late.
      if (this.#config.inference.enabled && this.#device.camera.state === 'online') this.#events.note(report)
      onResult(report, this.model)
      return
    }
    if (!this.#device.noteReport(report)) return
    if (report.type === 'ready') {
      onModel(report.model)
      this.#tune()
    }
    if (report.type === 'camera' && report.state !== 'online') this.#events.interrupt(Date.now())
    this.#log(report)
    onChange()
  }

  #tune(): void {
    if (this.threshold !== undefined) this.#events.configure(this.#config.events, this.threshold)
    this.#supervisor.tune(this.#tuning())
  }

  #tuning(): Tuning {
    const { camera, inference, events, motion, pictures } = this.#config
    const { gate, sensitivity, idle_s } = motion
    const isGated = gate === 'on' || (gate === 'auto' && camera.source !== 'replay')
    return {
      lowestScore: this.threshold === undefined ? null : Math.max(leastScore, lowestScore(events, this.threshold)),
      maxFps: leastOf(this.#governedFps, inference.max_fps ?? null),
      isPaused: !inference.enabled,
      motion: isGated ? { sensitivity, idle_s } : null,
      keepsPictures: pictures.of_events,
    }
  }

  #log(report: Exclude<VisionReport, VisionResult>): void {
    const { log } = this.#options
    if (report.type === 'ready') {
      const { name, version } = report.model
      log.info({ name, version, loadMs: Math.round(report.loadMs) }, 'model loaded')
    } else if (report.type === 'camera' && report.reason !== null) {
      log.warn({ state: report.state, reason: report.reason, advice: report.advice }, 'camera trouble, trying again')
    } else if (report.type === 'camera') log.info({ state: report.state }, 'camera')
  }
}

function leastOf(a: number | null, b: number | null): number | null {
  return a === null || b === null ? (a ?? b) : Math.min(a, b)
}
