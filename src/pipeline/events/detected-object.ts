import type { Box } from '../../core/prediction.ts'
import { bottomCentre } from '../../core/zone.ts'
import { HitWindow } from './hit-window.ts'
import type { OpenEvent, Subject } from './open-event.ts'
import { Sightings } from './sightings.ts'
import type { Track } from './track.ts'
import { type Zone, ZoneMembership } from './zone-membership.ts'

/** What is known of the object that a track follows. */
export class DetectedObject implements Subject {
  readonly sightings: Sightings
  /** In which of the newest results it was seen. */
  readonly window: HitWindow
  readonly membership: ZoneMembership
  /** There once the object is more than a candidate. */
  event: OpenEvent | undefined
  readonly #track: Track

  /** Made with the result that began the track. */
  constructor(track: Track, atMs: number, resultsKept: number, zones: readonly Zone[]) {
    this.#track = track
    this.sightings = new Sightings(track.score, atMs, resultsKept)
    this.window = new HitWindow(resultsKept)
    this.membership = new ZoneMembership(zones)
    this.#noteResult(true)
  }

  /** To be called for each later result. */
  note(atMs: number): void {
    const isSeen = this.#track.missedInRow === 0
    if (isSeen) this.sightings.note(this.#track.score, atMs)
    this.#noteResult(isSeen)
  }

  #noteResult(isSeen: boolean): void {
    this.window.push(isSeen)
    if (isSeen) this.membership.note(bottomCentre(this.box))
  }

  get label(): string {
    return this.#track.label
  }

  get classId(): number {
    return this.#track.classId
  }

  get score(): number {
    return this.sightings.score
  }

  get box(): Box {
    return this.#track.box
  }

  get zones(): readonly string[] {
    return this.membership.current
  }

  get enteredZones(): readonly string[] {
    return this.membership.entered
  }
}
