import type { VisionReport } from '../core/vision-protocol.ts'
import { Ring } from '../lib/ring.ts'

/** How long a process may take from its start to a loaded model. */
const startLimitMs = 60_000

/** Least time without a finished inference that counts as hung (Frigate's detectors: 10 s). */
const hangLimitMs = 10_000

/** A model whose runs take long gets longer: this many times its median. */
const medians = 50

/**
 * Decides how long the vision process may now stay silent. Progress is work that finished: a result, or frames that
 * were meant to be skipped. While no frames arrive there is nothing to finish, and silence is fine.
 */
export class ProgressDeadline {
  readonly #inferenceMs = new Ring(64)
  readonly #minHangMs: number
  #isReady = false
  #isOnline = false

  constructor(minHangMs = hangLimitMs) {
    this.#minHangMs = minHangMs
  }

  /** Milliseconds from now on, or undefined for no limit. */
  get limitMs(): number | undefined {
    if (!this.#isReady) return startLimitMs
    if (!this.#isOnline) return undefined
    return Math.max(this.#minHangMs, medians * (this.#inferenceMs.quantile(0.5) ?? 0))
  }

  /** Takes note of a report; true when it is progress, so that the time starts anew. */
  note(report: VisionReport): boolean {
    if (report.type === 'result') this.#inferenceMs.push(report.timingMs.inference)
    else if (report.type === 'camera') this.#isOnline = report.state === 'online'
    else if (report.type === 'ready') this.#isReady = true
    return report.type !== 'failed' && report.type !== 'stopped'
  }
}
