/**
 * A set of whole numbers kept as runs of neighbours, so that thousands of consecutive ones take no more room than one.
 * They are added in ascending order and taken out in any.
 */
export class SeqRuns implements Iterable<number> {
  readonly #runs: { from: number; to: number }[] = []
  #size = 0

  get size(): number {
    return this.#size
  }

  /** Adds a number above all that were ever in the set. */
  push(seq: number): void {
    this.#size++
    const last = this.#runs.at(-1)
    if (last?.to === seq - 1) last.to = seq
    else this.#runs.push({ from: seq, to: seq })
  }

  /** The lowest number above `seq`. */
  after(seq: number): number | undefined {
    const run = this.#runs[this.#indexFor(seq + 1)]
    return run && Math.max(run.from, seq + 1)
  }

  /** True when the number was in the set. */
  delete(seq: number): boolean {
    const at = this.#indexFor(seq)
    const run = this.#runs[at]
    if (run === undefined || run.from > seq || !Number.isInteger(seq)) return false
    this.#size--
    const rest = [
      { from: run.from, to: seq - 1 },
      { from: seq + 1, to: run.to },
    ].filter(({ from, to }) => from <= to)
    this.#runs.splice(at, 1, ...rest)
    return true
  }

  *[Symbol.iterator](): Generator<number> {
    for (let seq = this.after(Number.NEGATIVE_INFINITY); seq !== undefined; seq = this.after(seq)) yield seq
  }

  /** The index of the first run that ends at `seq` or above. */
  #indexFor(seq: number): number {
    let low = 0
    let high = this.#runs.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#runs[middle]?.to ?? seq) < seq) low = middle + 1
      else high = middle
    }
    return low
  }
}
