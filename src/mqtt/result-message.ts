import type { VisionModel, VisionResult } from '../core/vision-protocol.ts'
import { round } from '../lib/round.ts'
import type { Result } from './messages.ts'

/** One inference as subscribers get it. */
export function resultMessage(
  { frame, finding, timingMs }: VisionResult,
  model: VisionModel,
  boot: string,
  seq: number,
): Result {
  const head = {
    v: 1 as const,
    ts: new Date(frame.capturedAtMs).toISOString(),
    boot,
    seq,
    model: { name: model.name, version: model.version, sha256: model.sha256.slice(0, 12) },
    frame: { id: frame.id, width: frame.width, height: frame.height, age_ms: round(frame.ageMs, 1) },
    timing_ms: {
      preprocess: round(timingMs.preprocess, 1),
      inference: round(timingMs.inference, 1),
      total: round(timingMs.total, 1),
    },
  }
  if (finding.task === 'classification') {
    return {
      ...head,
      task: 'classification',
      predictions: finding.predictions.map(({ label, classId, score }) => ({
        label,
        class_id: classId,
        score: round(score, 4),
      })),
    }
  }
  const detections = finding.detections.map(({ label, classId, score, box }) => ({
    label,
    class_id: classId,
    score: round(score, 4),
    box: { xmin: round(box.xmin, 4), ymin: round(box.ymin, 4), xmax: round(box.xmax, 4), ymax: round(box.ymax, 4) },
  }))
  return { ...head, task: 'detection', detections }
}
