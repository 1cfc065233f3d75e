import type { Box } from '../core/prediction.ts'
import { describeView, type SceneEvent, type View } from '../core/scene.ts'
import type { VisionModel } from '../core/vision-protocol.ts'
import { round } from '../lib/round.ts'
import type { CurrentMessage, EventMessage } from './messages.ts'

/** An event as subscribers get it, not replayed yet. */
export function eventMessage(event: SceneEvent, model: VisionModel | undefined, boot: string): EventMessage {
  return {
    v: 1,
    type: event.type,
    event_id: event.eventId,
    seq: event.seq,
    boot,
    ts: new Date(event.atMs).toISOString(),
    label: event.label,
    class_id: event.classId,
    score: round(event.score, 4),
    top_score: round(event.topScore, 4),
    box: event.box === null ? null : roundBox(event.box),
    zones: [...event.zones],
    entered_zones: [...event.enteredZones],
    start: new Date(event.startMs).toISOString(),
    end: event.endMs === null ? null : new Date(event.endMs).toISOString(),
    end_reason: event.endReason,
    hits: event.hits,
    model: model === undefined ? null : { name: model.name, version: model.version },
    replayed: false,
  }
}

/** What is in view as subscribers get it. */
export function currentMessage({ labels, zones }: View, atMs: number): CurrentMessage {
  const presences = (view: View['labels']) =>
    Object.fromEntries([...view].map(([label, { count, score }]) => [label, { count, score: round(score, 4) }]))
  return {
    v: 1,
    ts: new Date(atMs).toISOString(),
    summary: describeView({ labels, zones }),
    labels: presences(labels),
    zones: Object.fromEntries([...zones].map(([zone, inside]) => [zone, presences(inside)])),
  }
}

function roundBox({ xmin, ymin, xmax, ymax }: Box): Box {
  return { xmin: round(xmin, 4), ymin: round(ymin, 4), xmax: round(xmax, 4), ymax: round(ymax, 4) }
}
