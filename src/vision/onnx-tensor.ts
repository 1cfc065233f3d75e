import { type OnnxMessage, readNumbers, refuse } from './onnx-message.ts'
import { elementTypes } from './onnx-schema.ts'

/** As many as ONNX Runtime's kernels for pictures have use for. */
const maxRank = 8
/** Of one tensor, in the file or between two nodes: 256 MiB of floats. */
const maxElements = 64 * 1024 * 1024
const maxDim = 2 ** 31 - 1
/** Values are looked into where an operator's memory follows from them, and there are never many. */
const maxLookedInto = 64

/** Numbers that the file itself fixes. */
export type Constant = { readonly values: readonly number[]; readonly isWhole: boolean }

export type CheckedTensor = {
  readonly elements: number
  /** In memory: more than in the file where numbers are written as varints. */
  readonly bytes: number
  /** Undefined where there are too many to look into. */
  readonly constant: Constant | undefined
}

/** A tensor whose data lies in the file, all of it and nothing besides. */
export function checkTensor(tensor: OnnxMessage): CheckedTensor {
  const { path } = tensor
  if ((tensor.integer('data_location') ?? 0n) !== 0n) refuse(`${path}.data_location`, 'data in another file is refused')
  const type = elementType(tensor, 'data_type')
  if (tensor.count('dims') > maxRank) refuse(`${path}.dims`, `more than ${maxRank} dimensions`)
  const dims = tensor.integers('dims').map((dim) => checkDim(dim, `${path}.dims`))
  const elements = checkElements(dims, `${path}.dims`)
  const bytes = elements * type.bytes
  const fields = ['raw_data', 'float_data', 'int32_data', 'int64_data', 'double_data', 'uint64_data']
  const [field, second] = fields.filter((name) => tensor.has(name))
  if (second !== undefined) refuse(path, `data in ${field} and in ${second}`)
  if (field === 'raw_data') {
    const found = tensor.bytes(field)?.length
    if (found !== bytes)
      refuse(`${path}.raw_data`, `${found} bytes, ${elements} elements of ${type.name} have ${bytes}`)
  } else if (field !== undefined) {
    if (field !== type.data) refuse(`${path}.${field}`, `holds no ${type.name}`)
    const found = tensor.count(field, { float_data: 4, double_data: 8 }[field])
    if (found !== elements) refuse(`${path}.${field}`, `${found} elements, the dimensions say ${elements}`)
  } else if (elements > 0) refuse(path, 'has no data')
  return { elements, bytes, constant: elements <= maxLookedInto ? readConstant(tensor, type.name) : undefined }
}

function readConstant(tensor: OnnxMessage, type: string): Constant | undefined {
  const raw = tensor.bytes('raw_data')
  switch (type) {
    case 'int64':
      return {
        isWhole: true,
        values: raw
          ? readNumbers(raw, 8, (view, at) => Number(view.getBigInt64(at, true)))
          : tensor.integers('int64_data').map(Number),
      }
    case 'float32':
      return {
        isWhole: false,
        values: raw ? readNumbers(raw, 4, (view, at) => view.getFloat32(at, true)) : tensor.floats('float_data'),
      }
    default:
      return undefined
  }
}

/** The type and shape of an input, an output or a value in between; `undefined` stands for a dimension without a number. */
export type ValueType = { readonly name: string; readonly type: string; readonly dims: readonly (number | undefined)[] }

export function checkValueInfo(info: OnnxMessage): ValueType {
  const { path } = info
  const tensor = info.message('type')?.message('tensor_type')
  if (tensor === undefined) refuse(path, 'has no type')
  const { name: type } = elementType(tensor, 'elem_type')
  const shape = tensor.message('shape')
  if (shape === undefined) refuse(path, 'has no shape')
  const dims = shape.messages('dim').map((dim) => {
    const value = dim.integer('dim_value')
    if (value !== undefined && dim.has('dim_param')) refuse(dim.path, 'has both a number and a name')
    return value === undefined ? undefined : checkDim(BigInt.asIntN(64, value), dim.path)
  })
  if (dims.length > maxRank) refuse(shape.path, `more than ${maxRank} dimensions`)
  checkElements(
    dims.map((dim) => dim ?? 1),
    shape.path,
  )
  return { name: info.text('name'), type, dims }
}

function elementType(message: OnnxMessage, field: string) {
  const code = message.integer(field)
  const type = elementTypes.get(Number(code ?? 0n))
  return type ?? refuse(`${message.path}.${field}`, `element type ${code ?? 'missing'} is not allowed`)
}

function checkDim(dim: bigint, path: string): number {
  if (dim < 0n || dim > BigInt(maxDim)) refuse(path, `dimension ${dim} is out of range`)
  return Number(dim)
}

function checkElements(dims: readonly number[], path: string): number {
  let elements = 1
  for (const dim of dims) elements *= dim
  // Eight numbers of 31 bits overflow no double; that they lose their last digits matters only far above the limit.
  if (elements > maxElements) refuse(path, `[${dims.join(', ')}] is more than ${maxElements} elements`)
  return elements
}
