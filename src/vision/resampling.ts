import type { FrameGeometry } from '../core/frame.ts'
import type { ModelInput } from '../core/model-manifest.ts'
import { inputSize } from '../core/model-manifest.ts'
import { type SourceWindow, sourceWindow } from '../core/resize.ts'

/** Where the samples of each tensor row and column lie in frames of one geometry: all that can be known before a frame is. */
export type Resampling = {
  /** The part of the frame that the tensor shows. */
  readonly window: SourceWindow
  readonly luma: { readonly x: Taps; readonly y: Taps }
  readonly chroma: { readonly x: Taps; readonly y: Taps }
  /** The tensor's columns and rows that are not letterbox bars. */
  readonly columns: Range
  readonly rows: Range
}

/** For each output position the source sample before its centre, and the weight (0..256) of the one after. */
export type Taps = { readonly first: Int32Array; readonly weight: Int32Array }

/** From `from` up to, not including, `to`. */
export type Range = { readonly from: number; readonly to: number }

/** Half-pixel centres; chroma samples sit in the centre of their 2x2 luma pixels, as in JPEG. */
export function resampling(geometry: FrameGeometry, input: ModelInput): Resampling {
  const size = inputSize(input)
  const window = sourceWindow(geometry, size, input.resize, input.cropFraction)
  const tapsOf = (subsampling: 1 | 2) => ({
    x: taps(size.width, window.x, window.width, geometry.width, subsampling),
    y: taps(size.height, window.y, window.height, geometry.height, subsampling),
  })
  return {
    window,
    luma: tapsOf(1),
    chroma: tapsOf(2),
    columns: insideRange(size.width, window.x, window.width, geometry.width),
    rows: insideRange(size.height, window.y, window.height, geometry.height),
  }
}

/** The source samples that these output positions need. */
export function samplesOf({ first }: Taps, { from, to }: Range): Range {
  if (from >= to) return { from: 0, to: 0 }
  return { from: first[from] ?? 0, to: (first[to - 1] ?? 0) + 2 }
}

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
