import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { WireError, WireView } from '../../../src/lib/protobuf.ts'
import { type FieldValue, message, varint } from '../../../src/lib/protobuf-writer.ts'

const bytesOf = (hex: string) => Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'))
const read = (bytes: Uint8Array) => [...WireView.of(bytes).fields()]

/** What was written, as the writer takes it. */
function values(bytes: Uint8Array): [number, FieldValue][] {
  return read(bytes).map((field) => {
    if (field.wire === 'varint') return [field.number, field.value]
    const copy = Uint8Array.from(field.view.bytes)
    return [field.number, field.wire === 'bytes' ? copy : { fixed: copy }]
  })
}

describe('WireView', () => {
  test.each([
    ['nothing', '', []],
    ['a varint', '08 96 01', [[1, 150n]]],
    ['the largest varint', '08 ff ff ff ff ff ff ff ff ff 01', [[1, 2n ** 64n - 1n]]],
    ['the largest field number', 'f8 ff ff ff 0f 00', [[2 ** 29 - 1, 0n]]],
    ['bytes', '12 03 61 62 63', [[2, bytesOf('61 62 63')]]],
    ['no bytes', '12 00', [[2, bytesOf('')]]],
    [
      'fixed numbers',
      '0d 01020304 11 0102030405060708',
      [
        [1, { fixed: bytesOf('01020304') }],
        [2, { fixed: bytesOf('0102030405060708') }],
      ],
    ],
  ])('reads %s', (_, hex, expected) => {
    expect(values(bytesOf(hex))).toEqual(expected)
  })

  test.each([
    ['a tag without a value', '08', 'a varint runs past the end', 1],
    ['a varint that does not end', '08 ff', 'a varint runs past the end', 1],
    ['a varint of eleven bytes', '08 ff ff ff ff ff ff ff ff ff ff 01', 'a varint of more than 10 bytes', 1],
    ['a varint of 65 bits', '08 ff ff ff ff ff ff ff ff ff 02', 'a varint of more than 64 bits', 1],
    ['a varint with a zero too many', '08 80 00', 'a varint is longer than its value needs', 1],
    ['a tag with a zero too many', '88 00 01', 'a varint is longer than its value needs', 0],
    ['a tag of 33 bits', '88 80 80 80 10 01', 'a field number is above 2^29 - 1', 0],
    ['field number 0', '08 01 00 01', 'field number 0', 2],
    ['a group', '0b 0c', 'wire type 3', 0],
    ['the end of a group', '0c', 'wire type 4', 0],
    ['wire type 6', '0e', 'wire type 6', 0],
    ['wire type 7', '0f', 'wire type 7', 0],
    ['bytes beyond the end', '08 01 12 03 61 62', '3 bytes are announced where 2 are left', 2],
    ['2^63 bytes', '12 80 80 80 80 80 80 80 80 80 01', '9223372036854775808 bytes are announced where 0 are left', 0],
    ['half a fixed32', '0d 01 02', '4 bytes are announced where 2 are left', 0],
    ['half a fixed64', '09 01 02 03 04', '8 bytes are announced where 4 are left', 0],
  ])('refuses %s', (_, hex, problem, offset) => {
    expect(() => read(bytesOf(hex))).toThrow(
      expect.objectContaining({ name: 'WireError', message: `${problem}, at byte ${offset}`, offset }),
    )
  })

  test('counts offsets from the start of the outermost message', () => {
    const [outer] = read(bytesOf('12 04 1a 02 08 80'))
    const [inner] = outer?.wire === 'bytes' ? outer.view.fields() : []
    expect(() => inner?.wire === 'bytes' && [...inner.view.fields()]).toThrow('at byte 5')
  })

  test('bounds how deep messages lie inside each other', () => {
    let nested = message([1, 1])
    for (let i = 0; i < 3; i++) nested = message([1, nested])
    const walk = (view: WireView) => {
      for (const field of view.fields()) if (field.wire === 'bytes') walk(field.view)
    }
    expect(() => walk(WireView.of(nested, 3))).not.toThrow()
    expect(() => walk(WireView.of(nested, 2))).toThrow('messages are nested too deeply')
  })

  test('gives views, not copies', () => {
    const bytes = message([1, 'abc'])
    const [field] = read(bytes)
    expect(field?.wire === 'bytes' && field.view.bytes.buffer).toBe(bytes.buffer)
  })

  test('counts and reads packed varints, and refuses half a one', () => {
    const [field] = read(message([1, Buffer.concat([varint(1), varint(300), varint(-1)])]))
    const view = field?.wire === 'bytes' ? field.view : WireView.of(new Uint8Array())
    expect(view.countVarints()).toBe(3)
    expect([...view.varints()]).toEqual([1n, 300n, 2n ** 64n - 1n])
    expect(() => WireView.of(bytesOf('01 80')).countVarints()).toThrow('a varint runs past the end, at byte 1')
    expect(() => WireView.of(bytesOf('ffffffffffffffffffffff 01')).countVarints()).toThrow('more than 10 bytes')
  })

  const anyField = fc.tuple(
    fc.integer({ min: 1, max: 2 ** 29 - 1 }),
    fc.oneof<fc.Arbitrary<FieldValue>[]>(
      fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      fc.uint8Array({ maxLength: 300 }),
      fc.uint8Array({ minLength: 4, maxLength: 4 }).map((fixed) => ({ fixed })),
      fc.uint8Array({ minLength: 8, maxLength: 8 }).map((fixed) => ({ fixed })),
    ),
  )

  test('reads back whatever is written', () => {
    fc.assert(
      fc.property(fc.array(anyField), (fields) => {
        expect(values(message(...fields))).toEqual(fields)
      }),
    )
  })

  test('takes any bytes to an end: whole fields one after the other, or an error inside', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(20), (inside, around) => {
        // The bytes lie between others, which must not be read.
        const all = new Uint8Array(inside.length + 2 * around).fill(1)
        all.set(inside, around)
        const bytes = all.subarray(around, around + inside.length)
        let end = 0
        try {
          for (const field of WireView.of(bytes).fields()) {
            expect(field.offset).toBe(end)
            const rest = field.wire === 'varint' ? varint(field.value).length : field.view.length
            const length = field.wire === 'bytes' ? varint(field.view.length).length : 0
            end += varint(field.number * 8).length + length + rest
            if (field.wire !== 'varint') expect(field.view.offset + field.view.length).toBe(end)
            expect(end).toBeLessThanOrEqual(bytes.length)
          }
          expect(end).toBe(bytes.length)
        } catch (error) {
          if (!(error instanceof WireError)) throw error
          expect(error.offset).toBeGreaterThanOrEqual(end)
          expect(error.offset).toBeLessThanOrEqual(bytes.length)
        }
      }),
      { numRuns: 2000 },
    )
  })
})
