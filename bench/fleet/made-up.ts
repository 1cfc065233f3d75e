import type { VisionModel, VisionResult } from '../../src/core/vision-protocol.ts'

/** What a device without a camera says of one. */

/** Somebody walks through the picture for `visitMs` of each `roundMs`: a `new`, three `update` and an `end`. */
export const roundMs = 20_000
const visitMs = 8000

export const model: VisionModel = {
  name: 'ssdlite-mobilenet-v2-coco',
  version: '1',
  sha256: '6d1c0376231b',
  task: 'detection',
  threshold: 0.5,
}

export const board = { sw: '0.1.0', node: process.versions.node, ort: '1.30.0', os: null, arch: 'arm64', board: null }

export const condition = {
  status: 'running',
  reason: null,
  camera: { state: 'online', source: 'libcamera', reason: null, advice: null },
  model: { name: model.name, version: model.version },
  inference: 'ON',
  threshold: model.threshold,
  max_fps: null,
  fps: 10,
  governor: { active: false, reason: null },
  vision: { restarts: 0 },
  settings: { problem: null },
} as const

export const metrics = {
  uptime_s: 3600,
  control_rss_mb: 78,
  vision_rss_mb: 64,
  temp_c: 58.9,
  throttled: false,
  undervoltage: false,
  governor_active: false,
  camera_online: true,
  fps: 10,
  inference_ms_p50: 60,
  inference_ms_p95: 70,
  frame_age_ms_p95: 0.4,
  frames_captured_total: 35_990,
  frames_inferred_total: 35_200,
  frames_dropped_total: 12,
  frames_skipped_total: 778,
  frames_still_total: 770,
  vision_restarts_total: 0,
}

/** The result of a frame that was captured at a time; `phaseMs` moves the visits. */
export function resultAt(atMs: number, phaseMs: number): VisionResult {
  const inRound = (atMs + phaseMs) % roundMs
  const xmin = 0.8 * (inRound / visitMs)
  const person = { label: 'person', classId: 1, score: 0.8, box: { xmin, ymin: 0.2, xmax: xmin + 0.1, ymax: 0.8 } }
  return {
    type: 'result',
    frame: { id: 1, width: 640, height: 480, capturedAtMs: atMs, ageMs: 0.1 },
    finding: { task: 'detection', detections: inRound < visitMs ? [person] : [] },
    timingMs: { preprocess: 1.2, inference: 60, decode: 0.3, total: 61.5 },
    counters: { captured: 0, inferred: 0, dropped: 0, skipped: 0, still: 0, pending: 0 },
  }
}
