import { type Detection, type Finding, intersectionOverUnion } from '../core/prediction.ts'

/** Boxes of one label that overlap at least this much are the same find (as in PASCAL VOC and COCO's AP50). */
const sameFromIou = 0.5

/**
 * How far two models agree on one frame: the share of finds that both have, of all that either has, 0..1; 1 when neither
 * has any. Classifiers agree when they name the same label first, or none both.
 */
export function agreementOf(a: Finding, b: Finding): number {
  if (a.task === 'detection' && b.task === 'detection') {
    const shared = sharedFinds(a.detections, b.detections)
    const all = a.detections.length + b.detections.length - shared
    return all === 0 ? 1 : shared / all
  }
  if (a.task === 'classification' && b.task === 'classification')
    return a.predictions[0]?.label === b.predictions[0]?.label ? 1 : 0
  return 0
}

/** Pairs of the same find, each find in one pair at most; the best overlap is paired first. */
function sharedFinds(a: readonly Detection[], b: readonly Detection[]): number {
  const pairs = a
    .flatMap((one) =>
      b
        .filter(({ label }) => label === one.label)
        .map((other) => ({ one, other, overlap: intersectionOverUnion(one.box, other.box) })),
    )
    .filter(({ overlap }) => overlap >= sameFromIou)
    .sort((p, q) => q.overlap - p.overlap)
  const paired = new Set<Detection>()
  let shared = 0
  for (const { one, other } of pairs) {
    if (paired.has(one) || paired.has(other)) continue
    paired.add(one).add(other)
    shared++
  }
  return shared
}

/** Shadow runs are this far apart at least, and take at most this share of the time. */
const leastPauseMs = 500
const mostShare = 0.2

/** Decides when the candidate may see a frame. */
export class ShadowPace {
  #dueMs = 0

  isDue(nowMs: number): boolean {
    return nowMs >= this.#dueMs
  }

  /** A run ended at `nowMs` of a clock that never jumps, and took `tookMs`. */
  note(tookMs: number, nowMs: number): void {
    this.#dueMs = nowMs + Math.max(leastPauseMs, tookMs * (1 / mostShare - 1))
  }
}
