import { expect, test } from 'vitest'
import { StageTimes } from '../../../../src/cli/bench/stages.ts'

test('quantiles are by nearest rank, and the hand-over is what the stages leave of the whole', () => {
  const times = new StageTimes()
  for (let i = 1; i <= 100; i++) times.push({ preprocess: i, inference: 2 * i, decode: 0, total: 3 * i + 7 })
  const { preprocess, inference, handover, total } = times.quantiles
  expect(preprocess).toEqual({ p50: 50, p95: 95, p99: 99 })
  expect(inference).toEqual({ p50: 100, p95: 190, p99: 198 })
  expect(handover).toEqual({ p50: 7, p95: 7, p99: 7 })
  expect(total).toEqual({ p50: 157, p95: 292, p99: 304 })
})

test('nothing is 0 ms', () => {
  expect(new StageTimes().quantiles.total).toEqual({ p50: 0, p95: 0, p99: 0 })
})
