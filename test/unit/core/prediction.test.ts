import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Box, foundObjects, intersectionOverUnion } from '../../../src/core/prediction.ts'
import { box } from '../arbitraries.ts'

const at = (xmin: number, ymin: number, xmax: number, ymax: number): Box => ({ xmin, ymin, xmax, ymax })

describe('intersectionOverUnion', () => {
  test.each([
    ['the same box', at(0, 0, 0.5, 0.5), at(0, 0, 0.5, 0.5), 1],
    ['half of a box', at(0, 0, 1, 1), at(0, 0, 0.5, 1), 0.5],
    ['boxes that share a third of what both cover', at(0, 0, 0.5, 1), at(0.25, 0, 0.75, 1), 1 / 3],
    ['boxes that share a corner', at(0, 0, 0.5, 0.5), at(0.25, 0.25, 0.75, 0.75), 1 / 7],
    ['boxes that touch', at(0, 0, 0.5, 1), at(0.5, 0, 1, 1), 0],
    ['boxes side by side', at(0, 0, 0.2, 1), at(0.5, 0, 1, 1), 0],
    ['boxes apart both ways', at(0, 0, 0.2, 0.2), at(0.5, 0.5, 1, 1), 0],
    ['a box without area', at(0, 0, 1, 1), at(0.5, 0.5, 0.5, 0.5), 0],
    ['a box turned inside out', at(0, 0, 1, 1), at(0.9, 0.9, 0.1, 0.1), 0],
  ])('of %s', (_, a, b, expected) => {
    expect(intersectionOverUnion(a, b)).toBeCloseTo(expected, 12)
  })

  test('is symmetric and between 0 and 1 for any two boxes', () => {
    fc.assert(
      fc.property(box, box, (a, b) => {
        const iou = intersectionOverUnion(a, b)
        expect(iou).toBe(intersectionOverUnion(b, a))
        expect(iou).toBeGreaterThanOrEqual(0)
        expect(iou).toBeLessThanOrEqual(1)
      }),
    )
  })

  test('is 1 for a box and itself, and for no other', () => {
    fc.assert(
      fc.property(box, box, (a, b) => {
        expect(intersectionOverUnion(a, a)).toBe(1)
        if (JSON.stringify(a) !== JSON.stringify(b)) expect(intersectionOverUnion(a, b)).toBeLessThan(1)
      }),
    )
  })
})

describe('foundObjects', () => {
  const cat = { label: 'cat', classId: 1, score: 0.9 }
  test('are the predictions of a classifier', () => {
    expect(foundObjects({ task: 'classification', predictions: [cat] })).toEqual([cat])
  })

  test('are the detections of a detector', () => {
    const detection = { ...cat, box: at(0, 0, 1, 1) }
    expect(foundObjects({ task: 'detection', detections: [detection] })).toEqual([detection])
  })
})
