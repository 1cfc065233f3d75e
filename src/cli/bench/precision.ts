import type { ModelManifest } from '../../core/model-manifest.ts'
import { message } from '../../lib/protobuf-writer.ts'
import { Ring } from '../../lib/ring.ts'
import { scanModel } from '../../vision/onnx-scan.ts'
import {
  floats,
  integerAttribute,
  integersAttribute,
  node,
  scalar,
  tensor,
  tensorInfo,
  types,
} from '../../vision/onnx-writer.ts'
import { ModelSession } from '../../vision/session.ts'

/**
 * The same small network twice, in int8 and in float32: pointwise convolutions, which are most of what a MobileNet computes.
 * Both have the same weights, so that they differ in nothing but how this CPU multiplies.
 */

export type Precision = 'int8' | 'float32'

const side = 28
const channels = 128
const layers = 8

/** So that activations neither grow nor vanish from layer to layer (He initialization: variance 2 / inputs). */
const weightStep = Math.sqrt(2 / channels) / 73
const firstStep = Math.sqrt(2 / 3) / 73
const activationStep = 6 / 255

const runs = 40
const warmUp = 5

/** Median ms of a run of each, taken in turns. Blocks the calling thread; throws a SightdError when ONNX Runtime fails. */
export async function comparePrecision(threads: number): Promise<Record<Precision, number>> {
  await using int8 = await openPrecision('int8', threads)
  await using float32 = await openPrecision('float32', threads)
  const ms = { int8: new Ring(runs), float32: new Ring(runs) }
  for (let run = -warmUp; run < runs; run++) {
    for (const [session, ring] of [[int8, ms.int8] as const, [float32, ms.float32] as const]) {
      const startMs = performance.now()
      await session.run()
      if (run >= 0) ring.push(performance.now() - startMs)
    }
  }
  return { int8: ms.int8.quantile(0.5) ?? 0, float32: ms.float32.quantile(0.5) ?? 0 }
}

/** One of the two, loaded; its input is filled with a picture of noise. */
export async function openPrecision(precision: Precision, threads: number): Promise<ModelSession> {
  const network = precisionNetwork(precision)
  const parsed = manifest(precision)
  const folder = { dir: 'sightd bench', manifest: parsed, network, sha256: '', scan: scanModel(network, parsed) }
  const session = await ModelSession.open(folder, { threads })
  session.input.set(noise(session.input.length, 1).map((value) => value + 128))
  return session
}

function precisionNetwork(precision: Precision): Uint8Array {
  const isInt8 = precision === 'int8'
  const convolutions = Array.from({ length: layers }, (_, i) => convolution(i, isInt8))
  const graph = message(
    ...(isInt8
      ? [[1, node('DequantizeLinear', ['image', 'pixel_step', 'zero'], ['real'])] as const]
      : [
          [1, node('Cast', ['image'], ['levels'], integerAttribute('to', types.float))] as const,
          [1, node('Mul', ['levels', 'pixel_step'], ['real'])] as const,
        ]),
    [1, node('Transpose', ['real'], ['out_0'], integersAttribute('perm', [0, 3, 1, 2]))],
    ...convolutions.flatMap(({ nodes }) => nodes.map((one) => [1, one] as const)),
    [1, node('GlobalAveragePool', [`out_${layers}`], ['pooled'])],
    [1, node('Flatten', ['pooled'], ['scores'], integerAttribute('axis', 1))],
    [2, precision],
    [5, scalar('pixel_step', 'float', floats(1 / 255))],
    [5, scalar('zero', 'uint8', Uint8Array.of(0))],
    [5, scalar('step', 'float', floats(activationStep))],
    ...convolutions.flatMap(({ constants }) => constants.map((constant) => [5, constant] as const)),
    [11, tensorInfo('image', 'uint8', [1, side, side, 3])],
    [12, tensorInfo('scores', 'float', [1, channels])],
  )
  return message([1, 8], [7, graph], [8, message([2, 13])])
}

/** Layer `i`, from `out_<i>` to `out_<i+1>`; the quantized pattern is the one that ONNX Runtime fuses into QLinearConv. */
function convolution(i: number, isInt8: boolean): { nodes: Uint8Array[]; constants: Uint8Array[] } {
  const inputs = i === 0 ? 3 : channels
  const step = i === 0 ? firstStep : weightStep
  const dims = [channels, inputs, 1, 1]
  const integers = noise(channels * inputs, i + 2)
  const [weight, sum, next] = [`weight_${i}`, `sum_${i}`, `out_${i + 1}`]
  if (!isInt8)
    return {
      nodes: [node('Conv', [`out_${i}`, weight], [sum]), node('Relu', [sum], [next])],
      constants: [tensor(weight, 'float', dims, floats(...integers.map((value) => value * step)))],
    }
  return {
    nodes: [
      node('DequantizeLinear', [`integers_${i}`, `step_${i}`, `zero_${i}`], [weight]),
      node('Conv', [`out_${i}`, weight], [sum]),
      node('Relu', [sum], [`positive_${i}`]),
      node('QuantizeLinear', [`positive_${i}`, 'step', 'zero'], [`quantized_${i}`]),
      node('DequantizeLinear', [`quantized_${i}`, 'step', 'zero'], [next]),
    ],
    constants: [
      tensor(`integers_${i}`, 'int8', dims, new Uint8Array(Int8Array.from(integers).buffer)),
      scalar(`step_${i}`, 'float', floats(step)),
      scalar(`zero_${i}`, 'int8', Uint8Array.of(0)),
    ],
  }
}

/** Whole numbers from -127 to 127, the same for the same seed (a linear congruential generator, Numerical Recipes' constants). */
function noise(length: number, seed: number): number[] {
  let state = seed
  return Array.from({ length }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * 255) - 127
  })
}

function manifest(name: Precision): ModelManifest {
  return {
    format: 1,
    name,
    version: '1',
    task: 'classification',
    description: 'compares int8 with float32',
    licence: 'Apache-2.0',
    source: 'sightd bench',
    model: 'model.onnx',
    files: {},
    input: {
      name: 'image',
      shape: [1, side, side, 3],
      type: 'uint8',
      layout: 'NHWC',
      colour: 'RGB',
      resize: 'stretch',
    },
    outputs: [{ name: 'scores', shape: [1, channels], type: 'float32' }],
    decode: { scores: 'scores', activation: 'none', top: 1 },
    labels: Array.from({ length: channels }, (_, i) => `class ${i}`),
    threshold: 0,
    golden: [],
    tolerance: { score: 1, box: 1 },
  }
}
