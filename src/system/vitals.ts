import type { Metrics } from '../core/metrics.ts'
import { residentBytes } from './board.ts'
import { isSlowed, readTemperature, readThrottled } from './board-sensors.ts'

const megabyte = 1024 * 1024

/** How the board and our processes are, as far as that is measured now and then. */
export class Vitals {
  readonly #root: string
  readonly #startMs = performance.now()
  #tempC: number | null = null
  #throttled: number | null = null
  #visionBytes: number | undefined

  /** `root`: where the board's own files are, `/sys` among them. */
  constructor(root: string) {
    this.#root = root
  }

  async readBoard(): Promise<{ readonly tempC: number | null; readonly throttled: number | null }> {
    ;[this.#tempC, this.#throttled] = await Promise.all([readTemperature(this.#root), readThrottled(this.#root)])
    return { tempC: this.#tempC, throttled: this.#throttled }
  }

  async measure(visionPid: number | undefined): Promise<void> {
    this.#visionBytes = await residentBytes(visionPid)
  }

  get isSlowed(): boolean {
    return isSlowed(this.#throttled)
  }

  get metrics() {
    const bit = (mask: number) => (this.#throttled === null ? null : (this.#throttled & mask) !== 0)
    return {
      uptime_s: Math.round((performance.now() - this.#startMs) / 1000),
      control_rss_mb: Math.round(process.memoryUsage.rss() / megabyte),
      vision_rss_mb: this.#visionBytes === undefined ? null : Math.round(this.#visionBytes / megabyte),
      temp_c: this.#tempC,
      throttled: bit(0b100),
      undervoltage: bit(0b1),
    } satisfies Partial<Metrics>
  }
}
