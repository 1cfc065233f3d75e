import { createHash } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { message } from '../../src/lib/protobuf-writer.ts'
import {
  floats,
  integerAttribute,
  integersAttribute,
  node,
  scalar,
  tensor,
  tensorInfo,
  types,
} from '../../src/vision/onnx-writer.ts'
import { rawDetectionManifest } from './models.ts'
import { tempFolder } from './temp-folder.ts'

export const graphAttribute = (name: string, graph: Uint8Array) => message([1, name], [20, 5], [6, graph])

/** A graph that loads and whose one run never ends: a Loop of 2^62 rounds. The scan refuses it. */
export function endlessNetwork(): Uint8Array {
  const body = message(
    [1, node('Identity', ['going'], ['still_going'])],
    [1, node('Identity', ['carried'], ['carried_on'])],
    [2, 'body'],
    [11, tensorInfo('round', 'int64', [])],
    [11, tensorInfo('going', 'bool', [])],
    [11, tensorInfo('carried', 'float', [1, 48])],
    [12, tensorInfo('still_going', 'bool', [])],
    [12, tensorInfo('carried_on', 'float', [1, 48])],
  )
  const rounds = new Uint8Array(new BigInt64Array([2n ** 62n]).buffer)
  const graph = message(
    [1, node('Cast', ['image'], ['real'], integerAttribute('to', types.float))],
    [1, node('Flatten', ['real'], ['flat'], integerAttribute('axis', 1))],
    [1, node('Loop', ['rounds', 'yes', 'flat'], ['scores'], graphAttribute('body', body))],
    [2, 'endless'],
    [5, scalar('rounds', 'int64', rounds)],
    [5, scalar('yes', 'bool', Uint8Array.of(1))],
    [11, tensorInfo('image', 'uint8', [1, 4, 4, 3])],
    [12, tensorInfo('scores', 'float', [1, 48])],
  )
  return message([1, 8], [7, graph], [8, message([2, 17])])
}

const products = 4900
const side = 2048

/**
 * A network of allowed operators only whose one run is as good as endless: thousands of products of large matrices, one after
 * the other. No scan can tell it from a large network; what ends it is the deadline of the process that runs it.
 */
function tediousNetwork(): Uint8Array {
  return flatNetwork(
    [
      // It has to come from the input, or ONNX Runtime would compute it all while it loads.
      node('ReduceMean', ['flat'], ['mean'], integersAttribute('axes', [1])),
      node('Mul', ['column', 'mean'], ['column_of_means']),
      node('MatMul', ['column_of_means', 'row'], ['product_0']),
      ...Array.from({ length: products }, (_, i) =>
        node('MatMul', [`product_${i}`, `product_${i}`], [`product_${i + 1}`]),
      ),
      node('ReduceMean', [`product_${products}`], ['one']),
      node('Add', ['flat', 'one'], ['scores']),
    ],
    [
      tensor('column', 'float', [side, 1], floats(...Array.from({ length: side }, () => 1 / side))),
      tensor('row', 'float', [1, side], floats(...Array.from({ length: side }, () => 1 / 256))),
    ],
  )
}

const bombSide = 32_768

/** A network of allowed operators only, 256 KiB long, that wants a tensor of 4 GiB once it runs: a column plus a row. */
function swellingNetwork(): Uint8Array {
  const ones = new Uint8Array(new Float32Array(bombSide).fill(1).buffer)
  return flatNetwork(
    [
      node('ReduceMean', ['flat'], ['mean'], integersAttribute('axes', [1])),
      node('Mul', ['column', 'mean'], ['column_of_means']),
      node('Add', ['column_of_means', 'row'], ['huge']),
      node('ReduceMean', ['huge'], ['one']),
      node('Add', ['flat', 'one'], ['scores']),
    ],
    [tensor('column', 'float', [bombSide, 1], ones), tensor('row', 'float', [1, bombSide], ones)],
  )
}

/** Nought divided by nought, 48 times. */
function undefinedNetwork(): Uint8Array {
  return flatNetwork([node('Sub', ['flat', 'flat'], ['nought']), node('Div', ['nought', 'nought'], ['scores'])])
}

/** What `nodes` make of the 48 values `flat` of a picture. */
function flatNetwork(nodes: readonly Uint8Array[], constants: readonly Uint8Array[] = []): Uint8Array {
  const graph = message(
    [1, node('Cast', ['image'], ['real'], integerAttribute('to', types.float))],
    [1, node('Flatten', ['real'], ['flat'], integerAttribute('axis', 1))],
    ...nodes.map((one) => [1, one] as const),
    [2, 'flat'],
    ...constants.map((constant) => [5, constant] as const),
    [11, tensorInfo('image', 'uint8', [1, 4, 4, 3])],
    [12, tensorInfo('scores', 'float', [1, 48])],
  )
  return message([1, 8], [7, graph], [8, message([2, 17])])
}

export type ColourModel = {
  readonly type: 'uint8' | 'int8' | 'float32'
  readonly layout: 'NHWC' | 'NCHW'
  readonly colour: 'RGB' | 'BGR'
  readonly output: 'logits' | 'probabilities' | 'quantized'
}

/** A classifier of 8x8 pictures that tells which of its three channels is the strongest on average. */
function channelNetwork({ type, layout, output }: ColourModel): Uint8Array {
  const raw = type === 'float32' ? 'float' : type
  const shape = layout === 'NHWC' ? [1, 8, 8, 3] : [1, 3, 8, 8]
  const isNhwc = layout === 'NHWC'
  const pooled = output === 'logits' ? 'scores' : 'means'
  const scale = new Uint8Array(new Float32Array([1 / 256]).buffer)
  const ends = {
    logits: [],
    probabilities: [node('Softmax', ['means'], ['scores'], integerAttribute('axis', 1))],
    quantized: [
      node('Softmax', ['means'], ['shares'], integerAttribute('axis', 1)),
      node('QuantizeLinear', ['shares', 'scale', 'zero'], ['scores']),
    ],
  }[output]
  const nodes = [
    node('Cast', ['image'], ['real'], integerAttribute('to', types.float)),
    ...(isNhwc ? [node('Transpose', ['real'], ['planes'], integersAttribute('perm', [0, 3, 1, 2]))] : []),
    node('GlobalAveragePool', [isNhwc ? 'planes' : 'real'], ['pooled']),
    node('Flatten', ['pooled'], [pooled], integerAttribute('axis', 1)),
    ...ends,
  ]
  const constants =
    output === 'quantized' ? [scalar('scale', 'float', scale), scalar('zero', 'uint8', Uint8Array.of(0))] : []
  const graph = message(
    ...nodes.map((one) => [1, one] as const),
    [2, 'channels'],
    ...constants.map((constant) => [5, constant] as const),
    [11, tensorInfo('image', raw, shape)],
    [12, tensorInfo('scores', output === 'quantized' ? 'uint8' : 'float', [1, 3])],
  )
  return message([1, 8], [7, graph], [8, message([2, 17])])
}

/** A model folder with that network; its labels name the channels' colours. */
export function colourModel(model: ColourModel): Promise<string> {
  const { type, layout, colour, output } = model
  const normalized = { mean: [127.5, 127.5, 127.5], std: [127.5, 127.5, 127.5] }
  return classifierFolder(channelNetwork(model), {
    input: {
      name: 'image',
      shape: layout === 'NHWC' ? [1, 8, 8, 3] : [1, 3, 8, 8],
      type,
      layout,
      colour,
      resize: 'stretch',
      ...(type === 'uint8' ? {} : normalized),
      ...(type === 'int8' ? { scale: 1 / 127, zeroPoint: 0 } : {}),
    },
    outputs: [
      output === 'quantized'
        ? { name: 'scores', shape: [1, 3], type: 'uint8', scale: 1 / 256, zeroPoint: 0 }
        : { name: 'scores', shape: [1, 3], type: 'float32' },
    ],
    decode: { scores: 'scores', activation: output === 'logits' ? 'softmax' : 'none', top: 1 },
    labels: colour === 'RGB' ? ['red', 'green', 'blue'] : ['blue', 'green', 'red'],
  })
}

/** A model folder whose network runs for many minutes (12 on one thread of a fast x86), which no test waits for. */
export function endlessModel(): Promise<string> {
  return flatModel(tediousNetwork())
}

/** A model folder whose network loads, and wants 4 GiB for its first run. */
export function swellingModel(): Promise<string> {
  return flatModel(swellingNetwork())
}

/** A model folder whose network loads, and gives NaN for every picture. */
export function undefinedModel(): Promise<string> {
  return flatModel(undefinedNetwork())
}

function flatModel(network: Uint8Array): Promise<string> {
  return classifierFolder(network, {
    outputs: [{ name: 'scores', shape: [1, 48], type: 'float32' }],
    decode: { scores: 'scores', activation: 'none', top: 1 },
    labels: Array.from({ length: 48 }, (_, i) => `class ${i}`),
  })
}

async function classifierFolder(network: Uint8Array, parts: Record<string, unknown>): Promise<string> {
  const folder = join(await tempFolder(), 'model')
  await mkdir(folder)
  await writeFile(join(folder, 'model.onnx'), network)
  const manifest = {
    ...rawDetectionManifest,
    task: 'classification',
    files: { 'model.onnx': { bytes: network.length, sha256: createHash('sha256').update(network).digest('hex') } },
    ...parts,
  }
  await writeFile(join(folder, 'manifest.json'), JSON.stringify(manifest))
  return folder
}
