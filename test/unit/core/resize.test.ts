import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Box } from '../../../src/core/prediction.ts'
import { boxInFrame, type SourceWindow, sourceWindow } from '../../../src/core/resize.ts'
import { box } from '../arbitraries.ts'

const side = fc.integer({ min: 32, max: 4096 })
const size = fc.record({ width: side, height: side })
const rule = fc.constantFrom('stretch', 'letterbox', 'crop')

/** The way in: a box in 0..1 of the frame, in 0..1 of the model's input. */
function boxInInput({ xmin, ymin, xmax, ymax }: Box, window: SourceWindow, frame: { width: number; height: number }) {
  const x = (value: number) => (value * frame.width - window.x) / window.width
  const y = (value: number) => (value * frame.height - window.y) / window.height
  return { xmin: x(xmin), ymin: y(ymin), xmax: x(xmax), ymax: y(ymax) }
}

describe('sourceWindow', () => {
  const square = { width: 300, height: 300 }
  test.each([
    ['stretch', { width: 640, height: 480 }, { x: 0, y: 0, width: 640, height: 480 }],
    ['crop', { width: 640, height: 480 }, { x: 80, y: 0, width: 480, height: 480 }],
    ['crop', { width: 480, height: 640 }, { x: 0, y: 80, width: 480, height: 480 }],
    ['letterbox', { width: 640, height: 480 }, { x: 0, y: -80, width: 640, height: 640 }],
    ['letterbox', { width: 480, height: 640 }, { x: -80, y: 0, width: 640, height: 640 }],
  ] as const)('for %s of %o is %o', (resize, frame, window) => {
    expect(sourceWindow(frame, square, resize)).toEqual(window)
  })

  test('shows a centred share of the crop when asked to, and only of the crop', () => {
    const frame = { width: 640, height: 480 }
    expect(sourceWindow(frame, square, 'crop', 0.5)).toEqual({ x: 200, y: 120, width: 240, height: 240 })
    expect(sourceWindow(frame, square, 'letterbox', 0.5)).toEqual(sourceWindow(frame, square, 'letterbox'))
  })

  test('is centred, keeps the aspect ratio unless it stretches, and lies inside or around the frame', () => {
    fc.assert(
      fc.property(size, size, rule, (frame, input, resize) => {
        const { x, y, width, height } = sourceWindow(frame, input, resize)
        expect(x + width / 2).toBeCloseTo(frame.width / 2, 6)
        expect(y + height / 2).toBeCloseTo(frame.height / 2, 6)
        if (resize !== 'stretch') expect(width / height).toBeCloseTo(input.width / input.height, 6)
        const isInside = width <= frame.width + 1e-6 && height <= frame.height + 1e-6
        const isAround = width >= frame.width - 1e-6 && height >= frame.height - 1e-6
        expect(resize === 'letterbox' ? isAround : isInside).toBe(true)
      }),
    )
  })
})

describe('boxInFrame', () => {
  test('takes a box back to where it was in the frame, for any sizes and rule', () => {
    fc.assert(
      fc.property(size, size, rule, box, (frame, input, resize, original) => {
        const window = sourceWindow(frame, input, resize)
        const seen = boxInFrame(boxInInput(original, window, frame), window, frame)
        for (const corner of ['xmin', 'ymin', 'xmax', 'ymax'] as const)
          expect(seen[corner]).toBeCloseTo(original[corner], 9)
      }),
    )
  })

  test('cuts what a letterboxed model sees in the bars', () => {
    const frame = { width: 640, height: 480 }
    const window = sourceWindow(frame, { width: 300, height: 300 }, 'letterbox')
    const whole = boxInFrame({ xmin: 0, ymin: 0, xmax: 1, ymax: 1 }, window, frame)
    expect(whole).toEqual({ xmin: 0, ymin: 0, xmax: 1, ymax: 1 })
    const bar = boxInFrame({ xmin: 0.2, ymin: 0, xmax: 0.4, ymax: 0.125 }, window, frame)
    expect(bar).toEqual({ xmin: 0.2, ymin: 0, xmax: 0.4, ymax: 0 })
  })
})
