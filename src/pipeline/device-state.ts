import type { CameraState } from '../core/camera-state.ts'
import type { ModelFault } from '../core/model-trial.ts'
import type { VisionModel, VisionReport } from '../core/vision-protocol.ts'

/** How the device is doing, in the words of the `state` topic. */
export type Condition = {
  readonly status: 'starting' | 'running' | 'paused' | 'degraded' | 'error'
  readonly reason: string | null
}

type Camera = {
  readonly state: CameraState | 'unknown'
  readonly reason: string | null
  readonly advice: string | null
}
type Down = { readonly reason: string; readonly fault: ModelFault | null }

/** Follows what the vision process reports and what becomes of it. */
export class DeviceState {
  camera: Camera = { state: 'unknown', reason: null, advice: null }
  model: VisionModel | undefined
  #isReady = false
  #down: Down | undefined

  /** True when the report is news: a source that fails again for the same reason is not. */
  noteReport(report: VisionReport): boolean {
    if (report.type === 'camera') {
      const { state, reason } = this.camera
      const isRetry = isTrouble(state) && report.state === 'starting'
      if (isRetry || (state === report.state && reason === report.reason)) return false
      this.camera = { state: report.state, reason: report.reason, advice: report.advice }
    }
    if (report.type === 'ready') {
      this.model = report.model
      this.#isReady = true
      this.#down = undefined
    }
    if (report.type === 'swapped') this.model = report.model
    return true
  }

  noteDown(down: Down): void {
    this.#down = down
    this.#isReady = false
    this.camera = { state: 'unknown', reason: null, advice: null }
  }

  /** Whether a vision process is up with its model; its camera may be away. */
  get isServing(): boolean {
    return this.#isReady && this.#down === undefined
  }

  get condition(): Condition {
    if (this.#down?.fault === 'model_invalid')
      return { status: 'error', reason: `model: ${this.#down.reason}; tried again when its files change` }
    if (this.#down !== undefined) return { status: 'degraded', reason: `${this.#down.reason}; starting it again` }
    if (isTrouble(this.camera.state)) return { status: 'degraded', reason: `${this.camera.reason}; trying again` }
    if (!this.#isReady || this.camera.state !== 'online') return { status: 'starting', reason: null }
    return { status: 'running', reason: null }
  }
}

function isTrouble(state: Camera['state']): boolean {
  return state !== 'online' && state !== 'starting' && state !== 'unknown'
}
