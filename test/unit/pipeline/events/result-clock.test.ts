import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ResultClock } from '../../../../src/pipeline/events/result-clock.ts'

const hour = 3_600_000

/** Result time and steady time at the last of these capture times. */
function timesAfter(captured: readonly number[]): [resultMs: number, steadyMs: number] {
  const clock = new ResultClock()
  const times = captured.map((atMs) => clock.note(atMs))
  expect(times.map(({ atMs }) => atMs)).toEqual(captured)
  return [times.at(-1)?.resultMs ?? 0, clock.steadyMs]
}

describe('after', () => {
  const steps = (intervals: readonly number[]) => {
    const captured = [1e12]
    for (const ms of intervals) captured.push((captured.at(-1) ?? 0) + ms)
    return captured
  }

  test.each([
    ['nothing, no time has passed', [], 0, 0],
    ['steady results, both go with the capture time', [200, 200, 200], 600, 600],
    ['results as seldom as 2 s too', [2000, 2000], 4000, 4000],
    ['a gap, the result time goes on by a usual interval', [200, 300, 200, 10_000], 900, 10_700],
    ['gaps only, they are taken for half a second', [5000, 5000], 1000, 10_000],
    ['gaps among results, the gaps are not what is usual', [200, 9000, 9000, 9000], 800, 27_200],
    ['a gap of an hour, the steady time believes it', [200, hour], 400, hour + 200],
    ['a longer gap, the clock was set', [200, hour + 1], 400, 400],
    ['a clock that is set back, it goes on by a usual interval', [200, 300, 200, -5000], 900, 900],
    ['a clock that is set back a little', [200, -1], 400, 400],
    ['two frames of one time, none has passed', [200, 0], 200, 200],
  ])('%s', (_, intervals, resultMs, steadyMs) => {
    expect(timesAfter(steps(intervals))).toEqual([resultMs, steadyMs])
  })
})

test('neither time goes back, and result time never goes faster', () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof(fc.integer({ min: 0, max: 9999 }), fc.integer({ min: 0, max: 1e13 }))),
      (captured) => {
        const clock = new ResultClock()
        let last = { resultMs: 0, steadyMs: 0 }
        for (const atMs of captured) {
          const now = clock.note(atMs)
          expect(now.resultMs).toBeGreaterThanOrEqual(last.resultMs)
          expect(now.steadyMs - last.steadyMs).toBeGreaterThanOrEqual(now.resultMs - last.resultMs)
          last = now
        }
      },
    ),
  )
})
