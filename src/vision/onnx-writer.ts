import { message } from '../lib/protobuf-writer.ts'

/** Just enough of ONNX's messages (onnx/onnx.proto) to write small networks in code. */

export const types = { float: 1, uint8: 2, int8: 3, int64: 7, bool: 9 } as const

export function tensorInfo(name: string, type: keyof typeof types, shape: readonly number[]): Uint8Array {
  const dims = message(...shape.map((dim) => [1, message([1, dim])] as const))
  return message([1, name], [2, message([1, message([1, types[type]], [2, dims])])])
}

export function node(
  op: string,
  inputs: readonly string[],
  outputs: readonly string[],
  ...attributes: Uint8Array[]
): Uint8Array {
  return message(
    ...inputs.map((name) => [1, name] as const),
    ...outputs.map((name) => [2, name] as const),
    [4, op],
    ...attributes.map((attribute) => [5, attribute] as const),
  )
}

export const integerAttribute = (name: string, value: number) => message([1, name], [20, 2], [3, value])
export const integersAttribute = (name: string, values: readonly number[]) =>
  message([1, name], [20, 7], ...values.map((value) => [8, value] as const))
export const tensor = (name: string, type: keyof typeof types, dims: readonly number[], raw: Uint8Array) =>
  message(...dims.map((dim) => [1, dim] as const), [2, types[type]], [8, name], [9, raw])
export const scalar = (name: string, type: keyof typeof types, raw: Uint8Array) => tensor(name, type, [], raw)
export const floats = (...values: readonly number[]) => new Uint8Array(new Float32Array(values).buffer)
