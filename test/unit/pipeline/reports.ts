import type { CameraState } from '../../../src/core/camera-state.ts'
import type { VisionReport, VisionResult } from '../../../src/core/vision-protocol.ts'

/** One report of each type, as the vision process sends it. */

const counters = { captured: 1, inferred: 1, dropped: 0, skipped: 0, still: 0, pending: 0 }

export const model = { name: 'ssd', version: '1', sha256: '0'.repeat(64), task: 'detection', threshold: 0.5 } as const
export const ready: VisionReport = { type: 'ready', model, loadMs: 100 }
export const skipping: VisionReport = { type: 'skipping', counters }
export const stopped: VisionReport = { type: 'stopped', counters }
export const picture: VisionReport = { type: 'picture', requestId: 1, jpeg: null, reason: 'no frame', frame: null }
export const candidate: VisionReport = { type: 'candidate', state: 'ready', candidateId: 1, model, loadMs: 100 }
export const swapped: VisionReport = { type: 'swapped', model: { ...model, version: '2' } }
export const shadow: VisionReport = { type: 'shadow', agreement: 1, activeMs: 20, candidateMs: 20 }
export const failed: VisionReport = { type: 'failed', code: 'vision_failed', message: 'out of memory' }

export function camera(state: CameraState, reason: string | null = null): VisionReport {
  return { type: 'camera', state, reason, advice: null }
}

export function result({ inferenceMs = 20, ageMs = 30 } = {}): VisionResult {
  return {
    type: 'result',
    frame: { id: 1, width: 640, height: 480, capturedAtMs: 0, ageMs },
    finding: { task: 'detection', detections: [] },
    timingMs: { preprocess: 1, inference: inferenceMs, decode: 2, total: inferenceMs + 3 },
    counters,
  }
}
