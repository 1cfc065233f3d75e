import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { backoffDelays } from '../../../src/lib/backoff.ts'

const limits = fc
  .tuple(fc.integer({ min: 1, max: 10_000 }), fc.integer({ min: 1, max: 100 }))
  .map(([firstMs, factor]) => ({ firstMs, lastMs: firstMs * factor }))

function firstDelays(count: number, options: Parameters<typeof backoffDelays>[0]): number[] {
  const delays = backoffDelays(options)
  return Array.from({ length: count }, () => delays.next().value)
}

describe('backoffDelays', () => {
  test('doubles up to the last delay and stays there', () => {
    expect(firstDelays(6, { firstMs: 100, lastMs: 500, random: () => 0.5 })).toEqual([100, 200, 400, 500, 500, 500])
  })

  test('spreads each delay over half to one and a half of its length', () => {
    expect(firstDelays(1, { firstMs: 100, lastMs: 500, random: () => 0 })).toEqual([50])
    expect(firstDelays(1, { firstMs: 100, lastMs: 500, random: () => 0.999 })).toEqual([expect.closeTo(149.9)])
  })

  test('can have a first delay in a range of its own', () => {
    const options = { firstMs: 100, lastMs: 500, firstRangeMs: [20, 300] } as const
    expect(firstDelays(3, { ...options, random: () => 0 })).toEqual([20, 100, 200])
    expect(firstDelays(3, { ...options, random: () => 0.5 })).toEqual([160, 200, 400])
  })

  test('never leaves its bounds, whatever the limits', () => {
    fc.assert(
      fc.property(limits, ({ firstMs, lastMs }) => {
        const delays = firstDelays(100, { firstMs, lastMs })
        expect(Math.min(...delays)).toBeGreaterThanOrEqual(firstMs * 0.5)
        expect(Math.max(...delays)).toBeLessThan(lastMs * 1.5)
      }),
    )
  })

  test('differs from one device to the next', () => {
    const firsts = Array.from({ length: 20 }, () => firstDelays(1, { firstMs: 1000, lastMs: 1000 })[0])
    expect(new Set(firsts).size).toBeGreaterThan(1)
  })
})
