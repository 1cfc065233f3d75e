import { execFile } from 'node:child_process'
import { constants, openSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { Socket } from 'node:net'
import { promisify } from 'node:util'

/** One read brings no more: libuv's limit, and all that a pipe holds. */
const chunkBytes = 64 * 1024

/**
 * A FIFO as its reader sees it: chunks as they come, each in memory that is written again once the next one is asked for. A
 * stream of Node's would make 64 KiB of garbage for each, and take twice the processor time.
 */
export class Fifo implements AsyncIterable<Uint8Array> {
  readonly path: string
  readonly #socket: Socket
  /** One is filled while the other is looked at. */
  #next = new Uint8Array(chunkBytes)
  #other = new Uint8Array(chunkBytes)
  #asked: PromiseWithResolvers<IteratorResult<Uint8Array, undefined>> | undefined
  /** Came before it was asked for. Until it is taken nothing is read. */
  #early: Uint8Array | undefined
  #failure: Error | undefined
  #isClosed = false
  #isDraining = false

  /** Makes it, and opens it before there is a writer. */
  static async create(path: string): Promise<Fifo> {
    await rm(path, { force: true })
    await promisify(execFile)('mkfifo', ['-m', '600', path])
    return new Fifo(path)
  }

  private constructor(path: string) {
    this.path = path
    this.#socket = new Socket({
      // A socket, so that reading takes no thread of the pool.
      fd: openSync(path, constants.O_RDONLY | constants.O_NONBLOCK),
      readable: true,
      writable: false,
      onread: {
        buffer: () => this.#exchange(),
        callback: (bytes, buffer) => this.#take(buffer.subarray(0, bytes)),
      },
    })
    this.#socket.on('error', (error) => (this.#failure = error))
    this.#socket.once('close', () => {
      this.#isClosed = true
      const asked = this.#asked
      this.#asked = undefined
      if (asked !== undefined) this.next().then(asked.resolve, asked.reject)
    })
    this.#socket.resume()
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  /** The next chunk; the end when the writer has closed it or we have; rejects when it can't be read. */
  async next(): Promise<IteratorResult<Uint8Array, undefined>> {
    const early = this.#early
    if (early !== undefined) {
      this.#early = undefined
      this.#socket.resume()
      return { done: false, value: early }
    }
    if (this.#failure !== undefined) throw this.#failure
    if (this.#isClosed) return { done: true, value: undefined }
    this.#asked = Promise.withResolvers()
    return this.#asked.promise
  }

  /** From now on what comes is thrown away, so that the writer can go on. */
  drain(): void {
    this.#isDraining = true
    this.#socket.resume()
  }

  /** Ends it: a writer gets EPIPE. Its name may stay, until the next one replaces it. */
  async close(): Promise<void> {
    this.#socket.destroy()
    await rm(this.path, { force: true }).catch(() => {})
  }

  #exchange(): Uint8Array {
    ;[this.#next, this.#other] = [this.#other, this.#next]
    return this.#other
  }

  /** False: read no more until `resume()`. */
  #take(chunk: Uint8Array): boolean {
    if (this.#isDraining) return true
    const asked = this.#asked
    if (asked === undefined) {
      this.#early = chunk
      return false
    }
    this.#asked = undefined
    asked.resolve({ done: false, value: chunk })
    return true
  }
}
