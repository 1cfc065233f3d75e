import { type OnnxMessage, refuse } from './onnx-message.ts'
import { attributeFields } from './onnx-schema.ts'
import { type CheckedTensor, type Constant, checkTensor } from './onnx-tensor.ts'

/**
 * What classifiers and detectors of pictures are made of, in float, QDQ or QLinear form; all of ONNX's own domain. Left out on
 * purpose: operators that run other networks (Loop, If, Scan, SequenceMap), that make a large tensor out of a few numbers
 * (ConstantOfShape, Range, Expand, Tile, OneHot, EyeLike, RandomNormal and its kin), and whatever pictures have no use for.
 */
const allowedOperators = new Set([
  ...['Conv', 'ConvInteger', 'ConvTranspose', 'Gemm', 'MatMul', 'MatMulInteger', 'QLinearConv', 'QLinearMatMul'],
  ...['DequantizeLinear', 'DynamicQuantizeLinear', 'QuantizeLinear', 'Cast', 'Constant', 'Identity', 'Dropout'],
  ...['BatchNormalization', 'InstanceNormalization', 'LayerNormalization', 'LRN'],
  ...['AveragePool', 'GlobalAveragePool', 'GlobalMaxPool', 'MaxPool'],
  ...['Clip', 'Elu', 'Gelu', 'HardSigmoid', 'HardSwish', 'LeakyRelu', 'LogSoftmax', 'Mish', 'PRelu', 'Relu', 'Selu'],
  ...['Sigmoid', 'Softmax', 'Softplus', 'Softsign', 'Tanh'],
  ...['Abs', 'Add', 'Ceil', 'Div', 'Erf', 'Exp', 'Floor', 'Log', 'Max', 'Min', 'Mul', 'Neg', 'Pow', 'Reciprocal'],
  ...['Round', 'Sqrt', 'Sub', 'Sum'],
  ...['ArgMax', 'ReduceMax', 'ReduceMean', 'ReduceMin', 'ReduceSum'],
  ...['Concat', 'DepthToSpace', 'Flatten', 'Gather', 'Pad', 'Reshape', 'Resize', 'Shape', 'Slice', 'SpaceToDepth'],
  ...['Split', 'Squeeze', 'Transpose', 'Unsqueeze'],
])

/** Per attribute: the largest number that makes sense for a picture. They decide how large an operator's output becomes. */
const largestInAttribute = new Map([
  ['pads', 256],
  ['strides', 64],
  ['dilations', 256],
  ['kernel_shape', 1024],
  ['output_padding', 64],
  ['output_shape', 4096],
])

const maxListed = 4096
/** Padding of 256 on all sides of a picture, and nothing on its other axes. */
const maxGrowth = 513 ** 2
const maxScale = 64
const maxSize = 4096
const maxResized = 64 * 1024 * 1024

/** ONNX Runtime's other name for the domain of ONNX's own operators. */
export function domainOf(message: OnnxMessage): string {
  const domain = message.text('domain')
  return domain === 'ai.onnx' ? '' : domain
}

/** An operator that is allowed, with attributes that hold one value each; the tensors in them are handed to `onTensor`. */
export function checkNode(node: OnnxMessage, onTensor: (tensor: CheckedTensor) => void): string {
  const operator = node.text('op_type')
  const domain = domainOf(node)
  if (domain !== '') refuse(node.path, `operator ${operator} of domain ${domain}: only ONNX's own are allowed`)
  if (!allowedOperators.has(operator)) refuse(node.path, `operator ${operator || 'without a name'} is not allowed`)
  const seen = new Set<string>()
  for (const attribute of node.messages('attribute')) {
    const name = attribute.text('name')
    if (seen.has(name)) refuse(attribute.path, `${name} is there twice`)
    seen.add(name)
    const field = attributeFields.get(Number(attribute.integer('type') ?? 0n))
    if (field === undefined) refuse(`${attribute.path}.type`, 'not a type that is allowed')
    for (const other of attributeFields.values()) {
      if (other !== field && attribute.has(other)) refuse(attribute.path, `has ${other}, its type says ${field}`)
    }
    if (attribute.count('ints') > maxListed || attribute.count('floats', 4) > maxListed)
      refuse(attribute.path, `more than ${maxListed} numbers`)
    const tensor = attribute.message('t')
    if (tensor !== undefined) onTensor(checkTensor(tensor))
    const largest = largestInAttribute.get(name)
    if (largest !== undefined) checkRange(attribute.integers('ints').map(Number), largest, attribute.path)
  }
  return operator
}

/** What a Constant node says, of all the ways it has to say it. */
export function constantOf(node: OnnxMessage): Constant | undefined {
  const [attribute] = node.messages('attribute')
  if (attribute === undefined) return undefined
  switch (attribute.text('name')) {
    case 'value': {
      const tensor = attribute.message('t')
      return tensor && checkTensor(tensor).constant
    }
    case 'value_int':
      return { isWhole: true, values: [Number(BigInt.asIntN(64, attribute.integer('i') ?? 0n))] }
    case 'value_ints':
      return { isWhole: true, values: attribute.integers('ints').map(Number) }
    case 'value_floats':
      return { isWhole: false, values: attribute.floats('floats') }
    default:
      return undefined
  }
}

/** Operators whose output is as large as one of their inputs says: that input has to be a number in the file, and no huge one. */
export function checkGrowth(node: OnnxMessage, constants: ReadonlyMap<string, Constant>): void {
  const inputs = node.texts('input')
  const fixed = (index: number): Constant =>
    constants.get(inputs[index] ?? '') ??
    refuse(`${node.path}.input[${index}]`, `${node.text('op_type')} needs a constant here`)
  switch (node.text('op_type')) {
    case 'Pad': {
      // Before opset 11 they are an attribute, which has been looked at.
      const pads = inputs.length > 1 ? fixed(1).values : padsOf(node)
      checkRange(pads, largestInAttribute.get('pads') ?? 0, node.path)
      const axes = pads.length / 2
      const growth = pads.slice(0, axes).reduce((product, pad, i) => product * (1 + pad + (pads[axes + i] ?? 0)), 1)
      if (growth > maxGrowth) refuse(node.path, `pads of [${pads.join(', ')}] are too many`)
      return
    }
    case 'Resize':
      // Region, scales and sizes; what is left out is ''.
      for (const [index, name] of inputs.entries()) {
        if (index === 0 || name === '') continue
        const { values, isWhole } = fixed(index)
        checkRange(values, isWhole ? maxSize : maxScale, `${node.path}.input[${index}]`)
        const product = values.reduce((all, value) => all * value, 1)
        if (product > (isWhole ? maxResized : maxScale ** 2))
          refuse(`${node.path}.input[${index}]`, `[${values.join(', ')}] is too large`)
      }
  }
}

function padsOf(node: OnnxMessage): number[] {
  const attribute = node.messages('attribute').find((one) => one.text('name') === 'pads')
  return attribute?.integers('ints').map(Number) ?? []
}

function checkRange(values: readonly number[], largest: number, path: string): void {
  const wrong = values.find((value) => !(Math.abs(value) <= largest))
  if (wrong !== undefined) refuse(path, `${wrong} is beyond ${largest}`)
}
