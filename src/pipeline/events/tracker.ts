import type { Detection } from '../../core/prediction.ts'
import { bestPairs, type Pair } from './assignment.ts'
import { distanceIou } from './distance-iou.ts'
import { Track } from './track.ts'

type TrackerOptions = {
  /** A candidate is forgotten after so many results in a row that didn't see it. */
  readonly candidateMisses: number
  /** A firm track is lost when it wasn't seen for so long. */
  readonly leaveMs: number
  readonly maxTracks?: number
}

/**
 * Follows objects through results: each detection goes to a track of its label by how well it fits the box where the
 * track should be (Distance-IoU), such that the sum is the best. Choosing the best pair first would do worse: of people
 * who walk one behind the other, each would get the box of the next.
 *
 * As in ByteTrack (Zhang et al., "ByteTrack: Multi-Object Tracking by Associating Every Detection Box", ECCV 2022),
 * only strong detections begin a track, weak ones continue one, and strong ones come first; not in a round of their
 * own, though, but by their weight. With two rounds, a newcomer takes the track of a neighbour who is weak just now.
 */
export class Tracker {
  readonly #options: TrackerOptions
  #tracks: Track[] = []

  constructor(options: TrackerOptions) {
    this.#options = options
  }

  get tracks(): readonly Track[] {
    return this.#tracks
  }

  /** Takes the detections of one result at `nowMs` (result time); gives the firm tracks that are lost. */
  note(strong: readonly Detection[], weak: readonly Detection[], nowMs: number): Track[] {
    const unseen = new Set(this.#tracks)
    const unassigned = new Set(strong)
    for (const [track, detection] of pair(this.#tracks, strong, weak, nowMs)) {
      track.see(detection, nowMs)
      unseen.delete(track)
      unassigned.delete(detection)
    }
    for (const track of unseen) track.miss()
    const gone = new Set([...unseen].filter((track) => this.#isGone(track, nowMs)))
    this.#tracks = this.#tracks.filter((track) => !gone.has(track))
    for (const detection of unassigned) this.#begin(detection, nowMs)
    return [...gone].filter(({ isFirm }) => isFirm)
  }

  #isGone(track: Track, nowMs: number): boolean {
    const { candidateMisses, leaveMs } = this.#options
    return track.isFirm ? track.unseenMs(nowMs) >= leaveMs : track.missedInRow >= candidateMisses
  }

  /** When there are too many, the candidate with the lowest score goes; that may be the new one. */
  #begin(detection: Detection, nowMs: number): void {
    this.#tracks.push(new Track(detection, nowMs))
    if (this.#tracks.length <= (this.#options.maxTracks ?? 100)) return
    const weakest = this.#tracks
      .filter(({ isFirm }) => !isFirm)
      .reduce((lowest, track) => (track.score <= lowest.score ? track : lowest))
    this.#tracks.splice(this.#tracks.indexOf(weakest), 1)
  }
}

function pair(
  tracks: readonly Track[],
  strong: readonly Detection[],
  weak: readonly Detection[],
  nowMs: number,
): Pair<Track, Detection>[] {
  const isWeak = new Set(weak)
  const detections = Map.groupBy([...strong, ...weak], ({ label }) => label)
  return [...Map.groupBy(tracks, ({ label }) => label)].flatMap(([label, alike]) => {
    const expected = new Map(alike.map((track) => [track, track.predict(nowMs)]))
    const pairs = bestPairs([...expected], detections.get(label) ?? [], ([track, box], detection) => {
      const fit = distanceIou(box, detection.box)
      return fit < leastFit(track.unseenMs(nowMs)) ? 0 : fit + (isWeak.has(detection) ? weakBonus : strongBonus)
    })
    return pairs.map(([[track], detection]) => [track, detection] as const)
  })
}

/**
 * What a pair is worth beyond its fit. Both are more than the worst fit takes away, so that a pair is better than none;
 * and a weak detection that fits well, as one of the same object does, beats a strong one that lies half beside.
 */
const strongBonus = 1
const weakBonus = 0.5

/**
 * How badly a detection may fit the box where a track should be: the worse, the longer it was not seen. For tall
 * boxes that allows a surprise of some ten of their own widths per second, for flat ones of five, and of two or three
 * widths in all.
 */
function leastFit(unseenMs: number): number {
  return -Math.min(0.4, 0.001 * unseenMs)
}
