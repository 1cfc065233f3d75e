import * as v from 'valibot'
import { metricEntries } from '../../src/core/metrics.ts'
import type { UpdateStatus } from '../../src/core/update-status.ts'
import {
  currentSchema,
  type EventMessage,
  encodeMessage,
  eventSchema,
  infoSchema,
  metricsSchema,
  type State,
  stateSchema,
  updateSchema,
} from '../../src/mqtt/messages.ts'
import { updateMessage } from '../../src/mqtt/update-message.ts'

/** What devices say, as they write it. */

const ts = '2026-11-25T08:00:00.000Z'

export function saidInfo(id: string, name = id): string {
  return encodeMessage(infoSchema, {
    v: 1,
    id,
    name,
    sw: '0.1.0',
    node: '24.0.0',
    ort: '1.30.0',
    os: null,
    arch: 'arm64',
    board: null,
    serial: null,
    boot: '5d41402a',
    started: ts,
    capabilities: ['detection'],
  })
}

export function saidState(change: Partial<State> = {}): string {
  return encodeMessage(stateSchema, {
    v: 1,
    ts,
    status: 'running',
    reason: null,
    camera: { state: 'online', source: 'replay', reason: null, advice: null },
    model: { name: 'ssdlite-mobilenet-v2-coco', version: '1' },
    inference: 'ON',
    threshold: 0.5,
    max_fps: null,
    fps: 9.8,
    governor: { active: false, reason: null },
    vision: { restarts: 0 },
    outbox: { pending: 0, problem: null },
    mqtt: { problem: null },
    settings: { problem: null },
    results_dropped: 0,
    ...change,
  })
}

export function saidCurrent(summary: string, at = ts): string {
  return encodeMessage(currentSchema, { v: 1, ts: at, summary, labels: {}, zones: {} })
}

export function saidEvent(change: Partial<EventMessage> = {}): string {
  return encodeMessage(eventSchema, {
    v: 1,
    type: 'new',
    event_id: '5d41402a-1',
    seq: 0,
    boot: '5d41402a',
    ts,
    label: 'person',
    class_id: 1,
    score: 0.82,
    top_score: 0.82,
    box: null,
    zones: [],
    entered_zones: [],
    start: ts,
    end: null,
    end_reason: null,
    hits: 3,
    model: null,
    replayed: false,
    ...change,
  })
}

export function saidMetrics(change: Partial<v.InferInput<typeof metricsSchema>> = {}): string {
  const zeros = v.parse(
    v.record(v.string(), v.number()),
    Object.fromEntries(Object.keys(metricEntries).map((key) => [key, 0])),
  )
  const metrics = {
    ...zeros,
    throttled: false,
    undervoltage: false,
    governor_active: false,
    camera_online: true,
    mqtt_connected: true,
    temp_c: 61.2,
    inference_ms_p50: 21.4,
  }
  return encodeMessage(metricsSchema, v.parse(metricsSchema, { v: 1, ts, ...metrics, ...change }))
}

export function saidUpdate(status: UpdateStatus, model: { name: string; version: string } | undefined): string {
  return encodeMessage(updateSchema, updateMessage(status, model, Date.parse(ts)))
}
