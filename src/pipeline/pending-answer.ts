/** Something that was asked for and not answered yet, one at a time. Ends by an answer, a refusal, or when its time is up. */
export class PendingAnswer<T> {
  #open: PromiseWithResolvers<T> | undefined
  #timer: NodeJS.Timeout | undefined

  get isOpen(): boolean {
    return this.#open !== undefined
  }

  /** `onLate` is called when there is no answer after `limitMs`, and has to end it. */
  open(limitMs: number, onLate: () => void): Promise<T> {
    this.#open = Promise.withResolvers()
    this.#timer = setTimeout(onLate, limitMs)
    return this.#open.promise
  }

  resolve(answer: T): void {
    this.#close()?.resolve(answer)
  }

  reject(error: Error): void {
    this.#close()?.reject(error)
  }

  #close(): PromiseWithResolvers<T> | undefined {
    const open = this.#open
    clearTimeout(this.#timer)
    this.#open = undefined
    return open
  }
}
