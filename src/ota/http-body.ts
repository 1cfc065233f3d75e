import type { IncomingMessage } from 'node:http'
import { DownloadError } from './download-error.ts'
import { RateMeter } from './rate-meter.ts'

/** There is no limit on the whole: a slow link may take its hours, as long as bytes come. */
export type HttpLimits = {
  /** The longest wait for an answer's headers, and then for each next byte, in milliseconds. */
  readonly idleMs: number
  readonly minBytesPerS: number
  /** The time over which the rate is taken, in milliseconds. */
  readonly windowMs: number
}

export const defaultLimits: HttpLimits = { idleMs: 30_000, minBytesPerS: 1024, windowMs: 60_000 }

/** With chunks of at most 64 KiB from Node this is 1 MiB. */
const maxQueuedChunks = 16

/**
 * The bytes of an answer, to be read once; whoever reads them destroys the answer afterwards. It listens from the start, and what came before a cut is handed out before
 * the error: a stream's own iterator throws it away, and a resumed download would fetch it again.
 */
export class HttpBody implements AsyncIterable<Uint8Array> {
  readonly #response: IncomingMessage
  readonly #limits: HttpLimits
  readonly #where: string
  readonly #queue: Uint8Array[] = []
  #isOver = false
  #problem: unknown
  #wake = () => {}

  constructor(response: IncomingMessage, limits: HttpLimits, where: string) {
    this.#response = response
    this.#limits = limits
    this.#where = where
    response.on('data', (chunk: Uint8Array) => {
      this.#queue.push(chunk)
      if (this.#queue.length >= maxQueuedChunks) response.pause()
      this.#wake()
    })
    response.once('end', () => {
      this.#isOver = true
      this.#wake()
    })
    response.once('error', (error) => this.#fail(error))
    response.once('close', () => this.#fail(new Error('the connection closed')))
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void> {
    const meter = new RateMeter(this.#limits)
    for (;;) {
      const waitedMs = await this.#wait()
      const chunk = this.#queue.shift()
      if (chunk === undefined) {
        if (this.#problem !== undefined) throw this.#problem
        return
      }
      const slowBytesPerS = meter.add(chunk.length, waitedMs)
      if (slowBytesPerS !== undefined) throw this.#tooSlow(`gives ${slowBytesPerS.toFixed(0)} bytes/s`)
      this.#response.resume()
      yield chunk
    }
  }

  /** Resolves with the milliseconds it took until there was something: a chunk, the end or an error. */
  async #wait(): Promise<number> {
    if (this.#queue.length > 0 || this.#isOver || this.#problem !== undefined) return 0
    const sinceMs = performance.now()
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#wake = resolve
    const { idleMs } = this.#limits
    const timer = setTimeout(() => this.#fail(this.#tooSlow(`gave nothing for ${idleMs / 1000} s`)), idleMs)
    await promise
    clearTimeout(timer)
    return performance.now() - sinceMs
  }

  #tooSlow(found: string): DownloadError {
    const { minBytesPerS, windowMs } = this.#limits
    const due = `at least ${minBytesPerS} bytes/s over ${windowMs / 1000} s`
    return new DownloadError('too_slow', `${this.#where}: ${found}, has to be ${due}`)
  }

  #fail(error: unknown): void {
    if (!this.#isOver) this.#problem ??= error
    this.#wake()
  }
}
