import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { bestPairs } from '../../../../src/pipeline/events/assignment.ts'

/** Pairs of row and column numbers for a table of gains. */
function pairsOf(gains: readonly (readonly number[])[]): (readonly [number, number])[] {
  const columns = gains[0]?.map((_, index) => index) ?? []
  return bestPairs([...gains.keys()], columns, (row, column) => gains[row]?.[column] ?? 0)
}

/** The greatest sum, by trying everything. */
function bestSum([first = [], ...others]: readonly (readonly number[])[], taken: readonly number[] = []): number {
  if (first.length === 0) return 0
  const sums = first.map((gain, column) =>
    taken.includes(column) ? 0 : Math.max(0, gain) + bestSum(others, [...taken, column]),
  )
  return Math.max(bestSum(others, taken), ...sums)
}

describe('the best pairs', () => {
  test.each([
    ['one by one', '1', '0-0'],
    ['none where there is nothing', '', ''],
    ['none without gain', '0 -1', ''],
    ['crosswise', '1 2 | 2 1', '0-1 1-0'],
    ['not the best pair first, when the rest is worth more', '5 4 | 4 1', '0-1 1-0'],
    ['one pair only, when that is worth more than two', '9 1 | 1 0', '0-0'],
    ['down a chain', '3 2 0 | 2.5 3 2 | 0 2.5 0', '0-0 1-2 2-1'],
    ['fewer rows than columns', '1 3 2', '0-1'],
    ['more rows than columns', '1 | 3 | 2', '1-0'],
  ])('%s', (_, table, expected) => {
    const gains = table.split(' | ').map((row) => (row === '' ? [] : row.split(' ').map(Number)))
    const pairs = pairsOf(gains).map(([row, column]) => `${row}-${column}`)
    expect(pairs.sort().join(' ')).toBe(expected)
  })

  test('have the greatest sum for any table, each row and column once', () => {
    const gain = fc.oneof(fc.constantFrom(0, 1), fc.double({ min: -1, max: 2, noNaN: true }))
    const table = fc
      .tuple(fc.integer({ min: 0, max: 6 }), fc.integer({ min: 0, max: 6 }))
      .chain(([rows, columns]) =>
        fc.array(fc.array(gain, { minLength: columns, maxLength: columns }), { minLength: rows, maxLength: rows }),
      )
    fc.assert(
      fc.property(table, (gains) => {
        const pairs = pairsOf(gains)
        expect(new Set(pairs.map(([row]) => row)).size).toBe(pairs.length)
        expect(new Set(pairs.map(([, column]) => column)).size).toBe(pairs.length)
        const sum = pairs.reduce((total, [row, column]) => total + (gains[row]?.[column] ?? 0), 0)
        expect(sum).toBeCloseTo(bestSum(gains), 9)
      }),
      { numRuns: 500 },
    )
  })
})
