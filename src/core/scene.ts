import type { Box } from './prediction.ts'

/** One word on the life of an event: something came into view, changed there, or left it. */
export type SceneEvent = {
  readonly type: 'new' | 'update' | 'end'
  /** The same from `new` to `end`, and never again, not even after a restart. */
  readonly eventId: string
  /** Counts the messages of this event: 0 is `new`. With `eventId` it names one message for ever. */
  readonly seq: number
  readonly label: string
  readonly classId: number
  /** Capture time of the frame that made it known, in ms since the epoch. */
  readonly atMs: number
  /** Capture time of the first frame that showed it. */
  readonly startMs: number
  /** Capture time of the last frame that showed it; null before `end`. */
  readonly endMs: number | null
  /** Median of its newest scores, 0..1. */
  readonly score: number
  /** Highest median so far. */
  readonly topScore: number
  /** Results that showed it. */
  readonly hits: number
  /** Where it was seen last; null for a label of the whole frame. */
  readonly box: Box | null
  /** Zones it is in now, and all it has been in, in the order of the configuration. */
  readonly zones: readonly string[]
  readonly enteredZones: readonly string[]
  /** `interrupted`: nobody can tell any more, since camera, model or inference stopped; null before `end`. */
  readonly endReason: 'left' | 'interrupted' | null
}

export type Presence = { readonly count: number; readonly score: number }

/** What is in view: per label, and per zone (each configured zone is there) and label. Best score first. */
export type View = {
  readonly labels: ReadonlyMap<string, Presence>
  readonly zones: ReadonlyMap<string, ReadonlyMap<string, Presence>>
}

export const emptyView: View = { labels: new Map(), zones: new Map() }

/** Whether the same labels are in view, as often and in the same zones; scores may differ. */
export function sameView(a: View, b: View): boolean {
  return viewKey(a) === viewKey(b)
}

function viewKey({ labels, zones }: View): string {
  const counts = (presences: ReadonlyMap<string, Presence>) =>
    [...presences].map(([label, { count }]): [string, number] => [label, count]).sort(([p], [q]) => (p < q ? -1 : 1))
  return JSON.stringify([counts(labels), [...zones].map(([zone, inside]) => [zone, counts(inside)])])
}

/** For people: `2 × person, cat`, or `nothing`; with scores `2 × person 0.88, cat 0.70`. */
export function describeView({ labels }: View, { withScores = false } = {}): string {
  const words = [...labels].map(
    ([label, { count, score }]) =>
      `${count > 1 ? `${count} × ` : ''}${label}${withScores ? ` ${score.toFixed(2)}` : ''}`,
  )
  return words.join(', ') || 'nothing'
}
