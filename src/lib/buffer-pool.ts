/** A fixed set of equally large buffers that go round; an empty pool is a defect of its user. */
export class BufferPool {
  readonly #free: Uint8Array<ArrayBuffer>[]

  constructor(count: number, bytes: number) {
    this.#free = Array.from({ length: count }, () => new Uint8Array(bytes))
  }

  take(): Uint8Array<ArrayBuffer> {
    const buffer = this.#free.pop()
    if (buffer === undefined) throw new Error('buffer pool is empty: a buffer was not given back')
    return buffer
  }

  give(buffer: Uint8Array<ArrayBuffer>): void {
    this.#free.push(buffer)
  }
}
