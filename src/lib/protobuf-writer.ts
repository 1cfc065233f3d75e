/** A writer of the protobuf wire format, just large enough for small ONNX networks; it writes nonsense as readily as sense. */

/** Whole numbers become varints; text and bytes are length-delimited; `fixed` has 4 or 8 bytes. */
export type FieldValue = number | bigint | string | Uint8Array | { readonly fixed: Uint8Array }
export type Field = readonly [number: number, value: FieldValue]

export function varint(value: number | bigint): Uint8Array {
  let rest = BigInt.asUintN(64, BigInt(value))
  const bytes: number[] = []
  do {
    bytes.push(Number(rest & 0x7fn) | (rest > 0x7fn ? 0x80 : 0))
    rest >>= 7n
  } while (rest > 0n)
  return Uint8Array.from(bytes)
}

export function message(...fields: readonly Field[]): Uint8Array {
  return Buffer.concat(
    fields.flatMap(([number, value]) => {
      const tag = (wire: number) => varint((BigInt(number) << 3n) | BigInt(wire))
      if (typeof value === 'number' || typeof value === 'bigint') return [tag(0), varint(value)]
      if (typeof value === 'object' && 'fixed' in value) return [tag(value.fixed.length === 4 ? 5 : 1), value.fixed]
      const bytes = typeof value === 'string' ? new TextEncoder().encode(value) : value
      return [tag(2), varint(bytes.length), bytes]
    }),
  )
}
