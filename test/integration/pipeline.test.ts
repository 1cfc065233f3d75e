import { describe, expect, test } from 'vitest'
import { startPipeline } from '../support/pipeline.ts'

async function runningPipeline() {
  const parts = await startPipeline()
  await parts.moreResults(11)
  return parts
}

const hot = { tempC: 85, throttled: 0x8 }
const cool = { tempC: 50, throttled: 0 }

describe('Pipeline', () => {
  test('halves the rate while the board is hot, says so, and gives it back', async () => {
    const { pipeline, lines } = await runningPipeline()
    expect(pipeline.state).toMatchObject({ status: 'running', governor: { active: false, reason: null } })
    pipeline.noteBoard(hot, 0)
    pipeline.noteBoard(hot, 30_000)
    expect(pipeline.state).toMatchObject({
      status: 'degraded',
      reason: 'the firmware throttles the CPU (0x8): inference at half the rate',
      governor: { active: true },
    })
    expect(pipeline.metrics.governor_active).toBe(true)
    const { captured, skipped } = pipeline.counters
    await expect.poll(() => pipeline.counters.captured, { timeout: 20_000 }).toBeGreaterThan(captured + 40)
    const now = pipeline.counters
    const share = (now.skipped - skipped) / (now.captured - captured)
    expect(share).toBeGreaterThan(0.4)
    expect(share).toBeLessThan(0.7)

    pipeline.noteBoard(cool, 40_000)
    pipeline.noteBoard(cool, 100_000)
    expect(pipeline.state).toMatchObject({ status: 'running', governor: { active: false, reason: null } })
    const { skipped: before, inferred } = pipeline.counters
    await expect.poll(() => pipeline.counters.inferred, { timeout: 20_000 }).toBeGreaterThan(inferred + 20)
    expect(pipeline.counters.skipped - before).toBeLessThanOrEqual(2)
    expect(lines.filter(({ text }) => text.includes('rate')).map(({ level }) => level)).toEqual(['warn', 'info'])
  })

  test('takes another configuration over while it runs: threshold, rate, pause', async () => {
    const { pipeline, config } = await runningPipeline()
    expect(pipeline.threshold).toBe(pipeline.model?.threshold)
    pipeline.configure({ ...config, inference: { ...config.inference, threshold: 0.9, enabled: false } })
    expect(pipeline.state).toMatchObject({ status: 'paused', inference: 'OFF', threshold: 0.9 })
    const { inferred, captured } = pipeline.counters
    await expect.poll(() => pipeline.counters.captured, { timeout: 20_000 }).toBeGreaterThan(captured + 10)
    // One may have been under way.
    expect(pipeline.counters.inferred - inferred).toBeLessThanOrEqual(2)
    pipeline.configure(config)
    await expect.poll(() => pipeline.counters.inferred, { timeout: 20_000 }).toBeGreaterThan(inferred + 5)
    expect(pipeline.state).toMatchObject({ status: 'running', inference: 'ON' })
    const { captured: c, inferred: i, dropped: d, skipped: s, pending: p } = pipeline.counters
    expect(c).toBe(i + d + s + p)
  })
})
