import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { FrameCounters } from '../../../src/core/vision-protocol.ts'
import { addCounters, lostWithProcess, noFrames } from '../../../src/pipeline/counters.ts'
import { counters } from '../arbitraries.ts'

const isBalanced = ({ captured, inferred, dropped, skipped, still, pending }: FrameCounters) =>
  captured === inferred + dropped + skipped + pending && still <= skipped

describe('frame counters', () => {
  test('are added one by one', () => {
    const a = { captured: 15, inferred: 1, dropped: 2, skipped: 4, still: 3, pending: 8 }
    const b = { captured: 150, inferred: 10, dropped: 20, skipped: 40, still: 30, pending: 80 }
    const sum = { captured: 165, inferred: 11, dropped: 22, skipped: 44, still: 33, pending: 88 }
    expect(addCounters(a, b)).toEqual(sum)
    expect(addCounters(a, noFrames)).toEqual(a)
  })

  test('count as dropped what was pending in a process that is gone', () => {
    const last = { captured: 15, inferred: 1, dropped: 2, skipped: 4, still: 3, pending: 8 }
    expect(lostWithProcess(last)).toEqual({ captured: 15, inferred: 1, dropped: 10, skipped: 4, still: 3, pending: 0 })
  })

  test('account for every frame over any number of restarts', () => {
    fc.assert(
      fc.property(fc.array(counters), counters, (gone, current) => {
        const total = gone.map(lostWithProcess).reduce(addCounters, noFrames)
        expect(isBalanced(total)).toBe(true)
        expect(total.pending).toBe(0)
        expect(isBalanced(addCounters(total, current))).toBe(true)
      }),
    )
  })
})
