import * as v from 'valibot'
import { describe, expect, onTestFinished, test } from 'vitest'
import { configSchema } from '../../src/config/schema.ts'
import type { SceneEvent } from '../../src/core/scene.ts'
import { bundledModel } from '../../src/daemon.ts'
import { Pipeline } from '../../src/pipeline/pipeline.ts'
import { tempFolder } from '../support/temp-folder.ts'

/** A real vision process on the moving pattern, at 10 frames per second. */
async function startPipeline() {
  const config = v.parse(configSchema, {
    camera: { source: 'synthetic', width: 320, height: 240 },
    motion: { gate: 'off' },
  })
  const lines: { level: string; text: string; [field: string]: unknown }[] = []
  const events: SceneEvent[] = []
  let changes = 0
  const log = (level: string) => (fields: object, text: string) => {
    lines.push({ ...fields, level, text })
  }
  const pipeline = new Pipeline({
    config,
    modelDir: bundledModel,
    entry: new URL('../../src/vision/main.ts', import.meta.url),
    workDir: await tempFolder(),
    onResult: () => {},
    onEvent: (event) => events.push(event),
    onView: () => {},
    onModel: () => {},
    onChange: () => changes++,
    log: { info: log('info'), warn: log('warn') },
  })
  const stop = new AbortController()
  const ended = pipeline.run(stop.signal)
  onTestFinished(async () => {
    stop.abort()
    await ended
  })
  await expect.poll(() => pipeline.stats.results, { timeout: 20_000 }).toBeGreaterThan(10)
  return { pipeline, config, lines, events, changes: () => changes }
}

const hot = { tempC: 85, throttled: 0x8 }
const cool = { tempC: 50, throttled: 0 }

describe('Pipeline', () => {
  test('halves the rate while the board is hot, says so, and gives it back', async () => {
    const { pipeline, lines } = await startPipeline()
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
    const { pipeline, config } = await startPipeline()
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
