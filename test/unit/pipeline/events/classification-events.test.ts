import { describe, expect, test } from 'vitest'
import { eventsOf, newEngine, type Options, told } from '../../../support/events.ts'
import { type Result, startMs } from '../../../support/scene.ts'

/**
 * `cat8 dog3 | dog6`: two results 0.2 s apart, in the first cat with 0.8 before dog with 0.3. `-` is a result without
 * labels.
 */
function results(text: string): Result[] {
  return text.split(' | ').map((result, i) => {
    const predictions = [...result.matchAll(/([a-z]+)([\d.]+)/g)].map(([, label = '', tenths]) => ({
      label,
      classId: label.length,
      score: Number(tenths) / 10,
    }))
    return { atMs: startMs + i * 200, finding: { task: 'classification', predictions } }
  })
}

const repeat = (result: string, times: number) => Array.from({ length: times }, () => result).join(' | ')
const lines = (text: string, options?: Options) => told(eventsOf(results(text), newEngine(options))).join(', ')

describe('a label is held', () => {
  test.each<[string, string, string, Options?]>([
    ['when it was the best three times in a row', 'cat8 | cat8 | cat8 | cat8', '0.4 new cat'],
    ['when it was the best in three of five', 'cat8 | - | cat8 | dog8 | cat8', '0.8 new cat'],
    ['not when only in two of five', 'cat8 | - | - | cat8 | - | - | cat8 | -', ''],
    ['not when it was second', repeat('dog4 cat3', 9), ''],
    ['not below the threshold', repeat('cat4.9', 9), ''],
    ['at its own threshold', repeat('cat4', 3), '0.4 new cat', { labels: { cat: { threshold: 0.4 } } }],
    ['not below its own threshold', repeat('cat8', 9), '', { labels: { cat: { threshold: 0.9 } } }],
    ['not when it is denied, nor the second then', repeat('cat8 dog7', 9), '', { deny: ['cat'] }],
    ['not when only others are allowed', repeat('cat8 dog7', 9), '', { allow: ['dog'] }],
    ['at once, when that is wanted', 'cat8 | cat8', '0 new cat', { confirm_hits: 1, confirm_of: 1 }],
  ])('%s', (_, text, expected, options) => {
    expect(lines(text, options)).toBe(expected)
  })

  test('and told without a place', () => {
    const options = {
      zones: {
        all: [
          [0, 0],
          [1, 0],
          [1, 1],
        ] satisfies [number, number][],
      },
    }
    const engine = newEngine(options)
    expect(eventsOf(results('cat6 | cat8 | cat7'), engine)).toEqual([
      {
        type: 'new',
        eventId: expect.stringMatching(/^1764016140\.000-[0-9a-f]{6}$/),
        seq: 0,
        label: 'cat',
        classId: 3,
        atMs: startMs + 400,
        startMs,
        endMs: null,
        score: 0.7,
        topScore: 0.7,
        hits: 3,
        box: null,
        zones: [],
        enteredZones: [],
        endReason: null,
      },
    ])
    expect(engine.view).toEqual({
      labels: new Map([['cat', { count: 1, score: 0.7 }]]),
      zones: new Map([['all', new Map()]]),
    })
  })
})

test('a label that won long ago is forgotten', () => {
  const events = eventsOf(results(`cat8 | ${repeat('-', 5)} | ${repeat('cat8', 3)}`))
  expect(events).toMatchObject([{ startMs: startMs + 1200, hits: 3 }])
})

describe('a held label stays', () => {
  const cat = repeat('cat8', 3)

  test.each<[string, string, string, Options?]>([
    ['down to 0.6 of the threshold', `${cat} | ${repeat('cat3', 20)}`, ''],
    ['not further', `${cat} | ${repeat('cat2.9', 20)}`, ', 2 end cat'],
    ['wherever it ranks', `${cat} | ${repeat('fox4.9 dog4 cat3', 20)}`, ''],
    ['when it is not there for less than leave_s', `${cat} | ${repeat('-', 7)} | cat3 | ${repeat('-', 7)} | cat3`, ''],
    ['no longer than leave_s', `${cat} | ${repeat('-', 8)}`, ', 2 end cat'],
    ['as long as configured', `${cat} | - | - | cat3 | - | - | -`, ', 1.6 end cat', { leave_s: 0.6 }],
    ['without a pause, if so configured', `${cat} | cat3 | -`, ', 0.8 end cat', { leave_s: 0 }],
    ['while another wins by turns with it', `${cat} | ${repeat('dog8 cat3 | cat8 dog3', 20)}`, ''],
    ['while another wins more often', `${cat} | ${repeat('dog8 | dog8 | cat8', 20)}`, ''],
    ['while a denied one wins, if it is there', `${cat} | ${repeat('fox8 cat3', 20)}`, '', { deny: ['fox'] }],
  ])('%s', (_, text, expected, options) => {
    expect(lines(text, { update_interval_s: 0, ...options })).toBe(`0.4 new cat${expected}`)
  })

  test('until another one wins for good', () => {
    const events = eventsOf(results(`${cat} | ${repeat('dog6 cat4', 9)}`))
    expect(told(events)).toEqual(['0.4 new cat', '1 end cat', '1 new dog'])
    expect(events[1]).toMatchObject({
      seq: 1,
      endReason: 'left',
      endMs: startMs + 1000,
      hits: 6,
      score: 0.4,
      topScore: 0.8,
    })
    expect(events[2]).toMatchObject({ startMs: startMs + 600, hits: 3, score: 0.6, topScore: 0.6 })
    expect(events[2]?.eventId).not.toBe(events[0]?.eventId)
  })

  test('and begins anew when it comes back', () => {
    const events = eventsOf(results(`${cat} | ${repeat('dog8', 3)} | ${cat}`))
    expect(told(events)).toEqual(['0.4 new cat', '1 end cat', '1 new dog', '1.6 end dog', '1.6 new cat'])
    expect(events.at(-1)).toMatchObject({ startMs: startMs + 1200, hits: 3 })
  })

  test('if the other one has its cooldown', () => {
    const text = `${repeat('dog8', 3)} | ${cat} | ${repeat('dog8 cat4', 20)}`
    expect(lines(text, { cooldown_s: 2 })).toBe('0.4 new dog, 1 end dog, 1 new cat, 3 end cat, 3 new dog')
  })
})

describe('an update of a label is told', () => {
  test('of a higher median only', () => {
    const events = eventsOf(
      results(`${repeat('cat6', 20)} | ${repeat('cat9.9 | cat6 | cat6', 9)} | ${repeat('cat7', 9)}`),
    )
    expect(told(events)).toEqual(['0.4 new cat', '9.6 update cat'])
    expect(events[1]).toMatchObject({ seq: 1, topScore: 0.7 })
  })

  test('not oftener than configured', () => {
    const rising = Array.from({ length: 31 }, (_, i) => `cat${6 + i / 10}`).join(' | ')
    expect(lines(rising, { update_interval_s: 2 })).toBe('0.4 new cat, 2.4 update cat, 4.4 update cat')
    expect(lines(rising, { update_interval_s: 0 })).toBe('0.4 new cat')
  })
})
