import * as v from 'valibot'
import { cameraStateSchema } from './camera-state.ts'
import { sourceOptionsSchema } from './source-options.ts'

/** What crosses between the control process and the vision process: small messages, never a frame. */

/** The end of the year 9999, the last that RFC 3339 can write. */
const lastMs = 253_402_300_799_999

const count = v.pipe(v.number(), v.integer(), v.minValue(0))
const ms = v.pipe(v.number(), v.minValue(0))
const score = v.pipe(v.number(), v.minValue(0), v.maxValue(1))

/** The largest JPEG that may be asked for, in bytes. */
export const maxPictureBytes = 4 * 1024 * 1024

/** What may change while the process runs. */
const tuningSchema = v.strictObject({
  /** Report from this score on; null: the model's own threshold. */
  lowestScore: v.nullable(score),
  /** Frames beyond this rate are skipped. */
  maxFps: v.nullable(v.pipe(v.number(), v.gtValue(0))),
  /** All frames are skipped; the camera runs on. */
  isPaused: v.boolean(),
  /** Frames in which nothing moves are skipped, but for one every `idle_s` seconds; null: they are not. */
  motion: v.nullable(
    v.strictObject({
      sensitivity: v.picklist(['low', 'medium', 'high']),
      idle_s: v.pipe(v.number(), v.minValue(0)),
    }),
  ),
  /** The frame of the newest result is kept, for a picture of it. */
  keepsPictures: v.boolean(),
})

const modelSourceSchema = v.strictObject({
  dir: v.string(),
  /** What its manifest.json has to be; null: any. */
  manifestSha256: v.nullable(v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/))),
})

const threads = v.pipe(v.number(), v.integer(), v.minValue(1))

export const visionCommandSchema = v.variant('type', [
  v.strictObject({
    type: v.literal('start'),
    model: modelSourceSchema,
    threads,
    source: sourceOptionsSchema,
    tuning: tuningSchema,
  }),
  v.strictObject({ type: v.literal('tune'), tuning: tuningSchema }),
  /** Loads a second model beside the one in charge; its reports carry the same id. One that is there already goes. */
  v.strictObject({ type: v.literal('candidate'), candidateId: count, model: modelSourceSchema, threads }),
  /** The second model takes over from the next frame on, and the first becomes the second. Without one: nothing. */
  v.strictObject({ type: v.literal('swap') }),
  /** Lets the second model go. */
  v.strictObject({ type: v.literal('release') }),
  /** Answered by one report `picture` with the same id. */
  v.strictObject({
    type: v.literal('picture'),
    requestId: count,
    /** The frame that is wanted most, if it is still there; null: a current one. */
    frameId: v.nullable(count),
    maxBytes: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(maxPictureBytes)),
    /** Where the search for a JPEG that fits begins. */
    quality: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(100))),
  }),
  v.strictObject({ type: v.literal('stop') }),
])

/** Every captured frame is in exactly one of the others: captured = inferred + dropped + skipped + pending. */
const countersSchema = v.strictObject({
  captured: count,
  inferred: count,
  /** Overtaken by a newer frame while the model was busy. */
  dropped: count,
  /** Left out on purpose: beyond the rate limit, paused, nothing moved, or possibly torn. */
  skipped: count,
  /** Those of the skipped in which nothing moved. */
  still: count,
  /** With the model, or next in line. */
  pending: count,
})

const modelSchema = v.strictObject({
  name: v.string(),
  version: v.string(),
  sha256: v.string(),
  task: v.picklist(['classification', 'detection']),
  /** The manifest's. */
  threshold: score,
})

const prediction = { label: v.pipe(v.string(), v.minLength(1)), classId: count, score }
const box = v.strictObject({ xmin: score, ymin: score, xmax: score, ymax: score })
const findingSchema = v.variant('task', [
  v.strictObject({
    task: v.literal('classification'),
    predictions: v.pipe(v.array(v.strictObject(prediction)), v.readonly()),
  }),
  v.strictObject({
    task: v.literal('detection'),
    detections: v.pipe(v.array(v.strictObject({ ...prediction, box })), v.readonly()),
  }),
])

const frame = {
  id: count,
  width: count,
  height: count,
  capturedAtMs: v.pipe(v.number(), v.minValue(0), v.maxValue(lastMs)),
}

const timingSchema = v.strictObject({
  preprocess: ms,
  inference: ms,
  decode: ms,
  /** From whole frame to result. */ total: ms,
})

/** Whether the model is to blame, and for what. */
export const failureCode = v.picklist(['model_invalid', 'bad_output', 'vision_failed'])

export const visionReportSchema = v.variant('type', [
  v.strictObject({ type: v.literal('ready'), model: modelSchema, loadMs: ms }),
  v.variant('state', [
    v.strictObject({
      type: v.literal('candidate'),
      state: v.literal('ready'),
      candidateId: count,
      model: modelSchema,
      loadMs: ms,
    }),
    /** It is gone; the model in charge is not touched by that. */
    v.strictObject({
      type: v.literal('candidate'),
      state: v.literal('failed'),
      candidateId: count,
      code: failureCode,
      message: v.string(),
    }),
  ]),
  /** Results are this model's from here on. */
  v.strictObject({ type: v.literal('swapped'), model: modelSchema }),
  /** Both models saw the same frame; see `ShadowSample`. */
  v.strictObject({ type: v.literal('shadow'), agreement: score, activeMs: ms, candidateMs: ms }),
  v.strictObject({
    type: v.literal('camera'),
    state: cameraStateSchema,
    /** Why, in words; null while all is well. */
    reason: v.nullable(v.string()),
    /** What a person can do about it. */
    advice: v.nullable(v.string()),
  }),
  v.strictObject({
    type: v.literal('result'),
    frame: v.strictObject({ ...frame, ageMs: ms }),
    finding: findingSchema,
    timingMs: timingSchema,
    counters: countersSchema,
  }),
  /** Frames arrive but none is meant for the model just now. */
  v.strictObject({ type: v.literal('skipping'), counters: countersSchema }),
  v.strictObject({
    type: v.literal('picture'),
    requestId: count,
    /** Base64; null when there is none, and then `reason` says why, in words. */
    jpeg: v.nullable(v.pipe(v.string(), v.maxLength(Math.ceil(maxPictureBytes / 3) * 4))),
    reason: v.nullable(v.string()),
    /** The frame it shows, which may be larger than the JPEG. */
    frame: v.nullable(v.strictObject(frame)),
  }),
  /** The process can't do its work and ends. */
  v.strictObject({ type: v.literal('failed'), code: failureCode, message: v.string() }),
  v.strictObject({ type: v.literal('stopped'), counters: countersSchema }),
])

export type VisionCommand = v.InferOutput<typeof visionCommandSchema>
export type VisionStart = Extract<VisionCommand, { type: 'start' }>
export type CandidateRequest = Extract<VisionCommand, { type: 'candidate' }>
export type PictureRequest = Extract<VisionCommand, { type: 'picture' }>
export type Tuning = v.InferOutput<typeof tuningSchema>
export type VisionReport = v.InferOutput<typeof visionReportSchema>
export type VisionResult = Extract<VisionReport, { type: 'result' }>
export type PictureReport = Extract<VisionReport, { type: 'picture' }>
export type CandidateReport = Extract<VisionReport, { type: 'candidate' }>
/** What is said of the second model. */
export type SpareReport = CandidateReport | Extract<VisionReport, { type: 'swapped' | 'shadow' }>
export type FailureCode = v.InferOutput<typeof failureCode>
export type VisionModel = v.InferOutput<typeof modelSchema>
export type FrameCounters = v.InferOutput<typeof countersSchema>
export type StageTimings = v.InferOutput<typeof timingSchema>
