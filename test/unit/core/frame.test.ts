import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { frameBytes, paddedGeometry, planeOffsets } from '../../../src/core/frame.ts'

const even = fc.integer({ min: 16, max: 2048 }).map((half) => half * 2)

describe('the layout of a frame', () => {
  test.each([
    { width: 640, height: 480, align: 64, stride: 640 },
    { width: 100, height: 50, align: 64, stride: 128 },
    { width: 640, height: 480, align: 128, stride: 640 },
    { width: 1000, height: 10, align: 128, stride: 1024 },
  ])('pads $width pixels to $stride bytes where rows are aligned to $align', ({ width, height, align, stride }) => {
    expect(paddedGeometry(width, height, align)).toEqual({ width, height, stride })
  })

  test('aligns to 64 bytes unless told otherwise', () => {
    expect(paddedGeometry(96, 2).stride).toBe(128)
  })

  test('has one byte of Y and half a byte of U and V for each pixel of a row', () => {
    const geometry = { width: 4, height: 4, stride: 8 }
    expect(frameBytes(geometry)).toBe(48)
    expect(planeOffsets(geometry)).toEqual({ y: 0, u: 32, v: 40 })
  })

  test('fits three planes one after the other, without gap, for any size', () => {
    fc.assert(
      fc.property(even, even, fc.constantFrom(2, 64, 128), (width, height, align) => {
        const geometry = paddedGeometry(width, height, align)
        expect(geometry.stride).toBeGreaterThanOrEqual(width)
        expect(geometry.stride - width).toBeLessThan(align)
        expect(geometry.stride % align).toBe(0)
        const chromaBytes = (geometry.stride / 2) * (height / 2)
        const { y, u, v } = planeOffsets(geometry)
        expect([y, u, v, frameBytes(geometry)]).toEqual([0, geometry.stride * height, u + chromaBytes, v + chromaBytes])
      }),
    )
  })
})
