import type { VisionReport } from '../core/vision-protocol.ts'
import { Ring } from '../lib/ring.ts'

/** How long a process may take from its start to a loaded model. */
const startLimitMs = 60_000

/** Least time without a finished inference that counts as hung (Frigate's detectors: 10 s). */
const hangLimitMs = 10_000

/** A model whose runs take long gets longer: this many times its median. */
const medians = 50

/** A slow camera leaves nothing to finish for long; its own stall, after 10 frame times, is noticed first. */
const frames = 15

/**
 * Decides how long the vision process may now stay silent. Progress is work that finished: a result, a look of the
 * candidate, or frames that were meant to be skipped; a picture is none of these. While no frames arrive there is nothing to finish, and silence is fine.
 */
export class ProgressDeadline {
  #inferenceMs = new Ring(64)
  readonly #minHangMs: number
  #isReady = false
  #isOnline = false

  constructor(fps: number, minHangMs = hangLimitMs) {
    this.#minHangMs = Math.max(minHangMs, (frames * 1000) / fps)
  }

  /** Milliseconds from now on, or undefined for no limit. */
  get limitMs(): number | undefined {
    if (!this.#isReady) return startLimitMs
    if (!this.#isOnline) return undefined
    return Math.max(this.#minHangMs, medians * (this.#inferenceMs.quantile(0.5) ?? 0))
  }

  /** Takes note of a report; true when it is progress, so that the time starts anew. */
  note(report: VisionReport): boolean {
    switch (report.type) {
      case 'result':
        this.#inferenceMs.push(report.timingMs.inference)
        return true
      case 'swapped':
        // What the other model took says nothing about this one.
        this.#inferenceMs = new Ring(64)
        return true
      case 'shadow':
        return true
      case 'skipping':
        // Frames that need no model say nothing about one that is being loaded.
        return this.#isReady
      case 'ready':
        this.#isReady = true
        return true
      case 'camera': {
        // News of the camera is no work of the model: only whether there is something to wait for changes with it.
        const wasOnline = this.#isOnline
        this.#isOnline = report.state === 'online'
        return this.#isReady && wasOnline !== this.#isOnline
      }
      default:
        return false
    }
  }
}
