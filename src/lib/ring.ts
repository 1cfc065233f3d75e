/** The newest `capacity` numbers and their quantiles. */
export class Ring {
  readonly #values: Float64Array
  #written = 0

  constructor(capacity: number) {
    this.#values = new Float64Array(capacity)
  }

  push(value: number): void {
    this.#values[this.#written++ % this.#values.length] = value
  }

  get length(): number {
    return Math.min(this.#written, this.#values.length)
  }

  /** The nearest-rank quantile, `q` in 0..1; undefined while empty. */
  quantile(q: number): number | undefined {
    const sorted = this.#values.slice(0, this.length).sort()
    return sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)]
  }
}
