import { type Field, message } from '../../src/lib/protobuf-writer.ts'
import { floats, node, tensor } from '../../src/vision/onnx-writer.ts'
import { channels, type Parts, side } from './brightness-network.ts'
import { attribute, entry, external, externalTensor, int64s, opset, tensorAttribute } from './network.ts'
import { graphAttribute } from './onnx.ts'

/** Row 69: what the scan has to refuse, each in a network that passes but for that. */

type Hostile = {
  /** Bytes where the whole file is something else. */
  readonly network: Parts | Uint8Array
  /** What the scan says. */
  readonly problem: RegExp
}

const elsewhere = /data in another file is refused$/
const inOperator = /a network inside an operator \(control flow\) is refused$/

const graph = (...fields: readonly Field[]): Parts => ({ graph: fields })
const initializer = (...fields: readonly Field[]) => graph([5, message([8, 'odd'], ...fields)])
const withNode = (one: Uint8Array) => graph([1, one])
const input = (...fields: readonly Field[]): Parts => ({ input: message([1, 'image'], ...fields) })
const typed = (...fields: readonly Field[]) => input([2, message(...fields)])
const shaped = (...fields: readonly Field[]) => typed([1, message([1, 2], [2, message(...fields)])])
const function_ = message(
  [1, 'Mine'],
  [7, node('Constant', [], ['odd'], tensorAttribute('value', externalTensor))],
  [10, ''],
)
const flatbuffer = Buffer.concat([Buffer.from([0x20, 0, 0, 0]), Buffer.from('ORTM'), new Uint8Array(1000)])

const odd: Field = [777, 1]
const unknown = (network: Parts): Hostile => ({ network, problem: /field 777 is unknown \(at byte/ })

export const hostileNetworks = {
  'hostile-external-initializer': { network: initializer(...external('secret.bin', [[14, 1]])), problem: elsewhere },
  'hostile-external-unsaid': { network: initializer(...external('secret.bin')), problem: elsewhere },
  'hostile-external-location': { network: initializer([1, 1], [2, 1], [14, 1], [9, floats(1)]), problem: elsewhere },
  'hostile-external-cut-location': {
    network: initializer([1, 1], [2, 1], [14, 2n ** 32n + 1n], [9, floats(1)]),
    problem: /data_location: 4294967297 is out of range/,
  },
  'hostile-external-sparse': {
    network: graph([15, message([1, externalTensor], [2, tensor('at', 'int64', [1], int64s(0))], [3, 1])]),
    problem: /^graph\.sparse_initializer: a sparse tensor is refused$/,
  },
  'hostile-external-constant': {
    network: withNode(node('Constant', [], ['odd'], tensorAttribute('value', externalTensor))),
    problem: elsewhere,
  },
  'hostile-external-sparse-constant': {
    network: withNode(node('Constant', [], ['odd'], attribute('sparse_value', 11, [22, message([1, externalTensor])]))),
    problem: /sparse_tensor: a sparse tensor is refused$/,
  },
  'hostile-external-sub-graph': {
    network: withNode(
      node('Identity', ['features'], ['odd'], graphAttribute('body', message([2, 'body'], [5, externalTensor]))),
    ),
    problem: inOperator,
  },
  'hostile-external-sub-graphs': {
    network: withNode(
      node('Identity', ['features'], ['odd'], attribute('bodies', 10, [11, message([5, externalTensor])])),
    ),
    problem: inOperator,
  },
  'hostile-external-tensors': {
    network: withNode(node('Identity', ['features'], ['odd'], attribute('all', 9, [10, externalTensor]))),
    problem: /tensors: a list of tensors is refused$/,
  },
  'hostile-external-function': {
    network: { root: [[25, function_]] },
    problem: /^functions: a function, an operator of the model itself is refused$/,
  },
  'hostile-memory-address': {
    network: initializer(...external('*/_ORT_MEM_ADDR_/*', [[14, 1]])),
    problem: elsewhere,
  },
  'hostile-memory-address-in-prose': {
    network: graph([10, '*/_ORT_MEM_ADDR_/*']),
    problem: /names an address in memory \(_ORT_MEM_ADDR_\)$/,
  },
  'hostile-memory-address-newer': {
    network: { root: [[14, entry('note', '*/_ORT_NATIVE_ENDIAN_MEM_ADDR_/*')]] },
    problem: /names an address in memory \(_ORT_NATIVE_ENDIAN_MEM_ADDR_\)$/,
  },
  'hostile-second-graph': {
    network: { root: [[7, message([5, externalTensor])]] },
    problem: /^graph: is there twice/,
  },
  'hostile-custom-domain': {
    network: withNode(message([1, 'features'], [2, 'odd'], [4, 'Add'], [7, 'evil.example'])),
    problem: /operator Add of domain evil\.example: only ONNX's own are allowed$/,
  },
  'hostile-microsoft-domain': {
    network: withNode(message([1, 'features'], [2, 'odd'], [4, 'EPContext'], [7, 'com.microsoft'])),
    problem: /operator EPContext of domain com\.microsoft: only/,
  },
  'hostile-custom-opset': {
    network: { opsets: [opset('', 17), opset('evil.example', 1)] },
    problem: /^opset_import\[1\]: domain evil\.example is not allowed$/,
  },
  'hostile-ort': { network: flatbuffer, problem: /^this is a model in the format of ONNX Runtime itself \(\.ort\)/ },
  'hostile-field-model': unknown({ root: [odd] }),
  'hostile-field-opset': unknown({ opsets: [message([2, 17], odd)] }),
  'hostile-field-metadata': unknown({ root: [[14, message([1, 'a'], odd)]] }),
  'hostile-field-graph': unknown(graph(odd)),
  'hostile-field-node': unknown(withNode(message([4, 'Add'], odd))),
  'hostile-field-attribute': unknown(withNode(node('Add', [], [], message(odd)))),
  'hostile-field-tensor': unknown(initializer(odd)),
  'hostile-field-annotation': unknown(graph([14, message(odd)])),
  'hostile-field-input': unknown(input(odd)),
  'hostile-field-type': unknown(typed(odd)),
  'hostile-field-tensor-type': unknown(typed([1, message(odd)])),
  'hostile-field-shape': unknown(shaped(odd)),
  'hostile-field-dimension': unknown(
    shaped(...[1, side, side, channels].map((dim) => [1, message([1, dim], odd)] as const)),
  ),
} as const satisfies { readonly [kind: string]: Hostile }

export type HostileKind = keyof typeof hostileNetworks
