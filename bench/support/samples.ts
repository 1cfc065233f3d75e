import type { SceneEvent } from '../../src/core/scene.ts'
import type { VisionModel, VisionResult } from '../../src/core/vision-protocol.ts'

/** A result and an event as the demo makes them. */

export const sampleModel: VisionModel = {
  name: 'ssdlite-mobilenet-v2-coco',
  version: '1',
  sha256: '6d1c0376231b47f4f07f01aee28c8da6c8b0ef390de2bd2ff4ef6ad7e623f5db',
  task: 'detection',
  threshold: 0.5,
}

const box = { xmin: 0.1018, ymin: 0.2093, xmax: 0.8889, ymax: 0.9921 }

export const sampleResult: VisionResult = {
  type: 'result',
  frame: { id: 12_345, width: 640, height: 480, capturedAtMs: Date.parse('2026-01-01T00:00:00Z'), ageMs: 0.4 },
  finding: {
    task: 'detection',
    detections: [
      { label: 'cup', classId: 47, score: 0.9566, box },
      { label: 'dining table', classId: 67, score: 0.7133, box },
      { label: 'person', classId: 1, score: 0.6012, box },
    ],
  },
  timingMs: { preprocess: 1.2, inference: 20.5, decode: 0.4, total: 22.3 },
  counters: { captured: 12_346, inferred: 12_346, dropped: 0, skipped: 0, still: 0, pending: 0 },
}

export const sampleEvent: SceneEvent = {
  type: 'update',
  eventId: '1767225600000-1a2b3c',
  seq: 3,
  label: 'person',
  classId: 1,
  atMs: Date.parse('2026-01-01T00:00:05Z'),
  startMs: Date.parse('2026-01-01T00:00:00Z'),
  endMs: null,
  score: 0.8731,
  topScore: 0.9012,
  hits: 51,
  box,
  zones: ['door'],
  enteredZones: ['door', 'path'],
  endReason: null,
}
