import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { HintGate } from '../../../src/ota/hint-gate.ts'

const deafMs = 1000

describe('a hint', () => {
  test('of what is known is of no use', () => {
    const gate = new HintGate(deafMs)
    expect([gate.isHeard(6, 7, 0), gate.isHeard(7, 7, 0), gate.isHeard(8, 7, 0)]).toEqual([false, false, true])
  })

  test('after one that came true is heard at once', () => {
    const gate = new HintGate(deafMs)
    for (let known = 1; known < 10; known++) expect(gate.isHeard(known + 1, known, 5)).toBe(true)
  })

  test('after one that did not come true is not heard for a while', () => {
    const gate = new HintGate(deafMs)
    expect(gate.isHeard(100, 7, 0)).toBe(true)
    // It is true, but who knows.
    expect(gate.isHeard(8, 7, 999)).toBe(false)
    expect(gate.isHeard(2 ** 31 - 1, 8, 999)).toBe(false)
    expect(gate.isHeard(9, 8, 1000)).toBe(true)
  })

  test('that is a lie is heard once in that time, however many there are', () => {
    const hint = fc.record({ version: fc.integer({ min: 8, max: 2 ** 31 - 1 }), afterMs: fc.nat(300) })
    fc.assert(
      fc.property(fc.array(hint, { maxLength: 100 }), (hints) => {
        const gate = new HintGate(deafMs)
        let [nowMs, heard] = [0, 0]
        for (const { version, afterMs } of hints) {
          nowMs += afterMs
          if (gate.isHeard(version, 7, nowMs)) heard++
        }
        expect(heard).toBeLessThanOrEqual(1 + nowMs / deafMs)
      }),
    )
  })
})
