/**
 * Wakes one waiter when there is something new to look at. It notes `rings` before it looks, so that what comes while it
 * looks is not slept through.
 */
export class Doorbell {
  #rings = 0
  #wake: (() => void) | undefined

  get rings(): number {
    return this.#rings
  }

  ring(): void {
    this.#rings++
    this.#wake?.()
  }

  /** Resolves when there have been more than `rings`, or `signal` aborts. */
  async moreThan(rings: number, signal: AbortSignal): Promise<void> {
    if (this.#rings > rings || signal.aborted) return
    await new Promise<void>((resolve) => {
      const wake = () => {
        this.#wake = undefined
        signal.removeEventListener('abort', wake)
        resolve()
      }
      this.#wake = wake
      signal.addEventListener('abort', wake)
    })
  }
}
