import type { ModelInput } from '../core/model-manifest.ts'
import { inputSize } from '../core/model-manifest.ts'

export type TensorData = Uint8Array | Int8Array | Float32Array

/** Grey of the letterbox bars, as Ultralytics' letterbox() has it. */
const barLevel = 114

/** A tensor of the model's input shape and type, filled with the bars' grey. */
export function createInputTensor(input: ModelInput): TensorData {
  const data = elements(
    input.type,
    input.shape.reduce((product, dim) => product * dim, 1),
  )
  const { channelStep, pixelStep } = tensorSteps(input)
  const { width, height } = inputSize(input)
  levelTables(input).forEach((table, channel) => {
    const grey = table[barLevel] ?? 0
    for (let pixel = 0; pixel < width * height; pixel++) data[channel * channelStep + pixel * pixelStep] = grey
  })
  return data
}

/** Elements from one channel of a tensor to the next, and from one pixel to the next. */
export function tensorSteps(input: ModelInput): { channelStep: number; pixelStep: number } {
  const { width, height } = inputSize(input)
  return input.layout === 'NHWC' ? { channelStep: 1, pixelStep: 3 } : { channelStep: width * height, pixelStep: 1 }
}

/** For each of the tensor's channels, in its own order, what the levels 0..255 become. */
export function levelTables(input: ModelInput): TensorData[] {
  return (input.colour === 'RGB' ? [0, 1, 2] : [2, 1, 0]).map((channel) => levelTable(input, channel))
}

function levelTable({ type, mean, std, scale = 1, zeroPoint = 0 }: ModelInput, channel: number): TensorData {
  const table = elements(type, 256)
  for (let level = 0; level < 256; level++) {
    const real = (level - (mean?.[channel] ?? 0)) / (std?.[channel] ?? 1)
    if (type === 'int8') table[level] = Math.min(127, Math.max(-128, Math.round(real / scale) + zeroPoint))
    else table[level] = type === 'uint8' ? level : real
  }
  return table
}

function elements(type: ModelInput['type'], count: number): TensorData {
  return tensorView(type, new ArrayBuffer(count * bytesPerElement(type)), 0, count)
}

/** `count` elements in a buffer, from a byte offset on. */
export function tensorView(type: ModelInput['type'], buffer: ArrayBuffer, at: number, count: number): TensorData {
  if (type === 'float32') return new Float32Array(buffer, at, count)
  return type === 'int8' ? new Int8Array(buffer, at, count) : new Uint8Array(buffer, at, count)
}

export function bytesPerElement(type: ModelInput['type']): number {
  return type === 'float32' ? 4 : 1
}
