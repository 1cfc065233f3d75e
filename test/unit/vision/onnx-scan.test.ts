import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { SightdError } from '../../../src/core/errors.ts'
import { bundledModel } from '../../../src/daemon.ts'
import { type Field, message } from '../../../src/lib/protobuf-writer.ts'
import { readModelFolder } from '../../../src/vision/model-folder.ts'
import { floats, node, tensor } from '../../../src/vision/onnx-writer.ts'
import {
  attribute,
  entry,
  external,
  externalTensor,
  int64s,
  network,
  opset,
  scan,
  tensorAttribute,
  withInitializer,
  withInput,
  withNode,
} from '../../support/network.ts'
import { endlessNetwork, graphAttribute } from '../../support/onnx.ts'

describe('row 69', () => {
  test.each<[string, Uint8Array, RegExp]>([
    [
      'external data in an initializer',
      withInitializer(...external('secret.bin', [[14, 1]])),
      /^graph\.initializer\[1\]\.external_data: data in another file is refused$/,
    ],
    [
      'external data in an initializer that does not say so',
      withInitializer(...external('secret.bin')),
      /^graph\.initializer\[1\]\.external_data: data in another file/,
    ],
    [
      'data_location EXTERNAL alone',
      withInitializer([1, 1], [2, 1], [14, 1], [9, floats(1)]),
      /^graph\.initializer\[1\]\.data_location: data in another file is refused$/,
    ],
    [
      'a data_location that only some readers cut to EXTERNAL',
      withInitializer([1, 1], [2, 1], [14, 2n ** 32n + 1n], [9, floats(1)]),
      /^graph\.initializer\[1\]\.data_location: 4294967297 is out of range/,
    ],
    [
      'external data in a sparse initializer',
      network({ graph: [[15, message([1, externalTensor], [2, tensor('at', 'int64', [1], int64s(0))], [3, 1])]] }),
      /^graph\.sparse_initializer: a sparse tensor is refused$/,
    ],
    [
      "external data in a Constant attribute's tensor",
      withNode(node('Constant', [], ['odd'], tensorAttribute('value', externalTensor))),
      /^graph\.node\[3\]\.attribute\[0\]\.t\.external_data: data in another file is refused$/,
    ],
    [
      "external data in a Constant's sparse value",
      withNode(node('Constant', [], ['odd'], attribute('sparse_value', 11, [22, message([1, externalTensor])]))),
      /^graph\.node\[3\]\.attribute\[0\]\.sparse_tensor: a sparse tensor is refused$/,
    ],
    [
      "external data in a sub-graph's initializer",
      withNode(node('Identity', ['flat'], ['odd'], graphAttribute('body', message([2, 'body'], [5, externalTensor])))),
      /^graph\.node\[3\]\.attribute\[0\]\.g: a network inside an operator \(control flow\) is refused$/,
    ],
    [
      'external data in a list of sub-graphs',
      withNode(node('Identity', ['flat'], ['odd'], attribute('bodies', 10, [11, message([5, externalTensor])]))),
      /^graph\.node\[3\]\.attribute\[0\]\.graphs: a network inside an operator/,
    ],
    [
      'external data in a list of tensors',
      withNode(node('Identity', ['flat'], ['odd'], attribute('all', 9, [10, externalTensor]))),
      /^graph\.node\[3\]\.attribute\[0\]\.tensors: a list of tensors is refused/,
    ],
    [
      'external data in a function body',
      network({
        root: [
          [
            25,
            message(
              [1, 'Mine'],
              [7, node('Constant', [], ['odd'], tensorAttribute('value', externalTensor))],
              [10, ''],
            ),
          ],
        ],
      }),
      /^functions: a function, an operator of the model itself is refused$/,
    ],
    [
      '_ORT_MEM_ADDR_ as the place of data',
      withInitializer(...external('*/_ORT_MEM_ADDR_/*', [[14, 1]])),
      /^graph\.initializer\[1\]\.external_data: data in another file is refused$/,
    ],
    [
      '_ORT_MEM_ADDR_ anywhere else',
      network({ graph: [[10, '*/_ORT_MEM_ADDR_/*']] }),
      /^graph\.doc_string: names an address in memory \(_ORT_MEM_ADDR_\)$/,
    ],
    [
      "_ORT_MEM_ADDR_'s newer spelling",
      network({ root: [[14, entry('note', '*/_ORT_NATIVE_ENDIAN_MEM_ADDR_/*')]] }),
      /^metadata_props\[0\]\.value: names an address in memory \(_ORT_NATIVE_ENDIAN_MEM_ADDR_\)$/,
    ],
    ['a second graph field', network({ root: [[7, message([5, externalTensor])]] }), /^graph: is there twice \(again/],
    [
      'an operator of a custom domain',
      withNode(message([1, 'flat'], [2, 'odd'], [4, 'Add'], [7, 'evil.example'])),
      /^graph\.node\[3\]: operator Add of domain evil\.example: only ONNX's own are allowed$/,
    ],
    [
      'an operator of com.microsoft',
      withNode(message([1, 'flat'], [2, 'odd'], [4, 'EPContext'], [7, 'com.microsoft'])),
      /^graph\.node\[3\]: operator EPContext of domain com\.microsoft: only/,
    ],
    [
      'operators of a custom domain announced',
      network({ opsets: [opset('', 17), opset('evil.example', 1)] }),
      /^opset_import\[1\]: domain evil\.example is not allowed$/,
    ],
    [
      '.ort',
      Buffer.concat([Buffer.from([0x20, 0, 0, 0]), Buffer.from('ORTM'), new Uint8Array(100)]),
      /^this is a model in the format of ONNX Runtime itself \(\.ort\)/,
    ],
  ])('row 69: %s', (_, bytes, problem) => {
    expect(() => scan(bytes)).toThrow(
      expect.objectContaining({ code: 'model_invalid', message: expect.stringMatching(problem) }),
    )
  })

  const odd: Field = [777, 1]
  const info = (type: Uint8Array) => message([1, 'odd'], [2, type])
  const shaped = (...shape: readonly Field[]) => info(message([1, message([1, 1], [2, message(...shape)])]))
  test.each<[string, Uint8Array, string]>([
    ['the model', network({ root: [odd] }), ''],
    ['an opset', network({ opsets: [message([2, 17], odd)] }), 'opset_import[0]: '],
    ['metadata', network({ root: [[14, message([1, 'a'], odd)]] }), 'metadata_props[0]: '],
    ['the graph', network({ graph: [odd] }), 'graph: '],
    ['a node', network({ last: message([4, 'Add'], odd) }), 'graph.node[2]: '],
    ['an attribute', withNode(node('Add', [], [], message(odd))), 'graph.node[3].attribute[0]: '],
    ['a tensor', withInitializer(odd), 'graph.initializer[1]: '],
    ['an annotation', network({ graph: [[14, message(odd)]] }), 'graph.quantization_annotation[0]: '],
    ['an input', withInput(message([1, 'image'], odd)), 'graph.input[0]: '],
    ['a type', withInput(info(message(odd))), 'graph.input[0].type: '],
    ['a tensor type', withInput(info(message([1, message(odd)]))), 'graph.input[0].type.tensor_type: '],
    ['a shape', withInput(shaped(odd)), 'graph.input[0].type.tensor_type.shape: '],
    ['a dimension', withInput(shaped([1, message(odd)])), 'graph.input[0].type.tensor_type.shape.dim[0]: '],
  ])('row 69: an unknown field in %s', (_, bytes, path) => {
    expect(() => scan(bytes)).toThrow(`${path}field 777 is unknown (at byte`)
  })
})

describe('real networks', () => {
  const imported = fileURLToPath(new URL('../../../models/build/.cache/imported', import.meta.url))

  test('the bundled one passes', async () => {
    const { scan } = await readModelFolder(bundledModel)
    expect(scan).toMatchObject({ nodes: 496, parameters: 4_594_811, opsets: { 'ai.onnx': 13 } })
    expect(scan.operators).toMatchObject({ DequantizeLinear: 251, QuantizeLinear: 86, Conv: 76 })
  })

  for (const name of ['mobilenet-v1-025-128', 'mobilenet-v2-224']) {
    const folder = join(imported, name, '1')
    test.skipIf(!existsSync(folder))(`${name} of Google passes (skipped where it is not imported)`, async () => {
      expect((await readModelFolder(folder)).scan.operators).toHaveProperty('Conv')
    })
  }
})

/** Numbers that look random and are the same each time (Numerical Recipes' linear congruential generator). */
function randomNumbers(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

describe('spoilt networks', () => {
  const original = network({
    graph: [
      [5, tensor('pads', 'int64', [4], int64s(0, 1, 0, 1))],
      [1, node('Pad', ['flat', 'pads'], ['padded'])],
    ],
  })
  const hostile = [
    externalTensor,
    network({ graph: [[5, externalTensor]] }),
    endlessNetwork(),
    entry('location', 'secret.bin'),
  ]

  function spoil(random: (below: number) => number): Uint8Array {
    const bytes = Uint8Array.from(original)
    const at = random(bytes.length)
    switch (random(4)) {
      case 0:
        return bytes.subarray(0, at)
      case 1: {
        const other = hostile[random(hostile.length)] ?? original
        const from = random(other.length)
        return Buffer.concat([
          bytes.subarray(0, at),
          other.subarray(from, from + random(80)),
          bytes.subarray(at + random(80)),
        ])
      }
      default:
        for (let flips = random(3) + 1; flips > 0; flips--) {
          const place = random(bytes.length)
          bytes[place] = (bytes[place] ?? 0) ^ (1 << random(8))
        }
        return bytes
    }
  }

  test('10,000 times: refused in words, or free of anything that names a file', () => {
    const random = randomNumbers(1)
    let passed = 0
    for (let i = 0; i < 10_000; i++) {
      const bytes = spoil(random)
      try {
        scan(bytes)
        passed++
        // ONNX Runtime opens a file where external_data has the key `location`, and only there.
        expect(Buffer.from(bytes).includes('location')).toBe(false)
      } catch (error) {
        if (!(error instanceof SightdError)) throw error
        expect(error.code).toBe('model_invalid')
      }
    }
    // Flipped bits of weights and names pass, and should.
    expect(passed).toBeGreaterThan(100)
  })

  test('a real network with one byte changed is refused or read to its end', () => {
    const bytes = Uint8Array.from(readFileSync(join(bundledModel, 'model.onnx')))
    const random = randomNumbers(2)
    for (let i = 0; i < 50; i++) {
      const at = random(60_000)
      const before = bytes[at] ?? 0
      bytes[at] = random(256)
      expect(() => {
        try {
          scan(bytes)
        } catch (error) {
          if (!(error instanceof SightdError)) throw error
        }
      }).not.toThrow()
      bytes[at] = before
    }
  })
})
