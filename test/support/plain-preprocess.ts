import type { FrameGeometry } from '../../src/core/frame.ts'
import { planeOffsets } from '../../src/core/frame.ts'
import type { ModelInput } from '../../src/core/model-manifest.ts'
import { inputSize } from '../../src/core/model-manifest.ts'
import { levelTables, type TensorData, tensorSteps } from '../../src/vision/input-tensor.ts'
import type { Preprocessor } from '../../src/vision/preprocess.ts'
import { type Range, resampling } from '../../src/vision/resampling.ts'

/** What kernels/preprocess.ts does, pixel by pixel in plain TypeScript: its oracle in tests, and what the benchmark holds it against. */
export function createPlainPreprocessor(geometry: FrameGeometry, input: ModelInput): Preprocessor {
  const size = inputSize(input)
  const { window, luma, chroma, columns, rows } = resampling(geometry, input)
  const { channelStep, pixelStep } = tensorSteps(input)
  const isBgr = input.colour === 'BGR'
  const [firstTable, greenTable, lastTable] = levelTables(input).map(withMargins)
  const planes = planeOffsets(geometry)
  const chromaStride = geometry.stride / 2

  return { window, write }

  function write(frame: Uint8Array, tensor: TensorData, part: Range = rows): void {
    if (firstTable === undefined || greenTable === undefined || lastTable === undefined) return
    const [redTable, blueTable] = isBgr ? [lastTable, firstTable] : [firstTable, lastTable]
    const [redOffset, blueOffset] = isBgr ? [channelStep * 2, 0] : [0, channelStep * 2]
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
        tensor[out + redOffset] = redTable[((base + 22970 * v) >> 18) + margin] ?? 0
        tensor[out + channelStep] = greenTable[((base - 5638 * u - 11700 * v) >> 18) + margin] ?? 0
        tensor[out + blueOffset] = blueTable[((base + 29032 * u) >> 18) + margin] ?? 0
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

/** Colours of full-range BT.601 reach this far below 0 and past 255. */
const margin = 256

/** The same table with its ends repeated: to look up is to clamp. */
function withMargins(table: TensorData): TensorData {
  const wide = new (table.constructor as new (length: number) => TensorData)(256 + 2 * margin)
  return wide.map((_, i) => table[Math.min(255, Math.max(0, i - margin))] ?? 0)
}
