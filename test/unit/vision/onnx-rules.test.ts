import { describe, expect, test } from 'vitest'
import { SightdError } from '../../../src/core/errors.ts'
import { message, varint } from '../../../src/lib/protobuf-writer.ts'
import {
  floats,
  integerAttribute,
  integersAttribute,
  node,
  tensor,
  tensorInfo,
  types,
} from '../../../src/vision/onnx-writer.ts'
import {
  attribute,
  bias,
  entry,
  int64s,
  network,
  opset,
  scan,
  tensorAttribute,
  withInitializer,
  withInput,
  withNode,
} from '../../support/network.ts'
import { endlessNetwork } from '../../support/onnx.ts'

describe('scanModel', () => {
  test('passes a network, and says what is in it', () => {
    const constant = node('Constant', [], ['two'], tensorAttribute('value', tensor('', 'float', [2], floats(1, 2))))
    expect(
      scan(network({ graph: [[1, constant]], opsets: [opset('ai.onnx', 17), opset('com.microsoft', 1)] })),
    ).toEqual({
      nodes: 4,
      operators: { Cast: 1, Flatten: 1, Add: 1, Constant: 1 },
      parameters: 50,
      irVersion: 8,
      opsets: { 'ai.onnx': 17, 'com.microsoft': 1 },
    })
  })

  test.each<[string, Uint8Array]>([
    [
      'numbers as varints',
      withInitializer([1, 3], [2, types.int8], [5, Buffer.concat([varint(1), varint(-1), varint(127)])]),
    ],
    ['numbers as varints one by one', withInitializer([1, 2], [2, types.int64], [7, 1], [7, -1])],
    ['floats, packed', withInitializer([1, 2], [2, types.float], [4, floats(1, 2)])],
    [
      'dimensions, packed',
      withInitializer([1, Buffer.concat([varint(1), varint(2)])], [2, types.float], [9, floats(1, 2)]),
    ],
    ['a tensor without elements', withInitializer([1, 0], [2, types.float])],
    ['a tensor that says where its data is', withInitializer([1, 1], [2, types.float], [14, 0], [9, floats(1)])],
    ['annotations', network({ graph: [[14, message([1, 'flat'], [2, entry('SCALE_TENSOR', 'bias')])]] })],
    ['initializers listed as inputs', network({ irVersion: 3, graph: [[11, tensorInfo('bias', 'float', [1, 48])]] })],
    [
      'a value without a fixed size in between',
      network({
        graph: [[13, message([1, 'flat'], [2, message([1, message([1, 1], [2, message([1, message([2, 'n'])])])])])]],
      }),
    ],
    [
      'constants for Pad and Resize',
      network({
        graph: [
          [5, tensor('pads', 'int64', [8], int64s(0, 0, 1, 1, 0, 0, 1, 1))],
          [5, tensor('scales', 'float', [4], floats(1, 1, 2, 2))],
          [1, node('Pad', ['real', 'pads'], ['padded'])],
          [1, node('Resize', ['padded', '', 'scales'], ['resized'])],
          [1, node('Constant', [], ['sizes'], integersAttribute('value_ints', [1, 3, 300, 300]))],
          [1, node('Resize', ['padded', '', '', 'sizes'], ['resized_again'])],
        ],
      }),
    ],
  ])('passes %s', (_, bytes) => {
    expect(() => scan(bytes)).not.toThrow()
  })

  test.each<[string, Uint8Array, RegExp]>([
    ['an empty file', new Uint8Array(), /^ir_version: missing, has to be 3 to 13$/],
    ['a text', Buffer.from('not a network\n'), /^field \d+ is unknown|^not protobuf/],
    ['a file without a graph', message([1, 8], [8, opset('', 17)]), /^there is no graph in it$/],
    ['half a file', network().subarray(0, 200), /^not protobuf: \d+ bytes are announced where \d+ are left, at byte/],
    ['IR version 2', network({ irVersion: 2 }), /^ir_version: 2, has to be 3 to 13$/],
    ['IR version 14', network({ irVersion: 14 }), /^ir_version: 14, has/],
    ['opset 6', network({ opsets: [opset('', 6)] }), /^opset_import\[0\]\.version: 6, has to be 7 to 26$/],
    ['opset 27', network({ opsets: [opset('', 27)] }), /^opset_import\[0\]\.version: 27, has/],
    ['no opset', network({ opsets: [opset('com.microsoft', 1)] }), /^opset_import: does not name ONNX's own/],
    [
      'two opsets',
      network({ opsets: [opset('', 7), opset('ai.onnx', 17)] }),
      /^opset_import\[1\]: ai\.onnx is there twice$/,
    ],
    ['options', network({ root: [[14, entry('ort_config', '{}')]] }), /^metadata_props\[0\]: options for ONNX Runtime/],
    ['a field of another wire type', network({ root: [[6, 1]] }), /^doc_string: has wire type varint \(at byte/],
    ['two names', network({ graph: [[2, 'again']] }), /^graph\.name: is there twice/],
    [
      'a long name',
      network({ graph: [[5, message([8, 'x'.repeat(1025)])]] }),
      /initializer\[1\]\.name: 1025 bytes long/,
    ],
    ['a long text', network({ root: [[6, 'x'.repeat(65_537)]] }), /^doc_string: 65537 bytes long/],
    [
      'much text',
      network({ root: Array(129).fill([14, entry('a', 'x'.repeat(65_536))]) }),
      /more than 8388608 bytes of text$/,
    ],
    ['a name that is not UTF-8', network({ last: message([4, Uint8Array.of(0xff)]) }), /op_type: not UTF-8$/],
    ['an escape sequence', network({ last: message([4, '\u001b[2J']) }), /op_type: a control character in a name$/],
    ['control flow', endlessNetwork(), /^graph\.node\[2\]\.attribute\[0\]\.g: a network inside an operator/],
    ['too many nodes', withNode(...Array(4998).fill(node('Relu', ['flat'], ['']))), /^graph: 5001 nodes, at most 5000/],
    [
      'too many fields',
      Buffer.concat([network(), Buffer.alloc(500_002, Uint8Array.of((14 << 3) | 2, 0))]),
      /more than 250000 fields$/,
    ],
    ['a name twice', withNode(node('Relu', ['flat'], ['flat'])), /^graph\.node\[3\]: flat is defined twice$/],
    [
      'an output that is the input',
      withNode(node('Relu', ['flat'], ['image'])),
      /^graph\.node\[3\]: image is defined twice$/,
    ],
    ['two initializers', network({ graph: [[5, bias]] }), /^graph\.initializer\[1\]: bias is defined twice$/],
    [
      'no name',
      network({ graph: [[5, tensor('', 'float', [1], floats(1))]] }),
      /^graph\.initializer\[1\]: has no name$/,
    ],
    [
      'too little data',
      withInitializer([1, 2], [2, 1], [9, floats(1)]),
      /\.raw_data: 4 bytes, 2 elements of float32 have 8$/,
    ],
    [
      'too much data',
      withInitializer([1, 2], [2, 7], [9, int64s(1, 2, 3)]),
      /\.raw_data: 24 bytes, 2 elements of int64/,
    ],
    ['no data', withInitializer([1, 2], [2, 1]), /^graph\.initializer\[1\]: has no data$/],
    [
      'data twice',
      withInitializer([1, 1], [2, 1], [9, floats(1)], [4, floats(2)]),
      /data in raw_data and in float_data$/,
    ],
    ['data of another type', withInitializer([1, 1], [2, 1], [5, 1]), /\.int32_data: holds no float32$/],
    ['too few numbers', withInitializer([1, 2], [2, 7], [7, 1]), /\.int64_data: 1 elements, the dimensions say 2$/],
    [
      'half a float',
      withInitializer([1, 1], [2, 1], [4, floats(1).subarray(1)]),
      /float_data: 3 bytes are no numbers of 4/,
    ],
    ['a type without a size', withInitializer([1, 1], [2, 8]), /\.data_type: element type 8 is not allowed$/],
    ['no type', withInitializer([1, 1]), /\.data_type: element type missing is not allowed$/],
    ['a dimension below 0', withInitializer([1, -1], [2, 1]), /\.dims: dimension -1 is out of range$/],
    [
      'a huge tensor',
      withInitializer([1, 2 ** 26 + 1], [2, 1]),
      /\.dims: \[67108865\] is more than 67108864 elements$/,
    ],
    [
      'a size that overflows',
      withInitializer(...Array(8).fill([1, 2 ** 31 - 1]), [2, 1]),
      /is more than 67108864 elements$/,
    ],
    ['nine dimensions', withInitializer(...Array(9).fill([1, 1]), [2, 1]), /\.dims: more than 8 dimensions$/],
    [
      'numbers that grow in memory',
      network({
        graph: [1, 2].map(
          (i) => [5, message([8, `odd${i}`], [1, 2 ** 24 + 1], [2, 7], [7, new Uint8Array(2 ** 24 + 1)])] as const,
        ),
      }),
      /^graph: its tensors take 268435664 bytes, at most 268435456 are allowed$/,
    ],
    [
      'an attribute twice',
      withNode(node('Relu', ['flat'], ['x'], integerAttribute('a', 1), integerAttribute('a', 2))),
      /^graph\.node\[3\]\.attribute\[1\]: a is there twice$/,
    ],
    [
      'an attribute with two values',
      withNode(node('Relu', ['flat'], ['x'], attribute('a', 2, [3, 1], [2, { fixed: floats(1) }]))),
      /attribute\[0\]: has f, its type says i$/,
    ],
    [
      'an attribute without a type',
      withNode(node('Relu', ['flat'], ['x'], message([1, 'a'], [3, 1]))),
      /attribute\[0\]\.type: not a type/,
    ],
    [
      'a long list',
      withNode(node('Relu', ['flat'], ['x'], attribute('a', 7, [8, new Uint8Array(4097)]))),
      /more than 4096 numbers$/,
    ],
    [
      'a list of half numbers',
      withNode(node('Relu', ['flat'], ['x'], attribute('a', 6, [7, new Uint8Array(5)]))),
      /floats: 5 bytes are no numbers/,
    ],
    [
      'nine dimensions in between',
      network({ graph: [[13, tensorInfo('flat', 'float', Array(9).fill(1))]] }),
      /^graph\.value_info\[0\].*: more than 8 dimensions$/,
    ],
    [
      'a huge value in between',
      network({ graph: [[13, tensorInfo('flat', 'float', [2 ** 20, 2 ** 20])]] }),
      /^graph\.value_info\[0\].*: \[1048576, 1048576\] is more than/,
    ],
  ])('refuses %s', (_, bytes, problem) => {
    expect(() => scan(bytes)).toThrow(problem)
    expect(() => scan(bytes)).toThrow(SightdError)
  })

  const nothing = new Uint8Array()
  const typed = (field: number) => withInput(message([1, 'image'], [2, message([field, nothing])]))
  const attributed = (field: number) => withNode(node('Relu', ['flat'], ['x'], message([1, 'a'], [field, nothing])))
  test.each<[string, Uint8Array]>([
    ['training_info', network({ root: [[20, nothing]] })],
    ['functions', network({ root: [[25, nothing]] })],
    ['configuration', network({ root: [[26, nothing]] })],
    ['graph.sparse_initializer', network({ graph: [[15, nothing]] })],
    ['graph.node[3].overload', withNode(message([4, 'Relu'], [8, nothing]))],
    ['graph.node[3].device_configurations', withNode(message([4, 'Relu'], [10, nothing]))],
    ['graph.node[3].attribute[0].g', attributed(6)],
    ['graph.node[3].attribute[0].tensors', attributed(10)],
    ['graph.node[3].attribute[0].graphs', attributed(11)],
    ['graph.node[3].attribute[0].tp', attributed(14)],
    ['graph.node[3].attribute[0].type_protos', attributed(15)],
    ['graph.node[3].attribute[0].ref_attr_name', attributed(21)],
    ['graph.node[3].attribute[0].sparse_tensor', attributed(22)],
    ['graph.node[3].attribute[0].sparse_tensors', attributed(23)],
    ['graph.initializer[1].segment', withInitializer([3, nothing])],
    ['graph.initializer[1].string_data', withInitializer([6, nothing])],
    ['graph.initializer[1].external_data', withInitializer([13, nothing])],
    ['graph.input[0].type.sequence_type', typed(4)],
    ['graph.input[0].type.map_type', typed(5)],
    ['graph.input[0].type.opaque_type', typed(7)],
    ['graph.input[0].type.sparse_tensor_type', typed(8)],
    ['graph.input[0].type.optional_type', typed(9)],
  ])('refuses %s, even an empty one', (path, bytes) => {
    expect(() => scan(bytes)).toThrow(`${path}: `)
    expect(() => scan(bytes)).toThrow(/: [a-z, ()]+ is refused$/)
  })

  test('refuses a file above 256 MiB', () => {
    expect(() => scan(new Uint8Array(256 * 2 ** 20 + 1))).toThrow('268435457 bytes, at most 268435456 are allowed')
  })
})
