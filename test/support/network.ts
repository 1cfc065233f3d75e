import { type Field, message } from '../../src/lib/protobuf-writer.ts'
import { scanModel } from '../../src/vision/onnx-scan.ts'
import { integerAttribute, node, tensor, tensorInfo, types } from '../../src/vision/onnx-writer.ts'
import { detectionManifest } from './models.ts'

/** A small network that passes the scan, and the parts of which tests make others that don't. */

const contract = {
  input: detectionManifest().input,
  outputs: [{ name: 'scores', shape: [1, 48], type: 'float32' as const }],
}
export const scan = (bytes: Uint8Array) => scanModel(bytes, contract)

export const opset = (domain: string, version: number) => message([1, domain], [2, version])
export const bias = tensor('bias', 'float', [1, 48], new Uint8Array(192))
export const image = tensorInfo('image', 'uint8', [1, 4, 4, 3])
const scores = tensorInfo('scores', 'float', [1, 48])

type Parts = {
  readonly irVersion?: number | bigint
  readonly opsets?: readonly Uint8Array[]
  readonly input?: Uint8Array
  readonly output?: Uint8Array
  readonly last?: Uint8Array
  /** Fields more, of the graph and of the model. */
  readonly graph?: readonly Field[]
  readonly root?: readonly Field[]
}

/** A network that passes, but for what a test changes. */
export function network(parts: Parts = {}): Uint8Array {
  const graph = message(
    [1, node('Cast', ['image'], ['real'], integerAttribute('to', types.float))],
    [1, node('Flatten', ['real'], ['flat'], integerAttribute('axis', 1))],
    [1, parts.last ?? node('Add', ['flat', 'bias'], ['scores'])],
    [2, 'test'],
    [5, bias],
    [11, parts.input ?? image],
    [12, parts.output ?? scores],
    ...(parts.graph ?? []),
  )
  const opsets = parts.opsets ?? [opset('', 17)]
  return message(
    [1, parts.irVersion ?? 8],
    [7, graph],
    ...opsets.map((one) => [8, one] as const),
    ...(parts.root ?? []),
  )
}

export const withNode = (...nodes: readonly Uint8Array[]) => network({ graph: nodes.map((one) => [1, one] as const) })
export const withInitializer = (...fields: readonly Field[]) =>
  network({ graph: [[5, message([8, 'odd'], ...fields)]] })
export const withInput = (input: Uint8Array) => network({ input })

export const entry = (key: string, value: string) => message([1, key], [2, value])
export const external = (location: string, extra: readonly Field[] = []): Field[] => [
  [1, 1],
  [2, types.float],
  [13, entry('location', location)],
  ...extra,
]
export const externalTensor = message([8, 'odd'], ...external('secret.bin', [[14, 1]]))
export const tensorAttribute = (name: string, value: Uint8Array) => message([1, name], [20, 4], [5, value])
export const attribute = (name: string, type: number, ...fields: readonly Field[]) =>
  message([1, name], [20, type], ...fields)
export const int64s = (...values: number[]) => new Uint8Array(new BigInt64Array(values.map(BigInt)).buffer)
