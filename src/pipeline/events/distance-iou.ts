import { type Box, intersectionOverUnion } from '../../core/prediction.ts'

/**
 * Distance-IoU of two boxes, above -1 and up to 1: their IoU less the squared distance of their centres over the
 * squared diagonal of the smallest box around both (Zheng et al., "Distance-IoU Loss: Faster and Better Learning for
 * Bounding Box Regression", AAAI 2020). Other than IoU, it tells near from far for boxes that don't overlap.
 */
export function distanceIou(a: Box, b: Box): number {
  const distance = ((a.xmin + a.xmax - b.xmin - b.xmax) / 2) ** 2 + ((a.ymin + a.ymax - b.ymin - b.ymax) / 2) ** 2
  const width = Math.max(a.xmax, b.xmax) - Math.min(a.xmin, b.xmin)
  const height = Math.max(a.ymax, b.ymax) - Math.min(a.ymin, b.ymin)
  return intersectionOverUnion(a, b) - (distance === 0 ? 0 : distance / (width ** 2 + height ** 2))
}
