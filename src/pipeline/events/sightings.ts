import { Ring } from '../../lib/ring.ts'

/** When and how surely something was seen. It is made with the first sighting. */
export class Sightings {
  /** Capture times, ms since the epoch. */
  readonly startMs: number
  #lastMs: number
  #hits = 0
  #score = 0
  readonly #scores: Ring

  constructor(score: number, atMs: number, scoresKept: number) {
    this.startMs = atMs
    this.#lastMs = atMs
    this.#scores = new Ring(scoresKept)
    this.note(score, atMs)
  }

  note(score: number, atMs: number): void {
    this.#hits++
    this.#lastMs = atMs
    this.#scores.push(score)
    this.#score = this.#scores.quantile(0.5) ?? score
  }

  /** Capture time of the last sighting; not before the first, even if the clock was set back in between. */
  get lastMs(): number {
    return Math.max(this.startMs, this.#lastMs)
  }

  get hits(): number {
    return this.#hits
  }

  /** Median of the newest scores; of an even number the lower of the two in the middle. */
  get score(): number {
    return this.#score
  }
}
