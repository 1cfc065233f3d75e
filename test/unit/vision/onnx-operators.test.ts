import { describe, expect, test } from 'vitest'
import { type Field, message } from '../../../src/lib/protobuf-writer.ts'
import { floats, integersAttribute, node, tensor, tensorInfo, types } from '../../../src/vision/onnx-writer.ts'
import { attribute, image, int64s, network, scan, tensorAttribute, withInput, withNode } from '../../support/network.ts'

describe('scanModel', () => {
  test.each(
    ['Loop', 'If', 'Scan', 'SequenceMap', 'ConstantOfShape', 'Range', 'Expand', 'Tile', 'OneHot', 'EyeLike']
      .concat(['RandomNormal', 'RandomNormalLike', 'RandomUniform', 'RandomUniformLike', 'Bernoulli', 'Multinomial'])
      .concat(['NonMaxSuppression', 'SequenceEmpty', 'StringNormalizer', 'toString', 'relu', '']),
  )('refuses the operator "%s"', (operator) => {
    expect(() => scan(withNode(node(operator, ['flat'], ['odd'])))).toThrow(
      `graph.node[3]: operator ${operator || 'without a name'} is not allowed`,
    )
  })

  test.each<[string, Uint8Array, string]>([
    [
      'another name',
      withInput(tensorInfo('picture', 'uint8', [1, 4, 4, 3])),
      'no input is named image (there is picture)',
    ],
    [
      'another type',
      withInput(tensorInfo('image', 'int8', [1, 4, 4, 3])),
      'input image is int8, the manifest says uint8',
    ],
    [
      'another size',
      withInput(tensorInfo('image', 'uint8', [1, 4, 5, 3])),
      'input image is [1, 4, 5, 3], the manifest says [1, 4, 4, 3]',
    ],
    [
      'fewer dimensions',
      withInput(tensorInfo('image', 'uint8', [48])),
      'input image is [48], the manifest says [1, 4, 4, 3]',
    ],
    [
      'no shape',
      withInput(message([1, 'image'], [2, message([1, message([1, types.uint8])])])),
      'graph.input[0]: has no shape',
    ],
    ['no type', withInput(message([1, 'image'])), 'graph.input[0]: has no type'],
    [
      'a second input',
      network({ graph: [[11, tensorInfo('mask', 'float', [1])]] }),
      'there are 2 (image, mask), has to be 1',
    ],
    ['the input twice', network({ graph: [[11, image]] }), 'there are 2 (image, image), has to be 1'],
    [
      'another output',
      network({ output: tensorInfo('logits', 'float', [1, 48]) }),
      'no output is named scores (there is logits)',
    ],
    [
      'a second output',
      network({ graph: [[12, tensorInfo('flat', 'float', [1, 48])]] }),
      'there are 2 (scores, flat), has to be 1',
    ],
    [
      'an output of another size',
      network({ output: tensorInfo('scores', 'float', [1, 49]) }),
      'output scores is [1, 49], the manifest says [1, 48]',
    ],
  ])('holds inputs and outputs against the manifest: %s', (_, bytes, problem) => {
    expect(() => scan(bytes)).toThrow(problem)
  })

  const dims = (...fields: readonly (readonly Field[])[]) =>
    message(
      [1, 'image'],
      [2, message([1, message([1, types.uint8], [2, message(...fields.map((one) => [1, message(...one)] as const))])])],
    )
  test.each<[string, Uint8Array, string]>([
    [
      'a name',
      dims([[1, 1]], [[2, 'height']], [[1, 4]], [[1, 3]]),
      'image is [1, ?, 4, 3], the manifest says [1, 4, 4, 3]',
    ],
    ['nothing', dims([[1, 1]], [], [[1, 4]], [[1, 3]]), 'image is [1, ?, 4, 3], the manifest says'],
    [
      'both',
      dims(
        [[1, 1]],
        [
          [1, 4],
          [2, 'height'],
        ],
        [[1, 4]],
        [[1, 3]],
      ),
      'dim[1]: has both a number and a name',
    ],
    ['less than nothing', dims([[1, 1]], [[1, -4]], [[1, 4]], [[1, 3]]), 'dim[1]: dimension -4 is out of range'],
  ])('refuses a dimension of the input that is %s', (_, input, problem) => {
    expect(() => scan(withInput(input))).toThrow(problem)
  })

  const pad = (...values: number[]) =>
    network({
      graph: [
        [5, tensor('pads', 'int64', [values.length], int64s(...values))],
        [1, node('Pad', ['flat', 'pads'], ['odd'])],
      ],
    })
  const resize = (constant: Uint8Array) =>
    network({
      graph: [
        [5, constant],
        [1, node('Resize', ['flat', '', 'by'], ['odd'])],
      ],
    })
  test.each<[string, Uint8Array, string]>([
    [
      'pads that are computed',
      withNode(node('Pad', ['flat', 'real'], ['odd'])),
      'node[3].input[1]: Pad needs a constant here',
    ],
    ['huge pads', pad(0, 0, 0, 257), 'node[3]: 257 is beyond 256'],
    [
      'large pads on three axes',
      pad(200, 200, 200, 200, 200, 200),
      'pads of [200, 200, 200, 200, 200, 200] are too many',
    ],
    [
      'scales that are computed',
      withNode(node('Resize', ['flat', '', 'real'], ['odd'])),
      'node[3].input[2]: Resize needs a constant here',
    ],
    [
      'sizes that are computed',
      withNode(node('Resize', ['flat', '', '', 'real'], ['odd'])),
      'node[3].input[3]: Resize needs a constant here',
    ],
    ['a huge scale', resize(tensor('by', 'float', [4], floats(1, 1, 65, 1))), 'input[2]: 65 is beyond 64'],
    ['a scale that is no number', resize(tensor('by', 'float', [1], floats(Number.NaN))), 'input[2]: NaN is beyond 64'],
    [
      'many large scales',
      resize(tensor('by', 'float', [3], floats(32, 32, 32))),
      'input[2]: [32, 32, 32] is too large',
    ],
    ['a huge size', resize(tensor('by', 'int64', [1], int64s(4097))), 'input[2]: 4097 is beyond 4096'],
    [
      'many large sizes',
      resize(tensor('by', 'int64', [3], int64s(4096, 4096, 5))),
      'input[2]: [4096, 4096, 5] is too large',
    ],
    [
      'a scale in a Constant',
      withNode(
        node('Constant', [], ['by'], attribute('value_floats', 6, [7, floats(100)])),
        node('Resize', ['flat', '', 'by'], ['odd']),
      ),
      'input[2]: 100 is beyond 64',
    ],
    [
      "a scale in a Constant's tensor",
      withNode(
        node('Constant', [], ['by'], tensorAttribute('value', tensor('', 'float', [1], floats(100)))),
        node('Resize', ['flat', '', 'by'], ['odd']),
      ),
      'input[2]: 100 is beyond 64',
    ],
  ])('refuses %s', (_, bytes, problem) => {
    expect(() => scan(bytes)).toThrow(problem)
  })

  test.each([
    ['pads', 256],
    ['strides', 64],
    ['dilations', 256],
    ['kernel_shape', 1024],
    ['output_padding', 64],
    ['output_shape', 4096],
  ])('bounds the attribute %s by %i', (name, largest) => {
    const withValue = (value: number) =>
      withNode(node('ConvTranspose', ['flat', 'bias'], ['odd'], integersAttribute(name, [1, value])))
    expect(() => scan(withValue(largest))).not.toThrow()
    expect(() => scan(withValue(largest + 1))).toThrow(`attribute[0]: ${largest + 1} is beyond ${largest}`)
  })
})
