import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { RunStats } from '../../../src/pipeline/run-stats.ts'
import { result } from './reports.ts'

// The clock is the outside world: it goes when the test says so.
beforeEach(() => void vi.useFakeTimers({ toFake: ['performance'] }))
afterEach(() => void vi.useRealTimers())

const pass = (ms: number) => vi.advanceTimersByTime(ms)
const frames = { captured: 9, inferred: 8, dropped: 1, skipped: 0, still: 0, pending: 0 }

/** A run with `count` results, the first one `gapMs` after the start. */
function runWith(count: number, gapMs: number): RunStats {
  const stats = new RunStats()
  for (let i = 0; i < count; i++) {
    pass(gapMs)
    stats.note(result())
  }
  return stats
}

describe('the current rate', () => {
  test('is that between the last results', () => {
    expect(runWith(20, 100).fps).toBeCloseTo(10)
  })

  test.each([0, 1])('is 0 with %i results', (count) => {
    expect(runWith(count, 100).fps).toBe(0)
  })

  test('follows a change within five seconds', () => {
    const stats = runWith(100, 100)
    for (let i = 0; i < 6; i++) {
      pass(1000)
      stats.note(result())
    }
    expect(stats.fps).toBeCloseTo(1)
  })

  test('is there for a board that takes longer than the window for a result', () => {
    const stats = runWith(3, 8000)
    expect(stats.fps).toBeCloseTo(1 / 8)
  })

  test('falls while no results come', () => {
    const stats = runWith(20, 100)
    pass(2000)
    expect(stats.fps).toBeLessThan(6)
    pass(60_000)
    expect(stats.fps).toBeLessThan(0.1)
  })
})

describe('the summary of a run', () => {
  test('counts results, seconds and frames', () => {
    const stats = runWith(11, 200)
    pass(800)
    expect(stats.summary(frames)).toMatchObject({ results: 11, seconds: 3, fps: 5, frames, firstResultMs: 200 })
  })

  test('has the median and the 95th percentile of each stage', () => {
    const stats = new RunStats()
    for (let ms = 1; ms <= 100; ms++) stats.note(result({ inferenceMs: ms, ageMs: ms * 2 }))
    expect(stats.summary(frames).ms).toEqual({
      age: { p50: 100, p95: 190 },
      preprocess: { p50: 1, p95: 1 },
      inference: { p50: 50, p95: 95 },
      decode: { p50: 2, p95: 2 },
      total: { p50: 53, p95: 98 },
    })
    expect(stats.inferenceMs.quantile(0.5)).toBe(50)
  })

  test('rounds to two places', () => {
    const stats = new RunStats()
    stats.note(result({ inferenceMs: 1.23456 }))
    expect(stats.summary(frames).ms.inference.p50).toBe(1.23)
  })

  test('of no results has no rate and no first result', () => {
    const stats = new RunStats()
    expect(stats.summary(frames)).toMatchObject({ results: 0, fps: 0, firstResultMs: null })
    expect(stats.inferenceMs.quantile(0.5)).toBeUndefined()
  })
})
