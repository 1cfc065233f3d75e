import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isJsonObject, mergePatch } from '../../../src/lib/json.ts'

/** The examples of RFC 7396 appendix A whose patch is an object. */
test.each([
  [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
  [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
  [{ a: 'b' }, { a: null }, {}],
  [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
  [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
  [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
  [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
  [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
  [['a', 'b'], { a: 'b' }, { a: 'b' }],
  [{ e: null }, { a: 1 }, { e: null, a: 1 }],
  [[1, 2], { a: 'b', c: null }, { a: 'b' }],
  [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
])('mergePatch(%j, %j) is %j', (target, patch, merged) => {
  expect(mergePatch(target, patch)).toEqual(merged)
})

describe('mergePatch', () => {
  test('changes neither of its arguments, and never a prototype', () => {
    const object = fc.dictionary(fc.oneof(fc.string(), fc.constant('__proto__')), fc.jsonValue())
    fc.assert(
      fc.property(object, object, (target, patch) => {
        const before = JSON.stringify([target, patch])
        const merged = mergePatch(target, patch)
        expect(JSON.stringify([target, patch])).toBe(before)
        expect(Object.getPrototypeOf(merged)).toBe(Object.prototype)
        expect(mergePatch(merged, patch)).toEqual(merged)
      }),
    )
  })
})

test.each([
  [{}, true],
  [[], false],
  [null, false],
  ['a', false],
  [1, false],
])('%j is a JSON object: %s', (value, is) => {
  expect(isJsonObject(value)).toBe(is)
})
