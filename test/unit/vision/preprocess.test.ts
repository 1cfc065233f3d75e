import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type FrameGeometry, frameBytes, planeOffsets } from '../../../src/core/frame.ts'
import type { ModelInput } from '../../../src/core/model-manifest.ts'
import { inputSize } from '../../../src/core/model-manifest.ts'
import { sourceWindow } from '../../../src/core/resize.ts'
import { createInputTensor, type TensorData } from '../../../src/vision/input-tensor.ts'
import { createPreprocessor } from '../../../src/vision/preprocess.ts'
import { createPlainPreprocessor } from '../../support/plain-preprocess.ts'

const uint8Input = (width: number, height: number, changes: Partial<ModelInput> = {}): ModelInput => ({
  name: 'image',
  shape: [1, height, width, 3],
  type: 'uint8',
  layout: 'NHWC',
  colour: 'RGB',
  resize: 'stretch',
  ...changes,
})

/** Exact arithmetic, pixel by pixel, straight from the definitions: what the fixed-point kernel is held against. */
function reference(frame: Uint8Array, geometry: FrameGeometry, input: ModelInput): (number[] | undefined)[] {
  const size = inputSize(input)
  const window = sourceWindow(geometry, size, input.resize)
  const planes = planeOffsets(geometry)
  const sample = (offset: number, stride: number, width: number, height: number, x: number, y: number) => {
    const clamp = (value: number, last: number) => Math.min(last, Math.max(0, value))
    const at = (column: number, row: number) =>
      frame[offset + clamp(row, height - 1) * stride + clamp(column, width - 1)] ?? 0
    const [x0, y0] = [Math.floor(x), Math.floor(y)]
    const [wx, wy] = [x - x0, y - y0]
    return (
      (at(x0, y0) * (1 - wx) + at(x0 + 1, y0) * wx) * (1 - wy) +
      (at(x0, y0 + 1) * (1 - wx) + at(x0 + 1, y0 + 1) * wx) * wy
    )
  }
  const { width, height, stride } = geometry
  return Array.from({ length: size.width * size.height }, (_, i) => {
    const x = window.x + (((i % size.width) + 0.5) * window.width) / size.width
    const y = window.y + ((Math.floor(i / size.width) + 0.5) * window.height) / size.height
    if (x < 0 || x > width || y < 0 || y > height) return undefined
    const luma = sample(planes.y, stride, width, height, x - 0.5, y - 0.5)
    const u = sample(planes.u, stride / 2, width / 2, height / 2, x / 2 - 0.5, y / 2 - 0.5) - 128
    const v = sample(planes.v, stride / 2, width / 2, height / 2, x / 2 - 0.5, y / 2 - 0.5) - 128
    return [luma + 1.402 * v, luma - 0.344136 * u - 0.714136 * v, luma + 1.772 * u].map((level) =>
      Math.min(255, Math.max(0, level)),
    )
  })
}

/** The tensor's levels, as [red, green, blue] per pixel. */
function pixels(tensor: TensorData, { layout, colour, ...input }: ModelInput): number[][] {
  const { width, height } = inputSize({ layout, colour, ...input })
  const count = width * height
  return Array.from({ length: count }, (_, i) => {
    const channels = [0, 1, 2].map((c) => tensor[layout === 'NHWC' ? i * 3 + c : c * count + i] ?? Number.NaN)
    return colour === 'RGB' ? channels : channels.reverse()
  })
}

const side = fc.integer({ min: 1, max: 24 }).map((half) => half * 2)
const geometries = fc
  .record({ width: side, height: side, padding: fc.constantFrom(0, 2, 64) })
  .map(({ width, height, padding }) => ({ width, height, stride: width + padding }))
const inputs = fc.record({
  width: fc.integer({ min: 1, max: 40 }),
  height: fc.integer({ min: 1, max: 40 }),
  layout: fc.constantFrom('NHWC' as const, 'NCHW' as const),
  colour: fc.constantFrom('RGB' as const, 'BGR' as const),
  resize: fc.constantFrom('stretch' as const, 'letterbox' as const, 'crop' as const),
})

function bytesOf({ buffer, byteOffset, byteLength }: TensorData): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength)
}

/** Bytes without a pattern. Made of a seed: fast-check would take its time to make, and to shrink, each of them. */
function noise(length: number, seed: number): Uint8Array {
  let state = seed
  return Uint8Array.from({ length }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0
    return state >>> 24
  })
}

const even = (max: number) => fc.integer({ min: 1, max: max / 2 }).map((half) => half * 2)
const channels = (min: number, max: number) => {
  const value = fc.double({ min, max, noNaN: true })
  return fc.tuple(value, value, value)
}
const jobs = fc.record({
  frame: fc
    .record({ width: even(400), height: even(400), padding: even(130) })
    .map(({ width, height, padding }) => ({ width, height, stride: width + padding - 2 })),
  tensor: fc.record({ width: fc.integer({ min: 1, max: 150 }), height: fc.integer({ min: 1, max: 150 }) }),
  input: fc.record({
    type: fc.constantFrom('uint8' as const, 'int8' as const, 'float32' as const),
    layout: fc.constantFrom('NHWC' as const, 'NCHW' as const),
    colour: fc.constantFrom('RGB' as const, 'BGR' as const),
    resize: fc.constantFrom('stretch' as const, 'letterbox' as const, 'crop' as const),
    cropFraction: fc.double({ min: 0.1, max: 1, noNaN: true }),
    mean: channels(-10, 260),
    std: channels(0.1, 260),
    scale: fc.double({ min: 0.001, max: 2, noNaN: true }),
    zeroPoint: fc.integer({ min: -128, max: 127 }),
  }),
  seed: fc.integer(),
  part: fc.option(fc.record({ from: fc.integer({ min: -2, max: 150 }), to: fc.integer({ min: -2, max: 160 }) }), {
    nil: undefined,
  }),
})

describe('createPreprocessor', () => {
  test('is equal to the plain version, to the bit, for any geometry, model input and part', () => {
    fc.assert(
      fc.property(jobs, ({ frame: geometry, tensor: { width, height }, input: rest, seed, part }) => {
        const shape: ModelInput['shape'] = rest.layout === 'NHWC' ? [1, height, width, 3] : [1, 3, height, width]
        const input = { name: 'image', shape, ...rest }
        const [actual, expected] = [createInputTensor(input), createInputTensor(input)]
        const preprocessor = createPreprocessor(geometry, input)
        const plain = createPlainPreprocessor(geometry, input)
        // Two frames, so that what the first has left in the kernel's memory would show.
        for (const frame of [noise(frameBytes(geometry), seed), noise(frameBytes(geometry), ~seed)]) {
          preprocessor.write(frame, actual, part)
          plain.write(frame, expected, part)
          expect(Buffer.compare(bytesOf(actual), bytesOf(expected))).toBe(0)
        }
        expect(preprocessor.window).toEqual(plain.window)
      }),
      { numRuns: 300 },
    )
  })

  test('is within one level of exact arithmetic for any geometry, layout and resize rule', () => {
    const cases = geometries.chain((geometry) =>
      fc.record({
        geometry: fc.constant(geometry),
        input: inputs,
        frame: fc.uint8Array({ minLength: frameBytes(geometry), maxLength: frameBytes(geometry) }),
      }),
    )
    fc.assert(
      fc.property(cases, ({ geometry, input: { width, height, layout, colour, resize }, frame }) => {
        const input = uint8Input(width, height, {
          layout,
          colour,
          resize,
          shape: layout === 'NHWC' ? [1, height, width, 3] : [1, 3, height, width],
        })
        const tensor = createInputTensor(input)
        createPreprocessor(geometry, input).write(frame, tensor)
        const actual = pixels(tensor, input)
        reference(frame, geometry, input).forEach((expected, i) => {
          // Weights are 1/256 steps: at full contrast that alone may be a level and a half.
          const distance = Math.max(
            ...(expected ?? [114, 114, 114]).map((level, c) => Math.abs(level - (actual[i]?.[c] ?? Number.NaN))),
          )
          expect(distance).toBeLessThanOrEqual(2)
        })
      }),
      { numRuns: 200 },
    )
  })

  test('bytes in the padding of a row never show', () => {
    const geometry = { width: 8, height: 4, stride: 16 }
    const frame = new Uint8Array(frameBytes(geometry)).fill(255)
    const planes = planeOffsets(geometry)
    for (let row = 0; row < 4; row++) frame.fill(90, row * 16, row * 16 + 8)
    for (const plane of [planes.u, planes.v])
      for (let row = 0; row < 2; row++) frame.fill(128, plane + row * 8, plane + row * 8 + 4)
    const input = uint8Input(5, 3)
    const tensor = createInputTensor(input)
    createPreprocessor(geometry, input).write(frame, tensor)
    expect([...new Set(tensor)]).toEqual([90])
  })

  test.each([
    ['white', [255, 128, 128], [255, 255, 255]],
    ['black', [0, 128, 128], [0, 0, 0]],
    // T.871: full-range primaries.
    ['red', [76, 85, 255], [254, 0, 0]],
    ['green', [150, 44, 21], [0, 255, 1]],
    ['blue', [29, 255, 107], [0, 0, 254]],
  ])('%s in full-range BT.601 is %s', (_, [y = 0, u = 0, v = 0], rgb) => {
    const geometry = { width: 4, height: 4, stride: 4 }
    const frame = new Uint8Array([...Array(16).fill(y), ...Array(4).fill(u), ...Array(4).fill(v)])
    const tensor = createInputTensor(uint8Input(1, 1))
    createPreprocessor(geometry, uint8Input(1, 1)).write(frame, tensor)
    rgb.forEach((level, channel) => {
      expect(Math.abs((tensor[channel] ?? 0) - level)).toBeLessThanOrEqual(2)
    })
  })

  test('float32 gets (p - mean) / std per channel, int8 its rounded and shifted quotient', () => {
    const geometry = { width: 2, height: 2, stride: 2 }
    const frame = new Uint8Array([200, 200, 200, 200, 128, 128])
    const scaled = { mean: [100, 0, 50] as [number, number, number], std: [50, 2, 10] as [number, number, number] }
    const float = uint8Input(1, 1, { type: 'float32', ...scaled })
    const floats = createInputTensor(float)
    createPreprocessor(geometry, float).write(frame, floats)
    expect([...floats]).toEqual([2, 100, 15])
    const int8 = uint8Input(1, 1, { type: 'int8', mean: [0, 0, 0], std: [1, 1, 1], scale: 1, zeroPoint: -128 })
    const ints = createInputTensor(int8)
    createPreprocessor(geometry, int8).write(frame, ints)
    expect([...ints]).toEqual([72, 72, 72])
  })
})
