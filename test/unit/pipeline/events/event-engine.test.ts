import { describe, expect, test } from 'vitest'
import type { Finding } from '../../../../src/core/prediction.ts'
import { emptyView } from '../../../../src/core/scene.ts'
import { createEventIds } from '../../../../src/pipeline/events/event-engine.ts'
import { eventsOf, newEngine, told } from '../../../support/events.ts'
import { startMs } from '../../../support/scene.ts'

const whole = { xmin: 0, ymin: 0, xmax: 1, ymax: 1 }
const sees = (...labels: string[]): Finding => ({
  task: 'detection',
  detections: labels.map((label) => ({ label, classId: 1, score: 0.8, box: whole })),
})
const saysIs = (label: string): Finding => ({
  task: 'classification',
  predictions: [{ label, classId: 1, score: 0.8 }],
})
const every200ms = (findings: readonly Finding[], fromMs = startMs) =>
  findings.map((finding, i) => ({ finding, atMs: fromMs + i * 200 }))
const thrice = (finding: Finding, fromMs?: number) => every200ms([finding, finding, finding], fromMs)

describe('an interruption', () => {
  test('ends all events and empties the view', () => {
    const engine = newEngine()
    eventsOf(thrice(sees('cat', 'dog')), engine)
    expect(engine.openEvents).toBe(2)
    const ends = engine.interrupt(startMs + 9000)
    expect(told(ends)).toEqual(['9 end cat', '9 end dog'])
    for (const end of ends)
      expect(end).toMatchObject({ endReason: 'interrupted', endMs: startMs + 400, seq: 1, hits: 3 })
    expect(engine.view).toEqual(emptyView)
    expect(engine.openEvents).toBe(0)
    expect(engine.interrupt(startMs + 9000)).toEqual([])
  })

  test('makes candidates begin anew', () => {
    const engine = newEngine()
    eventsOf(thrice(sees('cat')).slice(1), engine)
    expect(engine.interrupt(startMs + 500)).toEqual([])
    expect(told(eventsOf(thrice(sees('cat'), startMs + 600), engine))).toEqual(['1 new cat'])
  })

  test('makes a label of the whole frame begin anew too', () => {
    const engine = newEngine()
    eventsOf(thrice(saysIs('cat')).slice(1), engine)
    expect(engine.interrupt(startMs + 500)).toEqual([])
    expect(told(eventsOf(thrice(saysIs('cat'), startMs + 600), engine))).toEqual(['1 new cat'])
    expect(told(engine.interrupt(startMs + 2000))).toEqual(['2 end cat'])
  })

  test('begins a cooldown as any end does', () => {
    const engine = newEngine({ cooldown_s: 5 })
    eventsOf(thrice(sees('cat')), engine)
    engine.interrupt(startMs + 500)
    expect(told(eventsOf(thrice(sees('cat'), startMs + 600), engine))).toEqual([])
    expect(told(eventsOf(thrice(sees('cat'), startMs + 5300), engine))).toEqual(['5.5 new cat'])
  })
})

test.each([
  ['objects', sees('cat'), saysIs('dog')],
  ['labels', saysIs('cat'), sees('dog')],
])('a model for another task interrupts the events of %s', (_, before, after) => {
  const engine = newEngine()
  const events = eventsOf([...thrice(before), ...thrice(after, startMs + 1000)], engine)
  expect(told(events)).toEqual(['0.4 new cat', '1 end cat', '1.4 new dog'])
  expect(events[1]?.endReason).toBe('interrupted')
  expect([...engine.view.labels.keys()]).toEqual(['dog'])
})

test('ends come before beginnings', () => {
  const seen = [...thrice(sees('cat')), ...thrice(sees('dog', 'fox'), startMs + 1600)]
  expect(told(eventsOf(seen, newEngine()))).toEqual(['0.4 new cat', '2 end cat', '2 new dog', '2 new fox'])
})

describe('an event id', () => {
  test('is the time of its beginning and a number', () => {
    const makeId = createEventIds(() => 0x7f3a1b / 0x1000000)
    expect(makeId(1764016140123)).toBe('1764016140.123-7f3a1c')
    expect(makeId(1764016140007.9)).toBe('1764016140.007-7f3a1d')
  })

  test('stays short when the number starts over', () => {
    const makeId = createEventIds(() => 0.99999999)
    expect(makeId(5)).toBe('0.005-000000')
  })

  test('differs between programs that start at the same time', () => {
    expect(createEventIds()(startMs)).not.toBe(createEventIds()(startMs))
  })
})
