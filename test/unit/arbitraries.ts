import fc from 'fast-check'
import type { Finding } from '../../src/core/prediction.ts'
import type { FrameCounters, VisionModel, VisionResult } from '../../src/core/vision-protocol.ts'

/** Values as the vision process makes them, for property tests. */

const count = fc.nat()
const label = fc.string({ minLength: 1 })
const ms = fc.double({ min: 0, max: 1e6, noNaN: true })
export const unit = fc.double({ min: 0, max: 1, noNaN: true })

/** Positive width and height, corners in 0..1. */
const side = fc
  .tuple(fc.integer({ min: 0, max: 999 }), fc.integer({ min: 1, max: 1000 }))
  .filter(([min, max]) => min < max)
  .map(([min, max]) => ({ min: min / 1000, max: max / 1000 }))
export const box = fc.tuple(side, side).map(([x, y]) => ({ xmin: x.min, ymin: y.min, xmax: x.max, ymax: y.max }))

const prediction = { label, classId: count, score: unit }
export const finding: fc.Arbitrary<Finding> = fc.oneof(
  fc.record({ task: fc.constant('classification' as const), predictions: fc.array(fc.record(prediction)) }),
  fc.record({ task: fc.constant('detection' as const), detections: fc.array(fc.record({ ...prediction, box })) }),
)

export const counters: fc.Arbitrary<FrameCounters> = fc
  .record({ inferred: count, dropped: count, moving: count, still: count, pending: fc.nat(2) })
  .map(({ inferred, dropped, moving, still, pending }) => {
    const skipped = moving + still
    return { captured: inferred + dropped + skipped + pending, inferred, dropped, skipped, still, pending }
  })

export const model: fc.Arbitrary<VisionModel> = fc.record({
  name: label,
  version: label,
  sha256: fc.stringMatching(/^[0-9a-f]{64}$/),
  task: fc.constantFrom('classification', 'detection'),
  threshold: unit,
})

export const visionResult: fc.Arbitrary<VisionResult> = fc.record({
  type: fc.constant('result' as const),
  frame: fc.record({
    id: count,
    width: count,
    height: count,
    capturedAtMs: fc.double({ min: 0, max: Date.UTC(9999, 11, 31), noNaN: true }),
    ageMs: ms,
  }),
  finding,
  timingMs: fc.record({ preprocess: ms, inference: ms, decode: ms, total: ms }),
  counters,
})
