import { describe, expect, test } from 'vitest'
import type { Box, Detection } from '../../../../src/core/prediction.ts'
import type { Track } from '../../../../src/pipeline/events/track.ts'
import { Tracker } from '../../../../src/pipeline/events/tracker.ts'
import { type Actor, film, stand, startMs, walk } from '../../../support/scene.ts'

const rates = [2, 3, 5, 10]
const newTracker = (maxTracks = 100) => new Tracker({ candidateMisses: 5, leaveMs: 1500, maxTracks })

/**
 * The tracks of a scene, each as the actor that it followed, or as `0 then 1` if it went over from one to another. A
 * quarter of the way counts as the beginning: of two in a row nobody knows who is who while their velocity isn't known;
 * and one who is hidden may be seen once where the one in front is.
 */
function followed(actors: readonly Actor[], rate: number, seed: number): string[] {
  const tracker = newTracker()
  const sightings = new Map<Track, number[]>()
  for (const { finding, atMs } of film(actors, rate, 12, seed)) {
    const detections = finding.task === 'detection' ? finding.detections : []
    const strong = detections.filter(({ score }) => score >= 0.5)
    const weak = detections.filter(({ score }) => score < 0.5)
    tracker.note(strong, weak, atMs - startMs)
    for (const track of tracker.tracks) {
      track.isFirm = true
      const seen = detections.find(({ box }) => box === track.box)
      if (seen !== undefined) sightings.set(track, [...(sightings.get(track) ?? []), seen.classId])
    }
  }
  return [...sightings.values()]
    .map((seen) => [...new Set([seen[Math.floor(seen.length / 4)], seen.at(-1)])].join(' then '))
    .sort()
}

const flickering: Omit<Actor, 'path'> = { score: [0.3, 0.9] }
const car: Omit<Actor, 'path'> = { label: 'car', width: 0.15, height: 0.08 }

describe.each(rates)('at %i results per second, one track follows', (rate) => {
  test.each<[string, Actor[]]>([
    ['one who stands', [stand(0.5, 0, 10)]],
    ['one who crosses the picture in 4 s', [walk(-0.1, 1.1, 0, 4)]],
    ['one who flickers on the way', [walk(-0.1, 1.1, 0, 4, flickering)]],
    ['one who is hidden for half a second', [walk(-0.1, 1.1, 0, 4, { hidden: [[1.8, 2.3]] })]],
    [
      'one who is hidden twice',
      [
        walk(-0.1, 1.1, 0, 8, {
          hidden: [
            [2, 2.5],
            [5, 5.8],
          ],
        }),
      ],
    ],
    ['one who stands hidden for a second', [stand(0.3, 0, 9, { hidden: [[4, 5]] })]],
    ['a flat one that is quick', [walk(-0.1, 1.1, 0, 2.4, car)]],
    ['each of two who pass each other', [walk(-0.1, 1.1, 0, 5), walk(1.1, -0.1, 0, 5)]],
    ['each of two who pass while they flicker', [walk(-0.1, 1.1, 0, 6, flickering), walk(1.1, -0.1, 0, 6, flickering)]],
    ['each of two who stand side by side', [stand(0.4, 0, 9), stand(0.52, 0, 9)]],
    ['each of two side by side who flicker', [stand(0.4, 0, 9, flickering), stand(0.52, 0, 9, flickering)]],
    ['each of two who walk one behind the other', [walk(-0.1, 1.1, 0, 5), walk(-0.25, 0.95, 0, 5)]],
    ['one who stands, and one who walks by behind', [stand(0.5, 0, 9), walk(-0.1, 1.1, 1, 6)]],
    ['one who stands, and one who walks by in front', [walk(-0.1, 1.1, 1, 6), stand(0.5, 0, 9)]],
    ['a person and a car that pass each other', [walk(-0.1, 1.1, 0, 5), walk(1.1, -0.1, 0, 3, car)]],
  ])('%s', (_, actors) => {
    for (let seed = 1; seed <= 20; seed++) {
      expect(followed(actors, rate, seed), `seed ${seed}`).toEqual(actors.map((_, number) => `${number}`))
    }
  })
})

const at = (x: number, { y = 0.5, width = 0.1, height = 0.3 } = {}): Box => ({
  xmin: x - width / 2,
  xmax: x + width / 2,
  ymin: y - height / 2,
  ymax: y + height / 2,
})
const person = (x: number, score = 0.8): Detection => ({ label: 'person', classId: 0, score, box: at(x) })
const centres = (tracker: Tracker) => tracker.tracks.map(({ box }) => Number(((box.xmin + box.xmax) / 2).toFixed(3)))

describe('a strong detection', () => {
  test('of another label is another object', () => {
    const tracker = newTracker()
    tracker.note([person(0.5)], [], 0)
    tracker.note([{ ...person(0.5), label: 'cat' }], [], 100)
    expect(tracker.tracks.map(({ label, missedInRow }) => [label, missedInRow])).toEqual([
      ['person', 1],
      ['cat', 0],
    ])
  })

  test.each([
    ['more than a width away after 0.1 s is another object', 100, 0.62, 2],
    ['more than a width away after half a second is the same', 500, 0.65, 1],
    ['across the picture after half a second is another', 500, 0.9, 2],
    ['across the picture after a second is another', 1000, 0.9, 2],
  ])('%s', (_, ms, x, count) => {
    const tracker = newTracker()
    tracker.note([person(0.5)], [], 0)
    tracker.note([person(x)], [], ms)
    expect(tracker.tracks).toHaveLength(count)
  })

  test('goes before a weak one that fits a little better', () => {
    const tracker = newTracker()
    tracker.note([person(0.5)], [], 0)
    tracker.note([person(0.51)], [person(0.5, 0.3)], 200)
    expect(centres(tracker)).toEqual([0.51])
  })

  test('of a newcomer does not take the track of a neighbour who is weak just now', () => {
    const tracker = newTracker()
    tracker.note([person(0.5)], [], 0)
    tracker.note([person(0.62)], [person(0.5, 0.3)], 500)
    expect(centres(tracker)).toEqual([0.5, 0.62])
    expect(tracker.tracks.map(({ score }) => score)).toEqual([0.3, 0.8])
  })
})

describe('a weak detection', () => {
  test('begins no track', () => {
    const tracker = newTracker()
    tracker.note([], [person(0.5, 0.3)], 0)
    expect(tracker.tracks).toEqual([])
  })

  test('continues one', () => {
    const tracker = newTracker()
    tracker.note([person(0.5)], [], 0)
    for (let i = 1; i < 30; i++) tracker.note([], [person(0.5, 0.3)], i * 200)
    expect(tracker.tracks).toMatchObject([{ missedInRow: 0, score: 0.3 }])
  })
})

describe('where a track should be', () => {
  const seenAt = (...steps: [ms: number, x: number][]) => {
    const tracker = newTracker()
    for (const [ms, x] of steps) tracker.note([person(x)], [], ms)
    const centreAfter = (ms: number) => {
      const box = tracker.tracks[0]?.predict(ms) ?? at(Number.NaN)
      return (box.xmin + box.xmax) / 2
    }
    return centreAfter
  }

  test('is where it was while there is one sighting', () => {
    expect(seenAt([0, 0.3])(500)).toBeCloseTo(0.3)
  })

  test('is further on the same way', () => {
    expect(seenAt([0, 0.3], [100, 0.32], [200, 0.34])(500)).toBeCloseTo(0.4)
  })

  test('is not more than a second further', () => {
    expect(seenAt([0, 0.3], [100, 0.32])(1100)).toBeCloseTo(0.52)
    expect(seenAt([0, 0.3], [100, 0.32])(60_000)).toBeCloseTo(0.52)
  })

  test('hardly follows one slip, and soon a change', () => {
    const walking: [number, number][] = [0, 1, 2, 3, 4, 5].map((i) => [i * 100, 0.3 + i * 0.02])
    const slipped = seenAt(...walking, [600, 0.47])
    expect(slipped(700)).toBeGreaterThan(0.49)
    expect(slipped(700)).toBeLessThan(0.51)
    const halted: [number, number][] = Array.from({ length: 10 }, (_, i) => [600 + i * 100, 0.4])
    expect(seenAt(...walking, ...halted)(1600)).toBeCloseTo(0.4, 2)
  })

  test('does not break on frames of the same time', () => {
    const centreAfter = seenAt([0, 0.3], [0, 0.31], [0, 0.32])
    expect(centreAfter(0)).toBeCloseTo(0.32)
    expect(centreAfter(1000)).toBeCloseTo(0.32)
  })
})

describe('a track that is not seen', () => {
  test('is forgotten after five results while it is a candidate, and told to nobody', () => {
    const tracker = newTracker()
    tracker.note([person(0.5)], [], 0)
    const lost = [1, 2, 3, 4].flatMap((i) => tracker.note([], [], i * 1000))
    expect(tracker.tracks).toHaveLength(1)
    expect([...lost, ...tracker.note([], [], 5000)]).toEqual([])
    expect(tracker.tracks).toEqual([])
  })

  test('is lost after its time when it is firm', () => {
    const tracker = newTracker()
    tracker.note([person(0.5)], [], 0)
    const [track] = tracker.tracks
    if (track !== undefined) track.isFirm = true
    const lost = Array.from({ length: 14 }, (_, i) => tracker.note([], [], (i + 1) * 100)).flat()
    expect(lost).toEqual([])
    expect(tracker.note([], [], 1500)).toEqual([track])
    expect(tracker.tracks).toEqual([])
  })
})

describe('too many tracks', () => {
  test('cost the candidate with the lowest score', () => {
    const tracker = newTracker(3)
    tracker.note([person(0.1, 0.6), person(0.5, 0.7), person(0.9, 0.8)], [], 0)
    const [first] = tracker.tracks
    if (first !== undefined) first.isFirm = true
    tracker.note([{ ...person(0.3, 0.75), label: 'cat' }], [], 100)
    expect(tracker.tracks.map(({ score }) => score)).toEqual([0.6, 0.8, 0.75])
  })

  test('never replace what is firm', () => {
    const tracker = newTracker(2)
    tracker.note([person(0.1, 0.6), person(0.5, 0.7)], [], 0)
    for (const track of tracker.tracks) track.isFirm = true
    tracker.note([person(0.1, 0.6), person(0.5, 0.7), person(0.9, 0.99)], [], 100)
    expect(tracker.tracks.map(({ score }) => score)).toEqual([0.6, 0.7])
  })
})
