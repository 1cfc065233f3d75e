import { describeDuration, printable } from '../text.ts'
import { conditionOf, isNothing, modelOf, timeOf, troublesOf, type WatchedDevice } from './device.ts'
import type { SaidOf } from './messages.ts'

/** Something that a person wants to know of. */
export type Happening = { readonly atMs: number; readonly id: string; readonly text: string }

/** What is new of a device, in words. */
export function changesBetween(before: WatchedDevice | undefined, after: WatchedDevice): string[] {
  if (isNothing(after)) return before === undefined ? [] : ['is gone']
  const [was, is] = [before && conditionOf(before), conditionOf(after)]
  const changes = is === was || is === 'unknown' ? [] : [`is ${is}`]
  if (after.status !== 'online') return changes
  // What was said of a device that was not there has not been told.
  const told = before?.status === 'online' ? before : undefined
  const [hadTrouble, hasTrouble] = [told ? troublesOf(told).join('; ') : '', troublesOf(after).join('; ')]
  if (hadTrouble !== hasTrouble)
    changes.push(hasTrouble === '' ? 'has no trouble any more' : `has trouble: ${hasTrouble}`)
  const model = modelOf(after)
  if (model !== undefined && model !== (told && modelOf(told))) changes.push(`runs ${model}`)
  if (after.sees !== undefined && after.sees !== told?.sees) changes.push(`sees ${after.sees}`)
  return changes
}

/** An event in words; undefined for what tells people nothing new. */
export function describeEvent(event: SaidOf<'event'>): string | undefined {
  if (event.type === 'update') return undefined
  const late = event.replayed ? ', told late' : ''
  if (event.type === 'new') {
    const zones = event.zones ?? []
    const place = zones.length === 0 ? '' : ` at ${printable(zones.slice(0, 5).join(', '))}`
    return `${printable(event.label)} came (${event.score.toFixed(2)})${place}${late}`
  }
  const [start, end] = [timeOf(event.start), timeOf(event.end ?? event.ts)]
  const stay = start === undefined || end === undefined ? '' : ` after ${describeDuration(end - start)}`
  return event.end_reason === 'interrupted'
    ? `${printable(event.label)} out of sight${stay}: camera, model or inference stopped${late}`
    : `${printable(event.label)} left${stay}${late}`
}
