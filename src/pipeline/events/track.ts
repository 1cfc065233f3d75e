import type { Box, Detection } from '../../core/prediction.ts'

/** The velocity follows changes within about this time, at any rate of results. */
const smoothingMs = 500
/** Nothing is expected to go on as before for longer than this. */
const longestLookAheadMs = 1000

/** One object over time: where it was, and where it should be now. Times are result times in ms. */
export class Track {
  readonly label: string
  readonly classId: number
  /** Something in view, not a candidate that may be a mistake of the model. */
  isFirm = false
  #box: Box
  #score: number
  #seenMs: number
  #missedInRow = 0
  /** Velocity of the centre per ms, and the number of steps that it was measured on. */
  #velocity = { x: 0, y: 0 }
  #steps = 0

  constructor({ label, classId, box, score }: Detection, nowMs: number) {
    this.label = label
    this.classId = classId
    this.#box = box
    this.#score = score
    this.#seenMs = nowMs
  }

  /** Where it was seen last. */
  get box(): Box {
    return this.#box
  }

  /** The score with which it was seen last. */
  get score(): number {
    return this.#score
  }

  /** Results in a row that didn't see it; 0 when the newest did. */
  get missedInRow(): number {
    return this.#missedInRow
  }

  unseenMs(nowMs: number): number {
    return nowMs - this.#seenMs
  }

  /** Where it should be: the centre moves on evenly, the size stays. Near the edge the box may lie outside of 0..1. */
  predict(nowMs: number): Box {
    const aheadMs = Math.min(this.unseenMs(nowMs), longestLookAheadMs)
    const x = this.#velocity.x * aheadMs
    const y = this.#velocity.y * aheadMs
    const { xmin, ymin, xmax, ymax } = this.#box
    return { xmin: xmin + x, ymin: ymin + y, xmax: xmax + x, ymax: ymax + y }
  }

  see({ box, score }: Detection, nowMs: number): void {
    const passedMs = this.unseenMs(nowMs)
    if (passedMs > 0) {
      // The mean of all steps at first, then exponential smoothing over a fixed time: the beta of an alpha-beta filter.
      const gain = Math.max(1 / ++this.#steps, 1 - Math.exp(-passedMs / smoothingMs))
      const moved = (from: number, to: number) => (to - from) / 2 / passedMs
      const x = moved(this.#box.xmin + this.#box.xmax, box.xmin + box.xmax)
      const y = moved(this.#box.ymin + this.#box.ymax, box.ymin + box.ymax)
      this.#velocity = {
        x: this.#velocity.x + gain * (x - this.#velocity.x),
        y: this.#velocity.y + gain * (y - this.#velocity.y),
      }
    }
    this.#box = box
    this.#score = score
    this.#seenMs = nowMs
    this.#missedInRow = 0
  }

  miss(): void {
    this.#missedInRow++
  }
}
