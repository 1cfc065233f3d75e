import type { Detection } from '../../core/prediction.ts'
import type { SceneEvent, View } from '../../core/scene.ts'
import { Cooldown } from './cooldown.ts'
import { DetectedObject } from './detected-object.ts'
import { LabelRules } from './label-rules.ts'
import { type EventSetup, OpenEvent } from './open-event.ts'
import type { ResultTime } from './result-clock.ts'
import type { Track } from './track.ts'
import { Tracker } from './tracker.ts'
import { viewOf } from './view.ts'
import type { Zone } from './zone-membership.ts'

/** Makes events of the objects that a detector finds: one event for each object from its coming to its going. */
export class DetectionEvents {
  readonly #setup: EventSetup
  readonly #rules: LabelRules
  readonly #zones: readonly Zone[]
  readonly #cooldown: Cooldown
  #tracker: Tracker
  readonly #objects = new WeakMap<Track, DetectedObject>()

  constructor(setup: EventSetup) {
    const { options, threshold } = setup
    this.#setup = setup
    this.#rules = new LabelRules(options, threshold)
    this.#zones = Object.entries(options.zones).map(([name, polygon]) => ({ name, polygon }))
    this.#cooldown = new Cooldown(options.cooldown_s * 1000)
    this.#tracker = this.#newTracker()
  }

  note(detections: readonly Detection[], time: ResultTime): SceneEvent[] {
    // Clipped to the frame, a box may have lost its area: then there is nothing to follow.
    const usable = detections.filter(({ label, box }) => this.#rules.isWanted(label) && areaOf(box) > 0)
    const strong = usable.filter(({ label, score }) => score >= this.#rules.enterScore(label))
    const weak = usable.filter(
      ({ label, score }) => score < this.#rules.enterScore(label) && score >= this.#rules.keepScore(label),
    )
    const lost = this.#tracker.note(strong, weak, time.resultMs)
    for (const { label } of lost) this.#cooldown.start(label, time.steadyMs)
    return [
      ...this.#end(lost, time.atMs, 'left'),
      ...this.#tracker.tracks.flatMap((track) => this.#follow(track, time) ?? []),
    ]
  }

  /** Ends all events: nobody looks any more. `steadyMs` of the last result. */
  interrupt(atMs: number, steadyMs: number): SceneEvent[] {
    const { tracks } = this.#tracker
    this.#tracker = this.#newTracker()
    for (const { label, isFirm } of tracks) if (isFirm) this.#cooldown.start(label, steadyMs)
    return this.#end(tracks, atMs, 'interrupted')
  }

  get view(): View {
    return viewOf(
      this.#open,
      this.#zones.map(({ name }) => name),
    )
  }

  get openEvents(): number {
    return this.#open.length
  }

  get #open(): DetectedObject[] {
    return this.#tracker.tracks.flatMap((track) => (track.isFirm ? (this.#objects.get(track) ?? []) : []))
  }

  #newTracker(): Tracker {
    const { confirm_of, leave_s } = this.#setup.options
    return new Tracker({ candidateMisses: confirm_of, leaveMs: leave_s * 1000 })
  }

  #follow(track: Track, time: ResultTime): SceneEvent | undefined {
    const object = this.#objectOf(track, time.atMs)
    if (object.event !== undefined) {
      return object.event.update(time, this.#setup.options.update_interval_s * 1000)
    }
    if (track.missedInRow > 0 || !this.#isConfirmed(object) || this.#cooldown.isOn(track.label, time.steadyMs)) {
      return undefined
    }
    track.isFirm = true
    object.membership.decide()
    object.event = new OpenEvent(this.#setup.makeId(object.sightings.startMs), object)
    return object.event.begin(time)
  }

  #objectOf(track: Track, atMs: number): DetectedObject {
    const known = this.#objects.get(track)
    if (known !== undefined) {
      known.note(atMs)
      return known
    }
    const object = new DetectedObject(track, atMs, this.#setup.options.confirm_of, this.#zones)
    this.#objects.set(track, object)
    return object
  }

  #isConfirmed({ label, score, box, window }: DetectedObject): boolean {
    return (
      window.count() >= this.#setup.options.confirm_hits &&
      score >= this.#rules.enterScore(label) &&
      areaOf(box) >= this.#rules.minSize(label)
    )
  }

  #end(tracks: readonly Track[], atMs: number, reason: 'left' | 'interrupted'): SceneEvent[] {
    return tracks.flatMap((track) => this.#objects.get(track)?.event?.end(atMs, reason) ?? [])
  }
}

/** The share of the frame that a box covers; not above 0 if it is empty or turned inside out. */
function areaOf({ xmin, ymin, xmax, ymax }: Detection['box']): number {
  return Math.max(0, xmax - xmin) * Math.max(0, ymax - ymin)
}
