import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { annotate } from '../../../src/cli/annotate.ts'
import type { Box, Detection, Finding } from '../../../src/core/prediction.ts'
import type { RgbPicture } from '../../../src/vision/picture.ts'
import { finding } from '../arbitraries.ts'

const grey = 100
const blank = (width: number, height: number): RgbPicture => ({
  width,
  height,
  rgb: new Uint8Array(width * height * 3).fill(grey),
})

function pixel({ width, rgb }: RgbPicture, x: number, y: number): number[] {
  const at = (y * width + x) * 3
  return [...rgb.slice(at, at + 3)]
}
const background = [grey, grey, grey]
const cat = (box: Box, change: Partial<Detection> = {}): Detection => ({
  label: 'cat',
  classId: 0,
  score: 0.9,
  box,
  ...change,
})
const detections = (...found: Detection[]): Finding => ({ task: 'detection', detections: found })
const middle = { xmin: 0.25, ymin: 0.25, xmax: 0.75, ymax: 0.75 }

describe('annotate', () => {
  test('draws the edges of a box and leaves its inside and outside alone', () => {
    const picture = annotate(blank(200, 200), detections(cat(middle)))
    for (const [x, y] of [
      [50, 100],
      [149, 100],
      [100, 50],
      [100, 149],
    ] as const)
      expect([x, y, pixel(picture, x, y)]).toEqual([x, y, [255, 214, 0]])
    for (const [x, y] of [
      [100, 100],
      [52, 100],
      [49, 100],
      [150, 100],
      [100, 150],
      [10, 10],
    ] as const)
      expect([x, y, pixel(picture, x, y)]).toEqual([x, y, background])
  })

  test('writes the label above the box, in ink on the colour of the box', () => {
    const picture = annotate(blank(200, 200), detections(cat(middle)))
    expect(pixel(picture, 50, 41)).toEqual([255, 214, 0])
    // The top of the C starts one pixel in, two pixels down.
    expect([52, 53, 54].map((x) => pixel(picture, x, 42))).toEqual(Array(3).fill([0, 0, 0]))
    expect(pixel(picture, 50, 40)).toEqual(background)
  })

  test('keeps the label in the picture when the box touches the top', () => {
    const picture = annotate(blank(200, 200), detections(cat({ ...middle, ymin: 0 })))
    expect(pixel(picture, 60, 8)).toEqual([255, 214, 0])
  })

  test('cuts a label at the right edge and does not go on at the left', () => {
    const picture = annotate(blank(200, 200), detections(cat({ ...middle, xmin: 0.9, xmax: 1 }, { label: 'elephant' })))
    expect(pixel(picture, 199, 41)).toEqual([255, 214, 0])
    expect(pixel(picture, 0, 42)).toEqual(background)
  })

  test('draws thicker on a large picture', () => {
    const picture = annotate(blank(1200, 1200), detections(cat(middle)))
    expect([300, 302, 303].map((x) => pixel(picture, x, 600))).toEqual([[255, 214, 0], [255, 214, 0], background])
  })

  test('gives each class a colour, and puts the best detection on top', () => {
    const best = cat(middle, { classId: 1 })
    const second = cat(middle, { classId: 2 })
    expect(pixel(annotate(blank(200, 200), detections(best)), 50, 100)).toEqual([0, 229, 255])
    expect(pixel(annotate(blank(200, 200), detections(second)), 50, 100)).toEqual([255, 64, 129])
    expect(pixel(annotate(blank(200, 200), detections(best, second)), 50, 100)).toEqual([0, 229, 255])
  })

  test('writes the predictions of a classifier below each other into the corner', () => {
    const predictions = ['tabby', 'tiger cat'].map((label, classId) => ({ label, classId, score: 0.5 }))
    const picture = annotate(blank(200, 200), { task: 'classification', predictions })
    expect([0, 8, 9, 17].map((y) => pixel(picture, 0, y))).toEqual(Array(4).fill([255, 214, 0]))
    expect(pixel(picture, 0, 18)).toEqual(background)
  })

  test('changes nothing when nothing was found', () => {
    const picture = blank(20, 20)
    expect(annotate(picture, detections())).toEqual(picture)
  })

  test('keeps the size of the picture and leaves the original alone, whatever was found', () => {
    const size = fc.integer({ min: 1, max: 64 })
    fc.assert(
      fc.property(size, size, finding, (width, height, found) => {
        const original = blank(width, height)
        const { rgb, ...rest } = annotate(original, found)
        expect(rest).toEqual({ width, height })
        expect(rgb).toHaveLength(width * height * 3)
        expect(original).toEqual(blank(width, height))
      }),
    )
  })
})
