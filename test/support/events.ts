import * as v from 'valibot'
import { eventOptionsSchema } from '../../src/core/event-options.ts'
import type { Box, Detection } from '../../src/core/prediction.ts'
import type { SceneEvent } from '../../src/core/scene.ts'
import { createEventIds, EventEngine } from '../../src/pipeline/events/event-engine.ts'
import { type Result, seededRandom, startMs } from './scene.ts'

/** The event engine with results that a test writes down, and its events as a test reads them. */

/** As in a configuration file: what is left out is the default. */
export type Options = v.InferInput<typeof eventOptionsSchema>

export function newEngine(options: Options = {}, threshold = 0.5): EventEngine {
  const makeId = createEventIds(seededRandom(1))
  return new EventEngine({ options: v.parse(eventOptionsSchema, options), threshold, makeId })
}

/** 0.1 wide and 0.3 high. */
export function at(x: number, bottom = 0.9): Box {
  return { xmin: x - 0.05, xmax: x + 0.05, ymin: bottom - 0.3, ymax: bottom }
}

export function person(score: number, box = at(0.5)): Detection {
  return { label: 'person', classId: 1, score, box }
}

/** Results 0.2 s apart, each with these detections. */
export function results(...seen: (readonly Detection[])[]): Result[] {
  return seen.map((detections, i) => ({ atMs: startMs + i * 200, finding: { task: 'detection', detections } }))
}

export function eventsOf(seen: readonly Result[], engine = newEngine()): SceneEvent[] {
  return seen.flatMap(({ finding, atMs }) => engine.note(finding, atMs))
}

/** One line for each message, such as `1.4 new person`, with the seconds since the start. */
export function told(events: readonly SceneEvent[]): string[] {
  return events.map(({ atMs, type, label }) => `${(atMs - startMs) / 1000} ${type} ${label}`)
}

/** The lives of all events, such as `person: new update end`, in the order of their beginnings. */
export function lives(events: readonly SceneEvent[]): string[] {
  const byId = Map.groupBy(events, ({ eventId }) => eventId)
  return [...byId.values()].map((life) => `${life[0]?.label}: ${life.map(({ type }) => type).join(' ')}`)
}
