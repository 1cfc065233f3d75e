import fc from 'fast-check'
import * as v from 'valibot'
import { describe, expect, test } from 'vitest'
import { eventOptionsSchema } from '../../../../src/core/event-options.ts'
import type { Finding, Prediction } from '../../../../src/core/prediction.ts'
import type { SceneEvent, View } from '../../../../src/core/scene.ts'
import { lowestScore } from '../../../../src/pipeline/events/event-engine.ts'
import { ResultClock } from '../../../../src/pipeline/events/result-clock.ts'
import { newEngine, type Options } from '../../../support/events.ts'
import { startMs } from '../../../support/scene.ts'
import { box, unit } from '../../arbitraries.ts'

/** Few places and labels, so that things are seen again; anything else now and then. */
const label = fc.constantFrom('cat', 'dog', 'fox')
const score = fc.oneof(fc.constantFrom(0.9, 0.6, 0.5, 0.4, 0.3), unit)
const places = [0.1, 0.15, 0.45, 0.8].map((x) => ({ xmin: x, ymin: 0.3, xmax: x + 0.1, ymax: 0.6 }))
const detection = fc.record({
  label,
  classId: fc.constant(1),
  score,
  box: fc.oneof({ arbitrary: fc.constantFrom(...places), weight: 9 }, { arbitrary: box, weight: 1 }),
})
const prediction = fc.record({ label, classId: fc.constant(1), score })
const best = (one: Prediction, other: Prediction) => other.score - one.score
const detected = fc
  .array(detection, { maxLength: 5 })
  .map((found): Finding => ({ task: 'detection', detections: found.toSorted(best) }))
const classified = fc
  .uniqueArray(prediction, { maxLength: 3, selector: (one) => one.label })
  .map((found): Finding => ({ task: 'classification', predictions: found.toSorted(best) }))

type Step = { readonly ms: number; readonly finding: Finding | 'interrupt' }
const ms = fc.oneof(
  { arbitrary: fc.integer({ min: 0, max: 600 }), weight: 20 },
  { arbitrary: fc.constantFrom(3000, 60_000, -500, -4_000_000, 3_700_000, 1e12), weight: 1 },
)
const interruption: Step = { ms: 100, finding: 'interrupt' }
/** The same finding for some time, or another each time. */
const steps = (finding: fc.Arbitrary<Finding>): fc.Arbitrary<Step[]> =>
  fc
    .array(
      fc.record({
        findings: fc.array(finding, { minLength: 1, maxLength: 3 }),
        intervals: fc.array(ms, { maxLength: 30 }),
        isInterrupted: fc.integer({ min: 0, max: 9 }).map((number) => number === 0),
      }),
      { maxLength: 8 },
    )
    .map((parts) =>
      parts.flatMap(({ findings, intervals, isInterrupted }): Step[] => [
        ...intervals.map((passed, i): Step => ({ ms: passed, finding: findings[i % findings.length] ?? 'interrupt' })),
        ...(isInterrupted ? [interruption] : []),
      ]),
    )

const zone = fc.array(fc.tuple(unit, unit), { minLength: 3, maxLength: 5 })
const anyOptions: fc.Arbitrary<Options> = fc
  .record({
    allow: fc.constantFrom<string[]>(['cat', 'dog'], ['cat', 'dog', 'fox']),
    deny: fc.constantFrom<string[]>([], ['dog']),
    labels: fc.constantFrom<NonNullable<Options['labels']>>({}, { cat: { threshold: 0.4, min_size: 0.02 } }),
    min_size: fc.constantFrom(0, 0.02, 0.05),
    keep_ratio: fc.constantFrom(0.1, 0.6, 1),
    confirm_of: fc.integer({ min: 1, max: 5 }),
    confirm_hits: fc.integer({ min: 1, max: 5 }),
    leave_s: fc.constantFrom(0, 0.3, 1.5),
    update_interval_s: fc.constantFrom(0, 0.2, 0.2, 1),
    cooldown_s: fc.constantFrom(0, 0, 1),
    zones: fc.dictionary(fc.constantFrom('door', 'yard', 'sky'), zone),
  })
  .map((parts) => ({ ...parts, confirm_hits: Math.min(parts.confirm_hits, parts.confirm_of) }))

/** Plays steps, checks the view and each event on its own at each, and gives all events with their result times. */
function play(given: Options, played: readonly Step[]): { event: SceneEvent; resultMs: number }[] {
  const parsed = v.parse(eventOptionsSchema, given)
  const engine = newEngine(given)
  const clock = new ResultClock()
  const open = new Map<string, SceneEvent>()
  const told: { event: SceneEvent; resultMs: number }[] = []
  let atMs = startMs
  let resultMs = 0
  for (const step of played) {
    atMs = Math.max(0, atMs + step.ms)
    if (step.finding !== 'interrupt') resultMs = clock.note(atMs).resultMs
    const events = step.finding === 'interrupt' ? engine.interrupt(atMs) : engine.note(step.finding, atMs)
    for (const event of events) {
      expect(event.atMs).toBe(atMs)
      checkAlone(event, parsed)
      told.push({ event, resultMs })
      if (event.type === 'end') open.delete(event.eventId)
      else open.set(event.eventId, event)
    }
    if (step.finding === 'interrupt') expect(open.size).toBe(0)
    expect(engine.openEvents).toBe(open.size)
    checkView(engine.view, [...open.values()], parsed)
  }
  return told
}

function checkAlone(event: SceneEvent, { allow, deny, zones }: v.InferOutput<typeof eventOptionsSchema>): void {
  expect(allow).toContain(event.label)
  expect(deny).not.toContain(event.label)
  const configured = Object.keys(zones)
  expect(event.enteredZones).toEqual(configured.filter((name) => event.enteredZones.includes(name)))
  expect(event.zones).toEqual(event.enteredZones.filter((name) => event.zones.includes(name)))
  expect(event.topScore).toBeGreaterThanOrEqual(event.score)
  expect(event.endMs === null).toBe(event.type !== 'end')
  expect(event.endReason === null).toBe(event.type !== 'end')
  if (event.endMs !== null) expect(event.endMs).toBeGreaterThanOrEqual(event.startMs)
}

function checkView(view: View, open: readonly SceneEvent[], { zones }: v.InferOutput<typeof eventOptionsSchema>): void {
  const counts = [...view.labels].map(([name, { count }]) => [name, count])
  expect(new Map(counts.map(([name, count]) => [name, count]))).toEqual(
    new Map([...Map.groupBy(open, (event) => event.label)].map(([name, events]) => [name, events.length])),
  )
  expect([...view.zones.keys()]).toEqual(Object.keys(zones))
  for (const presences of [view.labels, ...view.zones.values()]) {
    const scores = [...presences.values()].map((presence) => presence.score)
    expect(scores).toEqual(scores.toSorted((one, other) => other - one))
  }
  for (const inZone of view.zones.values()) {
    for (const [name, { count }] of inZone) expect(count).toBeLessThanOrEqual(view.labels.get(name)?.count ?? 0)
  }
}

function checkLife(life: readonly { event: SceneEvent; resultMs: number }[], updateIntervalMs: number): void {
  const events = life.map(({ event }) => event)
  expect(events.map(({ seq }) => seq)).toEqual([...events.keys()])
  const types = events.map(({ type }) => type).join(' ')
  expect(types).toMatch(/^new( update)*( end)?$/)
  if (updateIntervalMs === 0) expect(types).not.toContain('update')
  for (const [i, { event, resultMs }] of life.entries()) {
    const before = life[i - 1]
    if (before === undefined) continue
    expect([event.label, event.startMs]).toEqual([before.event.label, before.event.startMs])
    expect(event.topScore).toBeGreaterThanOrEqual(before.event.topScore)
    expect(event.hits).toBeGreaterThanOrEqual(before.event.hits)
    expect(before.event.enteredZones.filter((name) => !event.enteredZones.includes(name))).toEqual([])
    if (event.type === 'update') expect(resultMs - before.resultMs).toBeGreaterThanOrEqual(updateIntervalMs)
  }
}

describe('whatever is seen, each event has one beginning and at most one end, and the view has what is open', () => {
  test.each([
    ['objects', steps(detected)],
    ['labels', steps(classified)],
    ['now objects, now labels', steps(fc.oneof(detected, classified))],
  ])('%s', (_, anySteps) => {
    const seen = { new: 0, update: 0, end: 0 }
    fc.assert(
      fc.property(anyOptions, anySteps, (given, played) => {
        const lives = Map.groupBy(play(given, played), ({ event }) => event.eventId)
        for (const life of lives.values()) checkLife(life, (given.update_interval_s ?? 0) * 1000)
        for (const { event } of [...lives.values()].flat()) seen[event.type]++
      }),
      { numRuns: 1000 },
    )
    // The property says nothing of steps that make no events.
    expect(Math.min(seen.new, seen.end)).toBeGreaterThan(300)
    expect(seen.update).toBeGreaterThan(0)
  })
})

test('the lowest score is enough: what scores less changes nothing', () => {
  fc.assert(
    fc.property(anyOptions, steps(detected), (given, played) => {
      const lowest = lowestScore(v.parse(eventOptionsSchema, given), 0.5)
      const without = played.map(({ ms: passed, finding }): Step => {
        if (finding === 'interrupt' || finding.task === 'classification') return { ms: passed, finding }
        return {
          ms: passed,
          finding: { ...finding, detections: finding.detections.filter((one) => one.score >= lowest) },
        }
      })
      expect(play(given, without)).toEqual(play(given, played))
    }),
  )
})
