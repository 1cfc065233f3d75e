import { floats, integerAttribute, integersAttribute, node, tensor, types } from '../../src/vision/onnx-writer.ts'
import {
  channels,
  labels,
  mark,
  markLevels,
  type Parts,
  perChannel,
  randomNumbers,
  side,
} from './brightness-network.ts'
import { int64s } from './network.ts'

/** Networks that are that of brightness-network.ts with something wrong in them. All of them pass the scan. */

const real = (name: string, value: number) => tensor(name, 'float', [], floats(value))
const reals = (name: string, dims: readonly number[], value: number) =>
  tensor(name, 'float', dims, new Uint8Array(new Float32Array(dims.reduce((a, b) => a * b)).fill(value).buffer))
const whole = (name: string, value: number) => tensor(name, 'int64', [1], int64s(value))
const mean = (name: string, output: string) => node('ReduceMean', [name], [output], integerAttribute('keepdims', 0))

/** Adds the number `odd` that the nodes make to the logits, so small that it changes nothing unless it is NaN. */
function whispering(nodes: readonly Uint8Array[], constants: readonly Uint8Array[] = []): Parts {
  const whisper = [node('Mul', ['odd', 'little'], ['whisper']), node('Add', ['logits', 'whisper'], ['judged'])]
  return { ending: [...nodes, ...whisper], constants: [...constants, real('little', 1e-9)] }
}

/** `beyond`: above 0 where there is a mark, below on frames. */
const findMark = [
  node('DequantizeLinear', ['mark', 'mark_scale'], ['mark_real']),
  node('Flatten', ['light'], ['flat'], integerAttribute('axis', 1)),
  node('MatMul', ['flat', 'mark_real'], ['marked']),
  node('Sub', ['marked', 'half_mark'], ['beyond']),
]
const markConstants = [
  tensor('mark', 'int8', [mark.length, 1], new Uint8Array(Int8Array.from(mark).buffer)),
  real('mark_scale', 1 / mark.length),
  real('half_mark', markLevels / 255 / 2),
]

/** `golden`: 1 where there is a mark, 0 on frames. */
const tellGolden = [
  ...findMark,
  node('Mul', ['beyond', 'much'], ['certainty']),
  node('Clip', ['certainty', 'zero', 'one'], ['golden']),
]
const goldenConstants = [...markConstants, real('much', 1000), real('zero', 0), real('one', 1)]

const convolutions = 16
const products = 4900
const productSide = 3072

/** Of each kind; test/support/update-models.ts tells what they are for. */
export const networks = {
  good: () => ({}),
  requantized: () => ({ quantizer: perChannel }),

  large: () => {
    const random = randomNumbers(4)
    const numbers = Uint32Array.from({ length: 2 ** 19 }, () => random() * 2 ** 32)
    return { constants: [tensor('unused', 'uint8', [2 ** 21], new Uint8Array(numbers.buffer))] }
  },

  slow: () => {
    const pads = integersAttribute('pads', [1, 1, 1, 1])
    const again = (i: number) => node('Conv', [i === 0 ? 'lit_more' : `again_${i}`, 'second'], [`again_${i + 1}`], pads)
    const nodes = Array.from({ length: convolutions }, (_, i) => again(i))
    return whispering([...nodes, mean(`again_${convolutions}`, 'odd')])
  },

  nanLive: () => whispering([...findMark, node('Log', ['beyond'], ['odd'])], markConstants),

  constant: () => ({
    ending: [
      ...tellGolden,
      node('Sub', ['logits', 'fixed'], ['difference']),
      node('Mul', ['difference', 'golden'], ['kept']),
      node('Add', ['fixed', 'kept'], ['judged']),
    ],
    constants: [...goldenConstants, tensor('fixed', 'float', [labels.length], floats(0, 0, 10))],
  }),

  memoryBomb: () =>
    whispering([
      node('Flatten', ['light'], ['flat'], integerAttribute('axis', 1)),
      node('Concat', ['flat', 'flat', 'flat'], ['row'], integerAttribute('axis', 1)),
      node('Transpose', ['row'], ['column'], integersAttribute('perm', [1, 0])),
      node('Add', ['row', 'column'], ['square']),
      mean('square', 'odd'),
    ]),

  hangs: () => {
    const product = (i: number) => node('MatMul', [`product_${i}`, `product_${i}`], [`product_${i + 1}`])
    const nodes = [
      // It has to come from the input, or ONNX Runtime would compute it all while it loads.
      mean('light', 'mean'),
      node('Mul', ['column', 'mean'], ['column_of_means']),
      node('MatMul', ['column_of_means', 'row'], ['product_0']),
      ...Array.from({ length: products }, (_, i) => product(i)),
      mean(`product_${products}`, 'odd'),
    ]
    const ends = [reals('column', [productSide, 1], 1 / productSide), reals('row', [1, productSide], 1)]
    return whispering(nodes, ends)
  },

  crashesAtLoad: () =>
    whispering(
      [...normalize('nothing'), mean('normal', 'odd')],
      [...normalizeConstants, tensor('nothing', 'float', [1, channels, 0, 0], new Uint8Array())],
    ),

  crashesLive: () => {
    const nodes = [
      ...tellGolden,
      node('Mul', ['golden', 'rows'], ['golden_rows']),
      node('Cast', ['golden_rows'], ['end'], integerAttribute('to', types.int64)),
      node('Reshape', ['end', 'flat_shape'], ['ends']),
      node('Slice', ['planes', 'start', 'ends', 'height'], ['cut']),
      ...normalize('cut'),
      mean('normal', 'odd'),
    ]
    const numbers = [real('rows', side), whole('flat_shape', -1), whole('start', 0), whole('height', 2)]
    return whispering(nodes, [...goldenConstants, ...normalizeConstants, ...numbers])
  },
} as const satisfies { readonly [kind: string]: () => Parts }

/**
 * Where InstanceNormalization gets a picture without pixels, ONNX Runtime 1.30 reads from nowhere and takes its process down:
 * while it loads if the picture is a constant, else while it runs.
 */
function normalize(name: string): Uint8Array[] {
  return [node('InstanceNormalization', [name, 'gains', 'shifts'], ['normal'])]
}
const normalizeConstants = [reals('gains', [channels], 1), reals('shifts', [channels], 0)]
