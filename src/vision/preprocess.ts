import type { FrameGeometry } from '../core/frame.ts'
import { planeOffsets } from '../core/frame.ts'
import type { ModelInput } from '../core/model-manifest.ts'
import { inputSize } from '../core/model-manifest.ts'
import { type SourceWindow, sourceWindow } from '../core/resize.ts'

export type TensorData = Uint8Array | Int8Array | Float32Array

/** Turns frames of one geometry into the input tensor of one model. */
export type Preprocessor = {
  /** The part of the frame that the tensor shows. */
  readonly window: SourceWindow
  /**
   * Writes a frame into `tensor`, or only these rows of the tensor; allocates nothing. Letterbox bars are never touched:
   * `createInputTensor` drew them.
   */
  write(frame: Uint8Array, tensor: TensorData, part?: Range): void
}

type Range = { readonly from: number; readonly to: number }

/** Grey of the letterbox bars, as Ultralytics' letterbox() has it. */
const barLevel = 114

/** Colours of full-range BT.601 reach this far below 0 and past 255 before they are clamped. */
const lutMargin = 256

/** A tensor of the model's input shape and type, filled with the bars' grey. */
export function createInputTensor(input: ModelInput): TensorData {
  const length = input.shape.reduce((product, dim) => product * dim, 1)
  const data =
    input.type === 'float32'
      ? new Float32Array(length)
      : input.type === 'int8'
        ? new Int8Array(length)
        : new Uint8Array(length)
  const { luts, offsets, pixelStep } = tensorWriter(input)
  luts.forEach((lut, channel) => {
    const { width, height } = inputSize(input)
    const grey = lut[barLevel + lutMargin] ?? 0
    for (let pixel = 0; pixel < width * height; pixel++) data[pixel * pixelStep + (offsets[channel] ?? 0)] = grey
  })
  return data
}

/**
 * One pass from I420 to the tensor: window, bilinear resize with half-pixel centres, full-range BT.601 to RGB
 * (ITU-T T.871 section 7), and the model's own scaling by table. Chroma samples sit in the centre of their 2x2 luma
 * pixels, as in JPEG. Fixed point: interpolation keeps 4 fractional bits, colour 14, so the result is within one level
 * of exact arithmetic.
 */
export function createPreprocessor(geometry: FrameGeometry, input: ModelInput): Preprocessor {
  const size = inputSize(input)
  const window = sourceWindow(geometry, size, input.resize, input.cropFraction)
  const luma = {
    x: taps(size.width, window.x, window.width, geometry.width, 1),
    y: taps(size.height, window.y, window.height, geometry.height, 1),
  }
  const chroma = {
    x: taps(size.width, window.x, window.width, geometry.width, 2),
    y: taps(size.height, window.y, window.height, geometry.height, 2),
  }
  const columns = insideRange(size.width, window.x, window.width, geometry.width)
  const rows = insideRange(size.height, window.y, window.height, geometry.height)
  const { luts, offsets, pixelStep } = tensorWriter(input)
  const [redLut, greenLut, blueLut] = luts
  const [redOffset, greenOffset, blueOffset] = offsets
  const planes = planeOffsets(geometry)
  const chromaStride = geometry.stride / 2

  return { window, write }

  function write(frame: Uint8Array, tensor: TensorData, part: Range = rows): void {
    const { first: lxFirst, weight: lxWeight } = luma.x
    const { first: cxFirst, weight: cxWeight } = chroma.x
    for (let row = Math.max(rows.from, part.from); row < Math.min(rows.to, part.to); row++) {
      const ly = luma.y.weight[row] ?? 0
      const y0 = planes.y + (luma.y.first[row] ?? 0) * geometry.stride
      const y1 = y0 + geometry.stride
      const cy = chroma.y.weight[row] ?? 0
      const chroma0 = (chroma.y.first[row] ?? 0) * chromaStride
      const u0 = planes.u + chroma0
      const u1 = u0 + chromaStride
      const v0 = planes.v + chroma0
      const v1 = v0 + chromaStride
      let out = (row * size.width + columns.from) * pixelStep
      for (let column = columns.from; column < columns.to; column++, out += pixelStep) {
        const lx0 = lxFirst[column] ?? 0
        const lx = lxWeight[column] ?? 0
        const y = bilinear(
          frame[y0 + lx0] ?? 0,
          frame[y0 + lx0 + 1] ?? 0,
          frame[y1 + lx0] ?? 0,
          frame[y1 + lx0 + 1] ?? 0,
          lx,
          ly,
        )
        const cx0 = cxFirst[column] ?? 0
        const cx = cxWeight[column] ?? 0
        const u =
          bilinear(
            frame[u0 + cx0] ?? 0,
            frame[u0 + cx0 + 1] ?? 0,
            frame[u1 + cx0] ?? 0,
            frame[u1 + cx0 + 1] ?? 0,
            cx,
            cy,
          ) - 2048
        const v =
          bilinear(
            frame[v0 + cx0] ?? 0,
            frame[v0 + cx0 + 1] ?? 0,
            frame[v1 + cx0] ?? 0,
            frame[v1 + cx0 + 1] ?? 0,
            cx,
            cy,
          ) - 2048
        const base = (y << 14) + (1 << 17)
        tensor[out + redOffset] = redLut[((base + 22970 * v) >> 18) + lutMargin] ?? 0
        tensor[out + greenOffset] = greenLut[((base - 5638 * u - 11700 * v) >> 18) + lutMargin] ?? 0
        tensor[out + blueOffset] = blueLut[((base + 29032 * u) >> 18) + lutMargin] ?? 0
      }
    }
  }
}

/** Four neighbours blended by weights of 1/256; the result has 4 fractional bits. */
function bilinear(a: number, b: number, c: number, d: number, x: number, y: number): number {
  const top = a * 256 + (b - a) * x
  const bottom = c * 256 + (d - c) * x
  return (top * 256 + (bottom - top) * y + 2048) >> 12
}

/** For each output position the source sample before its centre, and the weight (0..256) of the one after. */
type Taps = { readonly first: Int32Array; readonly weight: Int32Array }

/** At the edges the outermost sample stands for what lies beyond. A sample that isn't there is read with weight 0. */
function taps(count: number, start: number, length: number, frameLength: number, subsampling: 1 | 2): Taps {
  const last = frameLength / subsampling - 1
  const result = { first: new Int32Array(count), weight: new Int32Array(count) }
  for (let i = 0; i < count; i++) {
    const position = (start + ((i + 0.5) * length) / count) / subsampling - 0.5
    const inside = Math.min(last, Math.max(0, position))
    const first = Math.max(0, Math.min(last - 1, Math.floor(inside)))
    result.first[i] = first
    result.weight[i] = Math.round((inside - first) * 256)
  }
  return result
}

/** The output positions whose centre lies in the frame; the others are letterbox bars. */
function insideRange(count: number, start: number, length: number, frameLength: number): Range {
  const inside = (i: number) => {
    const centre = start + ((i + 0.5) * length) / count
    return centre >= 0 && centre <= frameLength
  }
  let from = 0
  let to = count
  while (from < to && !inside(from)) from++
  while (to > from && !inside(to - 1)) to--
  return { from, to }
}

type Channels<T> = readonly [red: T, green: T, blue: T]

/** Where each channel goes, and what its levels become: tables from level + `lutMargin` to tensor value, clamped at both ends. */
function tensorWriter(input: ModelInput): { luts: Channels<TensorData>; offsets: Channels<number>; pixelStep: number } {
  const { width, height } = inputSize(input)
  const channelStep = input.layout === 'NHWC' ? 1 : width * height
  const order = input.colour === 'RGB' ? ([0, 1, 2] as const) : ([2, 1, 0] as const)
  return {
    luts: [levelTable(input, 0), levelTable(input, 1), levelTable(input, 2)],
    offsets: [order[0] * channelStep, order[1] * channelStep, order[2] * channelStep],
    pixelStep: input.layout === 'NHWC' ? 3 : 1,
  }
}

function levelTable(input: ModelInput, channel: 0 | 1 | 2): TensorData {
  const levels = Array.from({ length: 256 + 2 * lutMargin }, (_, i) => Math.min(255, Math.max(0, i - lutMargin)))
  if (input.type === 'uint8') return Uint8Array.from(levels)
  const mean = input.mean?.[channel] ?? 0
  const std = input.std?.[channel] ?? 1
  const real = levels.map((level) => (level - mean) / std)
  if (input.type === 'float32') return Float32Array.from(real)
  const { scale = 1, zeroPoint = 0 } = input
  return Int8Array.from(real, (value) => Math.min(127, Math.max(-128, Math.round(value / scale) + zeroPoint)))
}
