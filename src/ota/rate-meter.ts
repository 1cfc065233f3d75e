/** Tells a source that trickles from one that is only slow: at least so many bytes in each window of waiting. */
export class RateMeter {
  readonly #minBytesPerS: number
  readonly #windowMs: number
  #bytes = 0
  #waitedMs = 0

  constructor({ minBytesPerS, windowMs }: { minBytesPerS: number; windowMs: number }) {
    this.#minBytesPerS = minBytesPerS
    this.#windowMs = windowMs
  }

  /**
   * Takes note of bytes and of how long we waited for them: time in which we didn't listen is not the source's fault.
   * Returns the rate in bytes per second when a window has ended that was too slow.
   */
  add(bytes: number, waitedMs: number): number | undefined {
    this.#bytes += bytes
    this.#waitedMs += waitedMs
    if (this.#waitedMs < this.#windowMs) return undefined
    const bytesPerS = (this.#bytes * 1000) / this.#waitedMs
    this.#bytes = 0
    this.#waitedMs = 0
    return bytesPerS < this.#minBytesPerS ? bytesPerS : undefined
  }
}
