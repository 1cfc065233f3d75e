import type { Prediction } from '../../core/prediction.ts'
import { HitWindow } from './hit-window.ts'
import type { OpenEvent, Subject } from './open-event.ts'
import type { ResultTime } from './result-clock.ts'
import { Sightings } from './sightings.ts'

/** What is known of a label of the whole frame. */
export class ClassifiedLabel implements Subject {
  readonly label: string
  readonly classId: number
  readonly box = null
  readonly zones: readonly string[] = []
  readonly enteredZones: readonly string[] = []
  readonly sightings: Sightings
  /** Which of the newest results it won. */
  readonly wins: HitWindow
  /** There while the label is held. */
  event: OpenEvent | undefined
  #seenMs: number

  /** Made with a result that it won. */
  constructor({ label, classId, score }: Prediction, { atMs, resultMs }: ResultTime, resultsKept: number) {
    this.label = label
    this.classId = classId
    this.sightings = new Sightings(score, atMs, resultsKept)
    this.wins = new HitWindow(resultsKept)
    this.wins.push(true)
    this.#seenMs = resultMs
  }

  /** To be called for each later result; `score` is undefined when it doesn't show the label. */
  note(score: number | undefined, isWin: boolean, { atMs, resultMs }: ResultTime): void {
    this.wins.push(isWin)
    if (score === undefined) return
    this.sightings.note(score, atMs)
    this.#seenMs = resultMs
  }

  /** In result time; 0 when the newest result shows it. */
  unseenMs({ resultMs }: ResultTime): number {
    return resultMs - this.#seenMs
  }

  get score(): number {
    return this.sightings.score
  }
}
