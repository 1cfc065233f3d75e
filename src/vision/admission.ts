import type { Frame } from '../core/frame.ts'
import type { Tuning } from '../core/vision-protocol.ts'
import { MotionGate } from './motion-gate.ts'

export type AdmissionOptions = Pick<Tuning, 'isPaused' | 'maxFps' | 'motion'>

/** Decides which frames the model is offered. */
export class Admission {
  #options: AdmissionOptions
  #minIntervalMs = 0
  #nextDueMs = 0
  #gate: MotionGate | undefined

  constructor(options: AdmissionOptions) {
    this.#options = options
    this.tune(options, 0)
  }

  tune(options: AdmissionOptions, nowMs: number): void {
    const { maxFps, motion } = options
    this.#options = options
    this.#minIntervalMs = maxFps === null ? 0 : 1000 / maxFps
    // What a slower rate has put off, a faster one doesn't wait for.
    this.#nextDueMs = Math.min(this.#nextDueMs, nowMs + this.#minIntervalMs)
    if (motion === null) this.#gate = undefined
    else if (this.#gate === undefined) this.#gate = new MotionGate(motion)
    else this.#gate.configure(motion)
  }

  /** `skip`: stale, paused or beyond the rate; `still`: nothing moves in it. The gate sees only frames that it decides on. */
  judge(frame: Frame, nowMs: number): 'infer' | 'skip' | 'still' {
    if (frame.isStale || this.#options.isPaused || nowMs < this.#nextDueMs) return 'skip'
    if (this.#gate?.passes(frame, nowMs) === false) return 'still'
    // Counted on from the due time, so that a camera at 30 fps limited to 10 gives 10 and not 7.5.
    this.#nextDueMs = Math.max(this.#nextDueMs, nowMs - this.#minIntervalMs / 2) + this.#minIntervalMs
    return 'infer'
  }
}
