import { describe, expect, test } from 'vitest'
import { at, eventsOf, lives, newEngine, type Options, person, results, told } from '../../../support/events.ts'
import { type Result, startMs } from '../../../support/scene.ts'

/** `8 8 -`: someone in two results with score 0.8, and in one not at all. */
const scores = (text: string) =>
  results(...text.split(' ').map((score) => (score === '-' ? [] : [person(Number(score) / 10)])))

const lines = (seen: readonly Result[], options?: Options) => told(eventsOf(seen, newEngine(options))).join(', ')
const repeat = (text: string, times: number) => Array.from({ length: times }, () => text).join(' ')

describe('an event begins', () => {
  test.each<[string, string, string, Options?]>([
    ['with the third of three in a row', '8 8 8 8', '0.4 new person'],
    ['with three of five', '8 - 8 - 8', '0.8 new person'],
    ['not with two of five', '8 - - 8 - - 8 - - 8', ''],
    ['not with a false find now and then', '9 - - - - - - - 9 - - - - 9 - - - - -', ''],
    ['at once, when that is wanted', '8', '0 new person', { confirm_hits: 1, confirm_of: 1 }],
    ['with as many as configured', '8 8 8 8', '0.6 new person', { confirm_hits: 4, confirm_of: 4 }],
    ['not below the threshold', '4 4 4 4 4 4', ''],
    ['at the threshold', '5 5 5', '0.4 new person'],
    ['not when only one score of three reaches it', '8 4 4 4 4', ''],
    ['when most scores do', '8 4 4 8 8', '0.8 new person'],
    ['by the threshold of its label', '4 4 4', '0.4 new person', { labels: { person: { threshold: 0.4 } } }],
    ['by the threshold of its label only', '8 8 8 8', '', { labels: { person: { threshold: 0.9 } } }],
    [
      'by the general one if another label has its own',
      '8 8 8',
      '0.4 new person',
      { labels: { cat: { threshold: 1 } } },
    ],
    ['not when its label is denied', '8 8 8 8', '', { deny: ['person'] }],
    ['not when only others are allowed', '8 8 8 8', '', { allow: ['cat'] }],
    ['when it is allowed', '8 8 8', '0.4 new person', { allow: ['person'] }],
    ['when it is large enough', '8 8 8', '0.4 new person', { min_size: 0.0299 }],
    ['not when it is too small', '8 8 8 8', '', { min_size: 0.0301 }],
    ['not when it is too small for its label', '8 8 8 8', '', { labels: { person: { min_size: 0.0301 } } }],
    ['by the size of its label', '8 8 8', '0.4 new person', { min_size: 1, labels: { person: { min_size: 0 } } }],
  ])('%s', (_, text, expected, options) => {
    expect(lines(scores(text), options)).toBe(expected)
  })

  test('when it has come near enough', () => {
    const growing = [0.05, 0.1, 0.15, 0.2, 0.25, 0.3].map((height) => [person(0.8, { ...at(0.5), ymin: 0.9 - height })])
    expect(lines(results(...growing), { min_size: 0.018 })).toBe('0.6 new person')
  })

  test('not for a box without area', () => {
    const flat = person(0.9, { ...at(0.5), xmax: 0.45 })
    expect(lines(results(...Array.from({ length: 9 }, () => [flat])))).toBe('')
  })

  test('and tells what is known', () => {
    expect(eventsOf(scores('6 8 7'))).toEqual([
      {
        type: 'new',
        eventId: expect.stringMatching(/^1764016140\.000-[0-9a-f]{6}$/),
        seq: 0,
        label: 'person',
        classId: 1,
        atMs: startMs + 400,
        startMs,
        endMs: null,
        score: 0.7,
        topScore: 0.7,
        hits: 3,
        box: at(0.5),
        zones: [],
        enteredZones: [],
        endReason: null,
      },
    ])
  })
})

describe('an event goes on', () => {
  test.each<[string, string, string, Options?]>([
    ['down to 0.6 of the threshold', `8 8 8 ${repeat('3', 20)}`, '0.4 new person'],
    ['not further', `8 8 8 ${repeat('2.9', 20)}`, '0.4 new person, 2 end person'],
    ['down to the share that is configured', `8 8 8 ${repeat('2', 20)}`, '0.4 new person', { keep_ratio: 0.4 }],
    ['while it is hidden for less than leave_s', '8 8 8 - - - - - - - 8 - - - - - - - 8', '0.4 new person'],
    ['until leave_s have passed', '8 8 8 - - - - - - - - 8 8', '0.4 new person, 2 end person'],
    ['for as long as configured', '8 8 8 - - 8 - - -', '0.4 new person, 1.6 end person', { leave_s: 0.6 }],
    ['not a single result, if so configured', '8 8 8 8 - 8', '0.4 new person, 0.8 end person', { leave_s: 0 }],
  ])('%s', (_, text, expected, options) => {
    expect(lines(scores(text), { update_interval_s: 0, ...options })).toBe(expected)
  })

  test('and ends with what was seen last', () => {
    const [, end] = eventsOf(scores(`6 8 7 - 9 ${repeat('-', 9)}`))
    expect(end).toMatchObject({
      type: 'end',
      seq: 1,
      endReason: 'left',
      startMs,
      endMs: startMs + 800,
      atMs: startMs + 2400,
    })
    expect(end).toMatchObject({ score: 0.7, topScore: 0.7, hits: 4, box: at(0.5) })
  })

  test('as another one when it comes back later', () => {
    const seen = scores(`8 8 8 ${repeat('-', 9)} 8 8 8`)
    expect(lines(seen)).toBe('0.4 new person, 2 end person, 2.8 new person')
    expect(lives(eventsOf(seen))).toEqual(['person: new end', 'person: new'])
  })
})

describe('after an event of its label', () => {
  const twice = `8 8 8 ${repeat('-', 9)} ${repeat('8', 12)}`

  test.each([
    ['none begins during the cooldown, and the first one after it', 2, '0.4 new person, 2 end person, 4 new person'],
    ['none begins if the cooldown lasts longer', 30, '0.4 new person, 2 end person'],
  ])('%s', (_, cooldown_s, expected) => {
    expect(lines(scores(twice), { cooldown_s, update_interval_s: 0 })).toBe(expected)
  })

  test('one begins with a result that sees it', () => {
    const seen = scores(`8 8 8 ${repeat('-', 9)} 8 8 8 - 8`)
    expect(lines(seen, { cooldown_s: 1 })).toBe('0.4 new person, 2 end person, 3.2 new person')
  })

  test('one of another label begins', () => {
    const seen = scores(twice).map(({ atMs, finding }, i): Result => {
      const cat = i > 11 ? [{ ...person(0.8, at(0.2)), label: 'cat' }] : []
      return {
        atMs,
        finding: {
          task: 'detection',
          detections: finding.task === 'detection' ? [...finding.detections, ...cat] : cat,
        },
      }
    })
    expect(lines(seen, { cooldown_s: 30 })).toBe('0.4 new person, 2 end person, 2.8 new cat')
  })
})

describe('an update is told', () => {
  const here = Array.from({ length: 5 }, () => [person(0.6)])

  test('not while there is no news', () => {
    expect(lines(scores(repeat('8', 100)))).toBe('0.4 new person')
  })

  test('of a median that is higher by 0.05', () => {
    const events = eventsOf(scores(`${repeat('6', 9)} ${repeat('6.4', 20)} ${repeat('6.6', 20)}`))
    expect(told(events)).toEqual(['0.4 new person', '6.2 update person'])
    expect(events[1]?.seq).toBe(1)
    expect(events[1]?.score).toBeCloseTo(0.66)
    expect(events[1]?.topScore).toBeCloseTo(0.66)
  })

  test('not of single high scores', () => {
    expect(lines(scores(repeat('6 9.9 6 6', 20)))).toBe('0.4 new person')
  })

  test('of a box that has moved', () => {
    const near = Array.from({ length: 20 }, () => [person(0.6, at(0.51))])
    const far = Array.from({ length: 20 }, () => [person(0.6, at(0.52))])
    const events = eventsOf(results(...here, ...near, ...far))
    expect(told(events)).toEqual(['0.4 new person', '5 update person'])
    expect(events[1]?.box).toEqual(at(0.52))
  })

  const walking = Array.from({ length: 41 }, (_, i) => [person(0.6, at(0.1 + i * 0.02))])

  test.each([
    [2, '0.4 new, 2.4 update, 4.4 update, 6.4 update'],
    [3, '0.4 new, 3.4 update, 6.4 update'],
    [0, '0.4 new'],
  ])('at most every %i s (0: never)', (update_interval_s, expected) => {
    expect(lines(results(...walking), { update_interval_s })).toBe(expected.replaceAll(/new|update/g, '$& person'))
  })
})

describe('time', () => {
  /** Someone in 10 results, and then what the intervals say: `8` or `-`, so many ms after the one before. */
  function tenAndThen(...later: [ms: number, score: string][]): Result[] {
    const all = scores([repeat('8', 10), ...later.map(([, score]) => score)].join(' '))
    let atMs = startMs + 9 * 200
    return all.map((result, i) => {
      const [ms] = later[i - 10] ?? []
      if (ms === undefined) return result
      atMs += ms
      return { ...result, atMs }
    })
  }
  const minute = (score: string): [number, string] => [60_000, score]
  const count = (seen: Result[], options?: Options) =>
    eventsOf(seen, newEngine({ update_interval_s: 0, ...options })).length

  test("without results is nobody's absence", () => {
    expect(count(tenAndThen(minute('8'), minute('8')))).toBe(1)
    expect(count(tenAndThen(minute('-'), minute('8')))).toBe(1)
    expect(count(tenAndThen(...Array.from({ length: 7 }, () => minute('-')), minute('8')))).toBe(1)
  })

  test('goes on by a usual interval with each seldom result', () => {
    expect(count(tenAndThen(...Array.from({ length: 8 }, () => minute('-'))))).toBe(2)
  })

  test('without results lets a cooldown pass', () => {
    const gone = Array.from({ length: 8 }, (): [number, string] => [200, '-'])
    const back: [number, string][] = [minute('8'), [200, '8'], [200, '8']]
    expect(count(tenAndThen(...gone, ...back), { cooldown_s: 50 })).toBe(3)
    expect(count(tenAndThen(...gone, ...back), { cooldown_s: 70 })).toBe(2)
    expect(count(tenAndThen(minute('8'), ...gone, ...back), { cooldown_s: 70 })).toBe(2)
  })

  test.each([
    ['an hour back', -3_600_000],
    ['years ahead', 3e11],
  ])('that jumps %s ends nothing, and no event before it began', (_, ms) => {
    const gone = Array.from({ length: 9 }, (): [number, string] => [200, '-'])
    const events = eventsOf(tenAndThen([ms, '8'], [200, '8'], ...gone))
    expect(events.map(({ type }) => type)).toEqual(['new', 'end'])
    expect(events[1]?.endMs).toBe(Math.max(startMs, startMs + 9 * 200 + ms + 200))
  })
})
