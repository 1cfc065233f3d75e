import * as v from 'valibot'
import { cameraStateSchema } from '../core/camera-state.ts'

/** What goes over MQTT, version 1. Consumers ignore fields they don't know; `v` changes only when one of these breaks. */

const unit = v.pipe(v.number(), v.minValue(0), v.maxValue(1))
const count = v.pipe(v.number(), v.integer(), v.minValue(0))
const text = v.pipe(v.string(), v.minLength(1))
const timestamp = v.pipe(v.string(), v.isoTimestamp())
const ms = v.pipe(v.number(), v.minValue(0))
const model = v.strictObject({ name: text, version: text })

/** `<base>/<id>/status`: retained, QoS 1, also the last will. */
export const statusSchema = v.picklist(['online', 'offline'])

/** `<base>/<id>/info`: retained, QoS 1, at each connection: who this is. */
export const infoSchema = v.strictObject({
  v: v.literal(1),
  id: text,
  name: text,
  sw: text,
  node: text,
  ort: text,
  os: v.nullable(text),
  arch: text,
  board: v.nullable(text),
  serial: v.nullable(text),
  /** New at each start of the daemon. */
  boot: text,
  started: timestamp,
  capabilities: v.array(text),
})

/** `<base>/<id>/state`: retained, QoS 1, on change and every 60 s: how it is doing. */
export const stateSchema = v.strictObject({
  v: v.literal(1),
  ts: timestamp,
  status: v.picklist(['starting', 'running', 'degraded', 'error']),
  /** A sentence for people; null while all is well. */
  reason: v.nullable(text),
  camera: v.strictObject({
    state: v.union([cameraStateSchema, v.literal('unknown')]),
    source: text,
    reason: v.nullable(text),
    /** What a person can do about it. */
    advice: v.nullable(text),
  }),
  model: v.nullable(model),
  threshold: v.nullable(unit),
  fps: v.pipe(v.number(), v.minValue(0)),
  vision: v.strictObject({ restarts: count }),
  /** Results that were due while the broker was away or the network too slow. */
  results_dropped: count,
})

const prediction = { label: text, class_id: count, score: unit }
const box = v.strictObject({ xmin: unit, ymin: unit, xmax: unit, ymax: unit })

const resultHead = {
  v: v.literal(1),
  /** When the frame was captured. */
  ts: timestamp,
  boot: text,
  /** Counts the results of this boot that were due on this topic; a gap is a result that was lost. */
  seq: count,
  model: v.strictObject({ ...model.entries, sha256: text }),
  frame: v.strictObject({ id: count, width: count, height: count, age_ms: ms }),
  timing_ms: v.strictObject({ preprocess: ms, inference: ms, total: ms }),
}

/** `<base>/<id>/result`: QoS 0, rate capped: one inference. Scores and corners are rounded to 4 places. */
export const resultSchema = v.variant('task', [
  v.strictObject({
    task: v.literal('classification'),
    ...resultHead,
    predictions: v.array(v.strictObject(prediction)),
  }),
  v.strictObject({
    task: v.literal('detection'),
    ...resultHead,
    detections: v.array(v.strictObject({ ...prediction, box })),
  }),
])

export type Result = v.InferOutput<typeof resultSchema>

/** The payload of a message; throws if it is not what the schema promises to subscribers. */
export function encodeMessage<S extends v.GenericSchema>(schema: S, message: v.InferInput<S>): string {
  return JSON.stringify(v.parse(schema, message))
}
