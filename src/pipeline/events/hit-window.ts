/**
 * In which of the newest `size` results (at most 30) something was the case: one bit for each, the newest lowest.
 * Older ones fall out of the 32.
 */
export class HitWindow {
  readonly #size: number
  #bits = 0

  constructor(size: number) {
    this.#size = size
  }

  push(isHit: boolean): void {
    this.#bits = (this.#bits << 1) | (isHit ? 1 : 0)
  }

  /** Hits among the newest `of` results. */
  count(of = this.#size): number {
    let hits = 0
    for (let bits = this.#bits & (2 ** of - 1); bits !== 0; bits &= bits - 1) hits++
    return hits
  }
}
