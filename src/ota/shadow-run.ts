import type { ShadowSample } from '../core/model-trial.ts'
import type { UpdateStatus } from '../core/update-status.ts'
import { Ring } from '../lib/ring.ts'
import { round } from '../lib/round.ts'

/** What a shadow run has seen so far; times are medians. */
export type ShadowSummary = {
  readonly frames: number
  readonly agreement: number
  readonly activeMs: number
  readonly candidateMs: number
}

/** As the `update` topic carries it. */
export function shadowStatus(summary: ShadowSummary | null): UpdateStatus['shadow'] {
  if (summary === null) return null
  const { frames, agreement, activeMs, candidateMs } = summary
  return {
    frames,
    agreement: round(agreement, 3),
    active_ms: round(activeMs, 2),
    candidate_ms: round(candidateMs, 2),
  }
}

/** Of a longer pause only so much counts: the camera was away; or a still scene is looked at but rarely. */
const maxPauseMs = 10_000
/** A median of fewer says little. */
const minFrames = 5
const window = 1000

/** Follows the frames that a candidate sees beside the active model. */
export class ShadowRun {
  readonly #active = new Ring(window)
  readonly #candidate = new Ring(window)
  readonly #goalMs: number
  #frames = 0
  #agreement = 0
  #ms = 0
  #lastMs: number | undefined

  constructor(goalMs: number) {
    this.#goalMs = goalMs
  }

  /** Takes a frame at `nowMs` of a clock that never jumps; true when there were enough. */
  note({ agreement, activeMs, candidateMs }: ShadowSample, nowMs: number): boolean {
    const sinceLastMs = nowMs - (this.#lastMs ?? nowMs)
    this.#ms += Math.min(sinceLastMs, maxPauseMs)
    this.#lastMs = nowMs
    this.#frames++
    this.#agreement += agreement
    this.#active.push(activeMs)
    this.#candidate.push(candidateMs)
    return this.#ms >= this.#goalMs && this.#frames >= minFrames
  }

  /** How much of it is over, 0..100. */
  get percent(): number {
    return 100 * Math.min(1, this.#ms / this.#goalMs, this.#frames / minFrames)
  }

  /** Null before the first frame. */
  get summary(): ShadowSummary | null {
    const activeMs = this.#active.quantile(0.5)
    const candidateMs = this.#candidate.quantile(0.5)
    if (activeMs === undefined || candidateMs === undefined) return null
    return { frames: this.#frames, agreement: this.#agreement / this.#frames, activeMs, candidateMs }
  }
}
