import { availableParallelism } from 'node:os'
import type { Metrics } from '../core/metrics.ts'
import type { ModelSource } from '../core/model-trial.ts'
import type { PictureReport, Tuning, VisionModel, VisionReport } from '../core/vision-protocol.ts'
import type { Ring } from '../lib/ring.ts'
import { round } from '../lib/round.ts'
import { type Condition, DeviceState } from './device-state.ts'
import { EventStream } from './event-stream.ts'
import { createEventIds, lowestScore } from './events/event-engine.ts'
import { type BoardReading, Governor, halvedFps } from './governor.ts'
import type { PipelineConfig, PipelineOptions } from './pipeline-options.ts'
import { logReport } from './report-log.ts'
import { RunStats } from './run-stats.ts'
import { type Picture, VisionSupervisor } from './supervisor.ts'

/** Below this every box of the network would be a find, and sorting them out would take longer than the network itself. */
const leastScore = 0.01

/** Silence of the vision side that is too long: without a reason, and while trouble is known and tried again. */
const unexplainedMs = 90_000
const explainedMs = 600_000

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
  #signMs = performance.now()

  constructor(options: PipelineOptions) {
    const { config, model, entry, workDir, onEvent, onView, onCandidateDown } = options
    this.#options = options
    this.#config = config
    this.#governor = new Governor({ hotC: config.governor.hot_c, coolC: config.governor.cool_c })
    this.#events = new EventStream({ makeId: createEventIds(), onEvent, onView })
    this.#supervisor = new VisionSupervisor({
      entry,
      workDir,
      maxMemoryMb: config.inference.max_memory_mb,
      model,
      start: {
        type: 'start',
        threads: this.threads,
        source: config.camera,
        tuning: this.#tuning(),
      },
      onReport: (report) => this.#note(report),
      onDown: (down) => {
        this.#signMs = performance.now()
        options.log.warn(down, 'vision process is down and will be started again')
        this.#device.noteDown(down)
        this.#events.interrupt(Date.now())
        options.onDown(down)
        options.onChange()
      },
      onCandidateDown,
    })
  }

  get model(): VisionModel | undefined {
    return this.#device.model
  }

  /** Score from which a find is reported; undefined until the model is loaded. */
  get threshold(): number | undefined {
    return this.#config.inference.threshold ?? this.model?.threshold
  }

  /** Of one inference. */
  get threads(): number {
    return this.#config.inference.threads ?? Math.max(1, availableParallelism() - 1)
  }

  /** Whether the model in charge is loaded and works; the camera may be away. */
  get isServing(): boolean {
    return this.#device.isServing
  }

  /**
   * Whether work gets finished, or is known why not: what the watchdog of the service is fed with. The supervisor's own
   * deadlines are shorter: this is for when it fails, too.
   */
  get isProgressing(): boolean {
    const { status } = this.condition
    // Someone has to act; another start would not help.
    if (status === 'error') return true
    return performance.now() - this.#signMs < (status === 'degraded' ? explainedMs : unexplainedMs)
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

  /**
   * Loads a model beside the one in charge, which works on; from then on `onShadow` tells how the two compare. Rejects with
   * a SightdError when it fails, when the vision process is down or goes down, and after 60 s, for which the process pays:
   * `model_invalid` when the model's files are to blame, else `vision_failed`.
   */
  loadCandidate(model: ModelSource): Promise<VisionModel> {
    return this.#supervisor.loadCandidate(model)
  }

  /**
   * Puts the second model in charge from the next frame on, and keeps the first as the second, so that another swap is the
   * way back. Rejects with a SightdError `vision_failed` when there is no second model, when the vision process goes down,
   * and after 60 s, for which the process pays.
   */
  swap(): Promise<VisionModel> {
    return this.#supervisor.swap()
  }

  /** Lets the second model go, whichever that is; without one nothing happens. */
  releaseSpare(): void {
    this.#supervisor.releaseSpare()
  }

  /** Ends the vision process, or the wait for the next, now; the next one is started without delay, with the model asked for anew. */
  restartVision(reason: string): void {
    this.#supervisor.restart(reason)
  }

  async run(signal: AbortSignal): Promise<void> {
    // Whoever still has the view of an earlier run is told that nothing is in view, even if no camera ever comes.
    this.#events.interrupt(Date.now())
    await this.#supervisor.run(signal)
    this.#events.interrupt(Date.now())
  }

  #note(report: Exclude<VisionReport, PictureReport>): void {
    const { onResult, onModel, onShadow, onChange, log } = this.#options
    this.#signMs = performance.now()
    if (report.type === 'result') {
      if (this.model === undefined) return
      this.stats.note(report)
      // One that was under way when it was told that nobody can tell any more comes too late.
      if (this.#config.inference.enabled && this.#device.camera.state === 'online') this.#events.note(report)
      onResult(report, this.model)
      return
    }
    if (report.type === 'shadow') {
      const { agreement, activeMs, candidateMs } = report
      onShadow({ agreement, activeMs, candidateMs })
      return
    }
    // What one model has followed, another may see otherwise; what ends is still the first one's.
    if (report.type === 'swapped') this.#events.interrupt(Date.now())
    const before = this.model
    if (!this.#device.noteReport(report)) return
    if (report.type === 'ready' || report.type === 'swapped') {
      if (before !== undefined && before.sha256 !== report.model.sha256) this.stats.forgetTimes()
      onModel(report.model)
      this.#tune()
    }
    if (report.type === 'camera' && report.state !== 'online') this.#events.interrupt(Date.now())
    logReport(report, log)
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
}

function leastOf(a: number | null, b: number | null): number | null {
  return a === null || b === null ? (a ?? b) : Math.min(a, b)
}
