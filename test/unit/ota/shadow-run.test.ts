import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ShadowRun, shadowStatus } from '../../../src/ota/shadow-run.ts'

const sample = { agreement: 1, activeMs: 10, candidateMs: 12 }

/** Frames that far apart, until there were enough; how many. */
function framesOf(run: ShadowRun, gapMs: number): number {
  for (let i = 1; i <= 10_000; i++) if (run.note(sample, 77_000 + (i - 1) * gapMs)) return i
  throw new Error('it has no end')
}

describe('a shadow run', () => {
  test.each([
    ['many frames: it takes its time', 500, 121],
    ['few frames: at least five', 100_000, 7],
    ['one a minute, of a still scene', 60_000, 7],
    ['just the time', 12_000, 7],
    ['five frames are the least', 30_000_000, 7],
  ])('with %s', (_, gapMs, frames) => {
    expect(framesOf(new ShadowRun(60_000), gapMs)).toBe(frames)
  })

  test('that is short has five frames all the same', () => {
    expect(framesOf(new ShadowRun(1), 1000)).toBe(5)
  })

  test('row 60: of the time without a camera next to nothing counts', () => {
    const run = new ShadowRun(60_000)
    for (let i = 0; i < 5; i++) run.note(sample, i)
    expect(run.note(sample, 3_600_000)).toBe(false)
    expect(run.percent).toBeCloseTo((100 * 10_004) / 60_000)
  })

  test('knows nothing before the first frame', () => {
    const run = new ShadowRun(60_000)
    expect([run.percent, run.summary]).toEqual([0, null])
  })

  test('sums up: the mean of the agreement, medians of the times', () => {
    const run = new ShadowRun(60_000)
    run.note({ agreement: 1, activeMs: 10, candidateMs: 900 }, 0)
    expect(run.summary).toEqual({ frames: 1, agreement: 1, activeMs: 10, candidateMs: 900 })
    run.note({ agreement: 0.5, activeMs: 11, candidateMs: 15 }, 1)
    run.note({ agreement: 0, activeMs: 99, candidateMs: 16 }, 2)
    expect(run.summary).toEqual({ frames: 3, agreement: 0.5, activeMs: 11, candidateMs: 16 })
  })

  test('is told in few digits', () => {
    const run = new ShadowRun(60_000)
    expect(shadowStatus(run.summary)).toBe(null)
    for (const agreement of [0, 1, 1]) run.note({ agreement, activeMs: 10.126, candidateMs: 1 / 3 }, 0)
    expect(shadowStatus(run.summary)).toEqual({ frames: 3, agreement: 0.667, active_ms: 10.13, candidate_ms: 0.33 })
  })

  test('its percentage only grows, and is 100 just when there were enough', () => {
    const gaps = fc.array(fc.oneof(fc.nat(3000), fc.constant(20_000)), { minLength: 1, maxLength: 60 })
    fc.assert(
      fc.property(gaps, fc.integer({ min: 1, max: 30_000 }), (gaps, goalMs) => {
        const run = new ShadowRun(goalMs)
        let [nowMs, ms, percent] = [0, 0, 0]
        for (const [i, gapMs] of gaps.entries()) {
          nowMs += gapMs
          if (i > 0) ms += Math.min(gapMs, 10_000)
          const isOver = run.note(sample, nowMs)
          expect(isOver).toBe(ms >= goalMs && i + 1 >= 5)
          expect(run.percent === 100).toBe(isOver)
          expect(run.percent).toBeGreaterThanOrEqual(percent)
          percent = run.percent
        }
      }),
    )
  })
})
