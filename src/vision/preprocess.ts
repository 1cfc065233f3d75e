import { type FrameGeometry, planeOffsets } from '../core/frame.ts'
import { inputSize, type ModelInput } from '../core/model-manifest.ts'
import type { SourceWindow } from '../core/resize.ts'
import { type TensorData, tensorSteps } from './input-tensor.ts'
import { type Range, resampling, samplesOf, type Taps } from './resampling.ts'
import { openRowKernel } from './row-kernel.ts'

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

/**
 * Source rows that go into the kernel's memory at once. So few stay in the processor's cache until they are used, and memory
 * doesn't grow with the frame.
 */
const bandBytes = 64 * 1024

/**
 * One pass from I420 to the tensor: window, bilinear resize with half-pixel centres, full-range BT.601 to RGB
 * (ITU-T T.871 section 7), and the model's own scaling by table. Fixed point: interpolation keeps 4 fractional bits,
 * colour 14, so the result is within one level of exact arithmetic. kernels/preprocess.ts makes the pixels.
 */
export function createPreprocessor(geometry: FrameGeometry, input: ModelInput): Preprocessor {
  const { stride, height } = geometry
  const size = inputSize(input)
  const plan = resampling(geometry, input)
  const { window, luma, chroma, columns, rows } = plan
  const sourceBytesPerRow = (stride * 1.5 * window.height) / size.height
  const bandRows = Math.max(1, Math.floor(bandBytes / sourceBytesPerRow))
  const { memory, sourceAt, makeRow, values } = openRowKernel({
    input,
    plan,
    stride,
    lumaRows: mostSamples(luma.y, rows, bandRows),
    chromaRows: mostSamples(chroma.y, rows, bandRows),
  })
  const planes = planeOffsets(geometry)
  const chromaStride = stride / 2
  const { channelStep, pixelStep } = tensorSteps(input)

  return { window, write }

  function write(frame: Uint8Array, tensor: TensorData, part: Range = rows): void {
    const end = Math.min(rows.to, part.to)
    for (let from = Math.max(rows.from, part.from); from < end; from += bandRows) {
      writeBand(frame, tensor, from, Math.min(end, from + bandRows))
    }
  }

  function writeBand(frame: Uint8Array, tensor: TensorData, from: number, to: number): void {
    const lumaFirst = luma.y.first[from] ?? 0
    const lumaEnd = Math.min(height, (luma.y.first[to - 1] ?? 0) + 2)
    const chromaFirst = chroma.y.first[from] ?? 0
    const chromaEnd = Math.min(height / 2, (chroma.y.first[to - 1] ?? 0) + 2)
    copy(frame, planes.y + lumaFirst * stride, planes.y + lumaEnd * stride, memory, sourceAt.luma)
    copy(frame, planes.u + chromaFirst * chromaStride, planes.u + chromaEnd * chromaStride, memory, sourceAt.u)
    copy(frame, planes.v + chromaFirst * chromaStride, planes.v + chromaEnd * chromaStride, memory, sourceAt.v)
    for (let row = from; row < to; row++) {
      const chromaAt = ((chroma.y.first[row] ?? 0) - chromaFirst) * chromaStride
      makeRow(
        sourceAt.luma + ((luma.y.first[row] ?? 0) - lumaFirst) * stride,
        luma.y.weight[row] ?? 0,
        sourceAt.u + chromaAt,
        sourceAt.v + chromaAt,
        chroma.y.weight[row] ?? 0,
      )
      const at = (row * size.width + columns.from) * pixelStep
      for (let i = 0; i < values.length; i++) tensor.set(values[i] ?? none, at + i * channelStep)
    }
  }
}

const none: readonly number[] = []

/** Copies bytes without a view of them, which would be garbage: Node's own way, and it takes any Uint8Array. */
function copy(from: Uint8Array, start: number, end: number, to: Uint8Array, at: number): void {
  Buffer.prototype.copy.call(from, to, at, start, end)
}

/** The most samples that so many neighbouring output positions need. */
function mostSamples(taps: Taps, { from, to }: Range, count: number): number {
  let most = 0
  for (let i = from; i < to; i++) {
    const samples = samplesOf(taps, { from: i, to: Math.min(to, i + count) })
    most = Math.max(most, samples.to - samples.from)
  }
  return most
}
