import { describe, expect, test } from 'vitest'
import { eventsOf, lives, newEngine } from '../../../support/events.ts'
import { type Actor, film, stand, walk } from '../../../support/scene.ts'

describe('a scene', () => {
  const seeds = Array.from({ length: 30 }, (_, seed) => seed)
  const flickering: Omit<Actor, 'path'> = { score: [0.32, 0.95] }
  const comesAndSits = [
    { s: 2, x: 1, y: 0.5 },
    { s: 6, x: 0.7, y: 0.5 },
    { s: 18, x: 0.7, y: 0.5 },
  ]

  test.each([2, 5, 10])('gives exactly the expected events at %i results per second', (rate) => {
    const actors = [
      // Two enter from both sides, are hidden for half a second each, cross in the middle, and leave.
      walk(-0.1, 1.1, 0, 8, { ...flickering, hidden: [[2, 2.5]] }),
      walk(1.1, -0.1, 0, 8, { ...flickering, hidden: [[5.2, 5.7]] }),
      // A cat comes in their way and sits down; it is seen badly all the time, but not too badly to be kept.
      { label: 'cat', width: 0.12, height: 0.12, score: [0.4, 0.7] as const, path: comesAndSits },
      // What never gets beyond the threshold is nothing.
      stand(0.2, 0, 18, { label: 'dog', score: [0.2, 0.49] }),
      // False finds, each for one result.
      stand(0.9, 3, 3.09, { label: 'bird', score: 0.9 }),
      stand(0.1, 11, 11.09, { label: 'person', score: 0.9 }),
    ]
    for (const seed of seeds) {
      const engine = newEngine({ update_interval_s: 0 })
      const events = eventsOf(film(actors, rate, 22, seed), engine)
      expect(lives(events).sort(), `seed ${seed}`).toEqual(['cat: new end', 'person: new end', 'person: new end'])
      const walkers = Map.groupBy(
        events.filter(({ label }) => label === 'person'),
        ({ classId }) => classId,
      )
      for (const [number, life] of walkers) {
        const last = life.at(-1)?.box
        expect(last && (last.xmin + last.xmax) / 2 > 0.5, `seed ${seed}: who left where`).toBe(number === 0)
      }
      expect(walkers.size).toBe(2)
      expect(engine.openEvents).toBe(0)
    }
  })

  test.each([2, 5, 10])('of two side by side is two events at %i results per second', (rate) => {
    for (const seed of seeds) {
      const actors = [stand(0.4, 0, 9, { score: [0.4, 0.9] }), stand(0.52, 0, 9, { score: [0.4, 0.9] })]
      const events = eventsOf(film(actors, rate, 12, seed), newEngine({ update_interval_s: 0 }))
      expect(lives(events), `seed ${seed}`).toEqual(['person: new end', 'person: new end'])
    }
  })

  test.each([2, 3, 5, 10])('of three in a row is three events at %i results per second', (rate) => {
    // Each comes near the place where the one before was: taking the nearest first would mix them up.
    const actors = [0, 0.4, 0.8].map((behind) => walk(-0.1, 1.1, behind, behind + 5))
    for (const seed of seeds) {
      const events = eventsOf(film(actors, rate, 12, seed), newEngine({ update_interval_s: 0 }))
      expect(lives(events).sort(), `seed ${seed}`).toEqual(Array.from(actors, () => 'person: new end'))
    }
  })

  test('of one who leaves and one who appears elsewhere at that moment is two events', () => {
    const actors = [walk(0.5, -0.1, 0, 4), walk(0.95, 0.5, 4.2, 8)]
    for (const rate of [2, 5, 10]) {
      expect(lives(eventsOf(film(actors, rate, 12), newEngine({ update_interval_s: 0 })))).toEqual([
        'person: new end',
        'person: new end',
      ])
    }
  })
})
