import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Box, intersectionOverUnion } from '../../../../src/core/prediction.ts'
import { distanceIou } from '../../../../src/pipeline/events/distance-iou.ts'
import { box } from '../../arbitraries.ts'

const at = (xmin: number, ymin: number, xmax: number, ymax: number): Box => ({ xmin, ymin, xmax, ymax })

test.each([
  ['the same box', at(0, 0, 0.5, 0.5), at(0, 0, 0.5, 0.5), 1],
  ['boxes of one centre: their IoU', at(0, 0, 1, 1), at(0.25, 0.25, 0.75, 0.75), 0.25],
  ['boxes that touch', at(0, 0, 0.5, 1), at(0.5, 0, 1, 1), -0.25 / 2],
  ['opposite corners', at(0, 0, 0.2, 0.2), at(0.8, 0.8, 1, 1), -1.28 / 2],
  ['a box that overlaps by a third', at(0, 0, 0.5, 1), at(0.25, 0, 0.75, 1), 1 / 3 - 0.0625 / 1.5625],
  ['the same point', at(0.5, 0.5, 0.5, 0.5), at(0.5, 0.5, 0.5, 0.5), 0],
])('Distance-IoU of %s', (_, a, b, expected) => {
  expect(distanceIou(a, b)).toBeCloseTo(expected, 12)
})

test('is symmetric, above -1, and at most the IoU', () => {
  fc.assert(
    fc.property(box, box, (a, b) => {
      expect(distanceIou(a, b)).toBeCloseTo(distanceIou(b, a), 12)
      expect(distanceIou(a, b)).toBeGreaterThan(-1)
      expect(distanceIou(a, b)).toBeLessThanOrEqual(intersectionOverUnion(a, b))
    }),
  )
})
