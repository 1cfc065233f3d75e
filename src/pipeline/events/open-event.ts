import type { EventOptions } from '../../core/event-options.ts'
import { intersectionOverUnion } from '../../core/prediction.ts'
import type { SceneEvent } from '../../core/scene.ts'
import type { ResultTime } from './result-clock.ts'

/** What events are made by. `threshold` is for labels without their own; `makeId` never gives the same id twice. */
export type EventSetup = {
  readonly options: EventOptions
  readonly threshold: number
  readonly makeId: (startMs: number) => string
}

/** What there is to tell of something in view. */
export type Subject = Pick<SceneEvent, 'label' | 'classId' | 'score' | 'box' | 'zones' | 'enteredZones'> & {
  readonly sightings: { readonly startMs: number; readonly lastMs: number; readonly hits: number }
}

/** A topScore that grew by less is no news. */
const newsInScore = 0.05
/** A box that overlaps the last one told by less than this IoU has moved. */
const stillIou = 0.7

/** An event from `new` to `end`: counts its messages and knows what was told. */
export class OpenEvent {
  readonly #eventId: string
  readonly #subject: Subject
  #seq = 0
  #topScore = 0
  #told: { readonly event: SceneEvent; readonly resultMs: number } | undefined

  constructor(eventId: string, subject: Subject) {
    this.#eventId = eventId
    this.#subject = subject
  }

  begin({ atMs, resultMs }: ResultTime): SceneEvent {
    const event = this.#tell('new', atMs, null)
    this.#told = { event, resultMs }
    return event
  }

  /** To be called for each result; has an event at most every `intervalMs` and if there is something to tell. */
  update({ atMs, resultMs }: ResultTime, intervalMs: number): SceneEvent | undefined {
    this.#topScore = Math.max(this.#topScore, this.#subject.score)
    if (this.#told === undefined || intervalMs <= 0 || resultMs - this.#told.resultMs < intervalMs) return undefined
    if (!this.#isNews(this.#told.event)) return undefined
    const event = this.#tell('update', atMs, null)
    this.#told = { event, resultMs }
    return event
  }

  end(atMs: number, reason: 'left' | 'interrupted'): SceneEvent {
    return this.#tell('end', atMs, reason)
  }

  #isNews(told: SceneEvent): boolean {
    const { box, zones, enteredZones } = this.#subject
    return (
      this.#topScore - told.topScore >= newsInScore ||
      enteredZones.length > told.enteredZones.length ||
      zones.join() !== told.zones.join() ||
      (box !== null && told.box !== null && intersectionOverUnion(box, told.box) < stillIou)
    )
  }

  #tell(type: SceneEvent['type'], atMs: number, endReason: SceneEvent['endReason']): SceneEvent {
    const { label, classId, score, box, zones, enteredZones, sightings } = this.#subject
    this.#topScore = Math.max(this.#topScore, score)
    return {
      type,
      eventId: this.#eventId,
      seq: this.#seq++,
      label,
      classId,
      atMs,
      startMs: sightings.startMs,
      endMs: type === 'end' ? sightings.lastMs : null,
      score,
      topScore: this.#topScore,
      hits: sightings.hits,
      box,
      zones,
      enteredZones,
      endReason,
    }
  }
}
