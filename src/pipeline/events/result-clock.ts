import { Ring } from '../../lib/ring.ts'

/** The times of one result. */
export type ResultTime = {
  /** Capture time of its frame in ms since the epoch; may jump when the board's clock is set. */
  readonly atMs: number
  /** Ms that passed while there were results: what was not seen in it was really not there. Never goes back. */
  readonly resultMs: number
  /** Ms that passed, results or not. Never goes back. */
  readonly steadyMs: number
}

/** Without results for longer, nobody was looking: a motion gate, or trouble with the camera. */
const longestIntervalMs = 2000
/** A frame that is later than this is a clock that was set. */
const longestGapMs = 3_600_000
/** What counts as usual until the first intervals are known. */
const firstGuessMs = 500

/** Makes steady times of capture times. */
export class ResultClock {
  readonly #intervals = new Ring(15)
  #last: ResultTime | undefined

  note(atMs: number): ResultTime {
    const { resultMs, steadyMs } = this.#last ?? { resultMs: 0, steadyMs: 0 }
    const passedMs = atMs - (this.#last?.atMs ?? atMs)
    const isUsual = passedMs >= 0 && passedMs <= longestIntervalMs
    const isPossible = passedMs >= 0 && passedMs <= longestGapMs
    if (isUsual && this.#last !== undefined) this.#intervals.push(passedMs)
    const usualMs = this.#intervals.quantile(0.5) ?? firstGuessMs
    this.#last = {
      atMs,
      resultMs: resultMs + (isUsual ? passedMs : usualMs),
      steadyMs: steadyMs + (isPossible ? passedMs : usualMs),
    }
    return this.#last
  }

  /** Ms that passed until the last result. */
  get steadyMs(): number {
    return this.#last?.steadyMs ?? 0
  }
}
