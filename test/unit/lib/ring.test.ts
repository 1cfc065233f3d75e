import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Ring } from '../../../src/lib/ring.ts'

/** Any number but -0, which a sort may put on either side of 0. */
const value = fc.double({ noNaN: true }).map((number) => number + 0)

function ringOf(capacity: number, values: readonly number[]): Ring {
  const ring = new Ring(capacity)
  for (const value of values) ring.push(value)
  return ring
}

describe('Ring', () => {
  test('has the nearest-rank quantile of the newest values', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 50 }),
        fc.array(value, { minLength: 1, maxLength: 120 }),
        fc.integer({ min: 1, max: 100 }),
        (capacity, values, percent) => {
          const newest = values.slice(-capacity).sort((a, b) => a - b)
          // The smallest value that at least `percent` of all values don't exceed.
          const oracle = newest.find((_, i) => (i + 1) * 100 >= percent * newest.length)
          expect(ringOf(capacity, values).quantile(percent / 100)).toBe(oracle)
        },
      ),
    )
  })

  test.each([
    [0, 1],
    [0.5, 2],
    [0.51, 3],
    [0.95, 4],
    [1, 4],
  ])('at %s of 4, 1, 3, 2 has %s', (q, expected) => {
    expect(ringOf(4, [4, 1, 3, 2]).quantile(q)).toBe(expected)
  })

  test('has no quantile while it is empty', () => {
    expect(new Ring(3).quantile(0.5)).toBeUndefined()
  })

  test('counts its values up to its capacity', () => {
    expect([0, 1, 3, 4, 9].map((count) => ringOf(3, Array(count).fill(7)).length)).toEqual([0, 1, 3, 3, 3])
  })
})
