import type { EventOptions } from '../../core/event-options.ts'
import type { Finding } from '../../core/prediction.ts'
import type { SceneEvent, View } from '../../core/scene.ts'
import { ClassificationEvents } from './classification-events.ts'
import { DetectionEvents } from './detection-events.ts'
import { LabelRules } from './label-rules.ts'
import type { EventSetup } from './open-event.ts'
import { ResultClock } from './result-clock.ts'

/** From the results of one camera to events: what came into view, changed there, and left. */
export class EventEngine {
  readonly #clock = new ResultClock()
  readonly #detection: DetectionEvents
  readonly #classification: ClassificationEvents

  constructor(setup: EventSetup) {
    this.#detection = new DetectionEvents(setup)
    this.#classification = new ClassificationEvents(setup)
  }

  /** The events that a result makes; `atMs` is the capture time of its frame. Ends come before beginnings. */
  note(finding: Finding, atMs: number): SceneEvent[] {
    const steadyMs = this.#clock.steadyMs
    const time = this.#clock.note(atMs)
    // A model for another task knows nothing of what the last one saw.
    return finding.task === 'detection'
      ? [...this.#classification.interrupt(atMs, steadyMs), ...this.#detection.note(finding.detections, time)]
      : [...this.#detection.interrupt(atMs, steadyMs), ...this.#classification.note(finding.predictions, time)]
  }

  /** Ends all events, since camera, model or inference stopped: nobody can tell any more what is in view. */
  interrupt(atMs: number): SceneEvent[] {
    const { steadyMs } = this.#clock
    return [...this.#detection.interrupt(atMs, steadyMs), ...this.#classification.interrupt(atMs, steadyMs)]
  }

  get view(): View {
    return (this.#detection.openEvents > 0 ? this.#detection : this.#classification).view
  }

  get openEvents(): number {
    return this.#detection.openEvents + this.#classification.openEvents
  }
}

/** The lowest score that can matter to an event: what the vision process has to report at least. */
export function lowestScore(options: EventOptions, threshold: number): number {
  const rules = new LabelRules(options, threshold)
  const ownScores = Object.keys(options.labels)
    .filter((label) => rules.isWanted(label))
    .map((label) => rules.keepScore(label))
  return Math.min(threshold * options.keep_ratio, ...ownScores)
}

const ids = 0x1000000

/**
 * Makes ids of events, such as `1764016140.123-7f3a1c`: when it started, and a number that counts from a random one.
 * So no id comes twice while the program runs, and hardly one when it starts again with a clock that was set back.
 * `random` gives 0 up to 1.
 */
export function createEventIds(random: () => number = Math.random): (startMs: number) => string {
  let count = Math.floor(random() * ids)
  return (startMs) => {
    count = (count + 1) % ids
    const ms = Math.floor(startMs)
    const seconds = Math.floor(ms / 1000)
    return `${seconds}.${`${ms - seconds * 1000}`.padStart(3, '0')}-${count.toString(16).padStart(6, '0')}`
  }
}
