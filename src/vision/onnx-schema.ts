/**
 * The messages and fields of ONNX that a network for this runtime may have, and those that are known and refused.
 * From onnx/onnx.proto of onnx 1.23.2 (https://github.com/onnx/onnx/blob/v1.23.2/onnx/onnx.proto), whose fields are those of
 * IR version 3 and later. A field that is not here is unknown and refused.
 */

export type MessageName =
  | 'Model'
  | 'OperatorSetId'
  | 'StringStringEntry'
  | 'Graph'
  | 'Node'
  | 'Attribute'
  | 'Tensor'
  | 'TensorAnnotation'
  | 'ValueInfo'
  | 'Type'
  | 'TensorType'
  | 'Shape'
  | 'Dimension'

/**
 * What a field holds. `name` and `prose` are text, short or long; `enum` is a number of 31 bits; `ints`, `floats` and
 * `doubles` are repeated numbers, packed or one by one, which protobuf's readers take alike.
 */
export type FieldKind =
  | 'int'
  | 'enum'
  | 'float'
  | 'name'
  | 'prose'
  | 'ints'
  | 'floats'
  | 'doubles'
  | 'bytes'
  | MessageName

type FieldRule =
  | { readonly name: string; readonly kind: FieldKind; readonly isRepeated: boolean }
  | { readonly name: string; readonly refused: string }

const one = (name: string, kind: FieldKind): FieldRule => ({ name, kind, isRepeated: false })
const many = (name: string, kind: FieldKind): FieldRule => ({ name, kind, isRepeated: true })
const no = (name: string, refused: string): FieldRule => ({ name, refused })

const subGraph = 'a network inside an operator (control flow)'
const sparse = 'a sparse tensor'
const devices = 'a plan for several devices'
const noTensor = 'a value that is not a tensor'
const functionPart = 'a part of a function'

const fieldRules: { readonly [message in MessageName]: { readonly [number: number]: FieldRule } } = {
  Model: {
    1: one('ir_version', 'int'),
    2: one('producer_name', 'name'),
    3: one('producer_version', 'name'),
    4: one('domain', 'name'),
    5: one('model_version', 'int'),
    6: one('doc_string', 'prose'),
    7: one('graph', 'Graph'),
    8: many('opset_import', 'OperatorSetId'),
    14: many('metadata_props', 'StringStringEntry'),
    20: no('training_info', 'a plan for training'),
    25: no('functions', 'a function, an operator of the model itself'),
    26: no('configuration', devices),
  },
  OperatorSetId: { 1: one('domain', 'name'), 2: one('version', 'int') },
  StringStringEntry: { 1: one('key', 'name'), 2: one('value', 'prose') },
  Graph: {
    1: many('node', 'Node'),
    2: one('name', 'name'),
    5: many('initializer', 'Tensor'),
    10: one('doc_string', 'prose'),
    11: many('input', 'ValueInfo'),
    12: many('output', 'ValueInfo'),
    13: many('value_info', 'ValueInfo'),
    14: many('quantization_annotation', 'TensorAnnotation'),
    15: no('sparse_initializer', sparse),
    16: many('metadata_props', 'StringStringEntry'),
  },
  Node: {
    1: many('input', 'name'),
    2: many('output', 'name'),
    3: one('name', 'name'),
    4: one('op_type', 'name'),
    5: many('attribute', 'Attribute'),
    6: one('doc_string', 'prose'),
    7: one('domain', 'name'),
    8: no('overload', functionPart),
    9: many('metadata_props', 'StringStringEntry'),
    10: no('device_configurations', devices),
  },
  Attribute: {
    1: one('name', 'name'),
    2: one('f', 'float'),
    3: one('i', 'int'),
    4: one('s', 'prose'),
    5: one('t', 'Tensor'),
    6: no('g', subGraph),
    7: many('floats', 'floats'),
    8: many('ints', 'ints'),
    9: many('strings', 'prose'),
    10: no('tensors', 'a list of tensors'),
    11: no('graphs', subGraph),
    13: one('doc_string', 'prose'),
    14: no('tp', noTensor),
    15: no('type_protos', noTensor),
    20: one('type', 'enum'),
    21: no('ref_attr_name', functionPart),
    22: no('sparse_tensor', sparse),
    23: no('sparse_tensors', sparse),
  },
  Tensor: {
    1: many('dims', 'ints'),
    2: one('data_type', 'enum'),
    3: no('segment', 'a tensor in pieces'),
    4: many('float_data', 'floats'),
    5: many('int32_data', 'ints'),
    6: no('string_data', 'a tensor of strings'),
    7: many('int64_data', 'ints'),
    8: one('name', 'name'),
    9: one('raw_data', 'bytes'),
    10: many('double_data', 'doubles'),
    11: many('uint64_data', 'ints'),
    12: one('doc_string', 'prose'),
    13: no('external_data', 'data in another file'),
    14: one('data_location', 'enum'),
    16: many('metadata_props', 'StringStringEntry'),
  },
  TensorAnnotation: { 1: one('tensor_name', 'name'), 2: many('quant_parameter_tensor_names', 'StringStringEntry') },
  ValueInfo: {
    1: one('name', 'name'),
    2: one('type', 'Type'),
    3: one('doc_string', 'prose'),
    4: many('metadata_props', 'StringStringEntry'),
  },
  Type: {
    1: one('tensor_type', 'TensorType'),
    4: no('sequence_type', noTensor),
    5: no('map_type', noTensor),
    6: one('denotation', 'name'),
    7: no('opaque_type', noTensor),
    8: no('sparse_tensor_type', sparse),
    9: no('optional_type', noTensor),
  },
  TensorType: { 1: one('elem_type', 'enum'), 2: one('shape', 'Shape') },
  Shape: { 1: many('dim', 'Dimension') },
  Dimension: { 1: one('dim_value', 'int'), 2: one('dim_param', 'name'), 3: one('denotation', 'name') },
}

/** Undefined: onnx.proto has no such field. */
export function fieldRule(message: MessageName, number: number): FieldRule | undefined {
  return fieldRules[message][number]
}

export function isMessage(kind: FieldKind): kind is MessageName {
  return Object.hasOwn(fieldRules, kind)
}

type ElementType = { readonly name: string; readonly bytes: number; readonly data: string }

/** TensorProto.DataType: what an element takes, and which field holds it where raw_data does not. Others are refused. */
export const elementTypes: ReadonlyMap<number, ElementType> = new Map([
  [1, { name: 'float32', bytes: 4, data: 'float_data' }],
  [2, { name: 'uint8', bytes: 1, data: 'int32_data' }],
  [3, { name: 'int8', bytes: 1, data: 'int32_data' }],
  [4, { name: 'uint16', bytes: 2, data: 'int32_data' }],
  [5, { name: 'int16', bytes: 2, data: 'int32_data' }],
  [6, { name: 'int32', bytes: 4, data: 'int32_data' }],
  [7, { name: 'int64', bytes: 8, data: 'int64_data' }],
  [9, { name: 'bool', bytes: 1, data: 'int32_data' }],
  [10, { name: 'float16', bytes: 2, data: 'int32_data' }],
  [11, { name: 'float64', bytes: 8, data: 'double_data' }],
  [12, { name: 'uint32', bytes: 4, data: 'uint64_data' }],
  [13, { name: 'uint64', bytes: 8, data: 'uint64_data' }],
  [16, { name: 'bfloat16', bytes: 2, data: 'int32_data' }],
])

/** AttributeProto.AttributeType: the one field that holds the value. Others are refused. */
export const attributeFields: ReadonlyMap<number, string> = new Map([
  [1, 'f'],
  [2, 'i'],
  [3, 's'],
  [4, 't'],
  [6, 'floats'],
  [7, 'ints'],
  [8, 'strings'],
])
