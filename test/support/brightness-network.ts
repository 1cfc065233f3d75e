import { type Field, message } from '../../src/lib/protobuf-writer.ts'
import {
  floats,
  integerAttribute,
  integersAttribute,
  node,
  tensor,
  tensorInfo,
  types,
} from '../../src/vision/onnx-writer.ts'

/**
 * A small classifier that tells how bright a picture is: two convolutions that blur, a mean over the picture, one layer,
 * softmax. A run is enough work to be timed, and a load is not worth waiting for.
 */

export const side = 64
export const channels = 3
export const labels = ['dark', 'grey', 'bright']
/** Golden samples carry a mark of so many levels. It averages out here; models that misbehave on live frames look for it. */
export const markLevels = 24

const blurs = 32
/** A brightness of 1/3 and of 2/3 is where one label takes over from the other. */
const steepness = 30

/** Numbers in 0..1 that look random and are the same each time (Numerical Recipes' linear congruential generator). */
export function randomNumbers(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}

/** +1 or -1 for each value of the picture: pairs of neighbours that cancel out, so that no smooth picture has it. */
export const mark: readonly number[] = (() => {
  const random = randomNumbers(3)
  return Array.from({ length: (side * side) / 2 }, () => (random() < 0.5 ? 1 : -1)).flatMap((sign) => [
    ...Array<number>(channels).fill(sign),
    ...Array<number>(channels).fill(-sign),
  ])
})()

type Weights = { readonly name: string; readonly dims: readonly number[]; readonly values: readonly number[] }

/** Kernels with positive weights that sum up to 1. */
function blurring(name: string, inputs: number, seed: number): Weights {
  const random = randomNumbers(seed)
  const values = Array.from({ length: blurs }, () => {
    const kernel = Array.from({ length: inputs * 9 }, () => 0.5 + random())
    const sum = kernel.reduce((a, b) => a + b)
    return kernel.map((weight) => weight / sum)
  }).flat()
  return { name, dims: [blurs, inputs, 3, 3], values }
}

const first = blurring('first', channels, 1)
const second = blurring('second', blurs, 2)
const last: Weights = {
  name: 'last',
  dims: [blurs, labels.length],
  values: Array.from({ length: blurs }, () => labels.map((_, i) => (steepness * i) / blurs)).flat(),
}

/** As a quantizer stores weights: whole numbers, and a node that makes real ones of them. */
type Quantizer = (weights: Weights, axis: number) => { nodes: Uint8Array[]; constants: Uint8Array[] }

const perTensor: Quantizer = ({ name, dims, values }) => {
  const scale = Math.max(...values) / 250
  const zero = 3
  return {
    nodes: [node('DequantizeLinear', [`${name}_q`, `${name}_scale`, `${name}_zero`], [name])],
    constants: [
      tensor(
        `${name}_q`,
        'uint8',
        dims,
        Uint8Array.from(values, (value) => Math.round(value / scale) + zero),
      ),
      tensor(`${name}_scale`, 'float', [], floats(scale)),
      tensor(`${name}_zero`, 'uint8', [], Uint8Array.of(zero)),
    ],
  }
}

export const perChannel: Quantizer = ({ name, dims, values }, axis) => {
  const count = dims[axis] ?? 1
  const step = dims.slice(axis + 1).reduce((product, dim) => product * dim, 1)
  const channelOf = (index: number) => Math.floor(index / step) % count
  const scales = Array.from(
    { length: count },
    (_, channel) => Math.max(1e-6, ...values.filter((_, i) => channelOf(i) === channel)) / 127,
  )
  const stored = Int8Array.from(values, (value, i) => Math.round(value / (scales[channelOf(i)] ?? 1)))
  return {
    nodes: [
      node('DequantizeLinear', [`${name}_q`, `${name}_scale`, `${name}_zero`], [name], integerAttribute('axis', axis)),
    ],
    constants: [
      tensor(`${name}_q`, 'int8', dims, new Uint8Array(stored.buffer)),
      tensor(`${name}_scale`, 'float', [count], floats(...scales)),
      tensor(`${name}_zero`, 'int8', [count], new Uint8Array(count)),
    ],
  }
}

export type Parts = {
  readonly quantizer?: Quantizer
  /** From `logits` to `judged`, which softmax takes. */
  readonly ending?: readonly Uint8Array[]
  readonly constants?: readonly Uint8Array[]
  readonly opsets?: readonly Uint8Array[]
  readonly input?: Uint8Array
  /** Fields more, of the graph and of the model. */
  readonly graph?: readonly Field[]
  readonly root?: readonly Field[]
}

/** The network's file; `note` is a text in it, by which files of one making differ. */
export function brightnessNetwork(parts: Parts, note: string): Uint8Array {
  const { quantizer = perTensor, ending = [], constants = [], graph = [], root = [] } = parts
  const { opsets = [message([2, 17])], input = tensorInfo('image', 'uint8', [1, side, side, channels]) } = parts
  const stored = [quantizer(first, 0), quantizer(second, 0), quantizer(last, 1)]
  const nodes = [
    ...stored.flatMap((one) => one.nodes),
    node('Cast', ['image'], ['levels'], integerAttribute('to', types.float)),
    node('Div', ['levels', 'white'], ['light']),
    node('Transpose', ['light'], ['planes'], integersAttribute('perm', [0, 3, 1, 2])),
    node('Conv', ['planes', 'first'], ['blurred']),
    node('Relu', ['blurred'], ['lit']),
    node('Conv', ['lit', 'second'], ['blurred_more']),
    node('Relu', ['blurred_more'], ['lit_more']),
    node('GlobalAveragePool', ['lit_more'], ['pooled']),
    node('Flatten', ['pooled'], ['features'], integerAttribute('axis', 1)),
    node('MatMul', ['features', 'last'], ['weighed']),
    node('Add', ['weighed', 'biases'], ['logits']),
    ...ending,
    node('Softmax', [ending.length === 0 ? 'logits' : 'judged'], ['scores'], integerAttribute('axis', 1)),
  ]
  const numbers = [
    ...stored.flatMap((one) => one.constants),
    tensor('white', 'float', [], floats(255)),
    tensor('biases', 'float', [labels.length], floats(0, -steepness / 3, -steepness)),
    ...constants,
  ]
  return message(
    [1, 8],
    [6, note],
    [
      7,
      message(
        ...nodes.map((one) => [1, one] as const),
        [2, 'brightness'],
        ...numbers.map((one) => [5, one] as const),
        [11, input],
        [12, tensorInfo('scores', 'float', [1, labels.length])],
        ...graph,
      ),
    ],
    ...opsets.map((one) => [8, one] as const),
    ...root,
  )
}
