import type { Frame } from '../core/frame.ts'
import type { Tuning } from '../core/vision-protocol.ts'
import { MotionDetector, type MotionLimits, youngFrames } from './motion-detector.ts'

export type MotionOptions = NonNullable<Tuning['motion']>

/** rpicam-apps' motion stage has 10 levels and 10 % of the brightness, and 0.5 % of the area; Frigate 30 levels. */
const limits = {
  low: { level: 30, share: 0.01 },
  medium: { level: 20, share: 0.005 },
  high: { level: 12, share: 0.0015 },
} as const satisfies Record<MotionOptions['sensitivity'], MotionLimits>

/** After the last motion the model looks on for this long, so that what was seen is seen to settle. */
const holdMs = 3000

/**
 * Decides which frames are worth looking at: the first ones, those in which something moves and a while after, and one
 * every `idle_s` seconds, so that a still scene is not blind.
 */
export class MotionGate {
  readonly #detector = new MotionDetector()
  #options: MotionOptions
  #frames = 0
  #lastMs: number | undefined
  #movedMs = Number.NEGATIVE_INFINITY
  #passedMs = Number.NEGATIVE_INFINITY

  constructor(options: MotionOptions) {
    this.#options = options
  }

  /** What is known of the scene stays. */
  configure(options: MotionOptions): void {
    this.#options = options
  }

  /** Takes the next frame that the model could have, at `nowMs` of a clock that never jumps. */
  passes(frame: Pick<Frame, 'geometry' | 'data'>, nowMs: number): boolean {
    const elapsedMs = nowMs - (this.#lastMs ?? nowMs)
    this.#lastMs = nowMs
    const { sensitivity, idle_s } = this.#options
    if (this.#detector.moves(frame, elapsedMs, limits[sensitivity])) this.#movedMs = nowMs
    const isSettling = nowMs - this.#movedMs < holdMs
    // The next frame may come as late as this one did: then it would be too late.
    const isDue = nowMs + elapsedMs - this.#passedMs > idle_s * 1000
    if (this.#frames++ >= youngFrames && !isSettling && !isDue) return false
    this.#passedMs = nowMs
    return true
  }
}
