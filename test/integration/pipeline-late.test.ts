import * as v from 'valibot'
import { describe, expect, onTestFinished, test } from 'vitest'
import { configSchema } from '../../src/config/schema.ts'
import type { SceneEvent } from '../../src/core/scene.ts'
import { bundledModel } from '../../src/daemon.ts'
import { Pipeline } from '../../src/pipeline/pipeline.ts'
import { piCamera, plugInCamera } from '../support/fake-camera.ts'
import { startPipeline } from '../support/pipeline.ts'
import { tempFolder } from '../support/temp-folder.ts'
import { demoPhotos, trusted } from '../support/vision.ts'

const replay = { source: 'replay', path: demoPhotos, width: 320, height: 240, fps: 30 }

/** A pipeline that takes whatever it sees once for an event; results reach it half a second late. */
async function latePipeline(camera: object) {
  const config = v.parse(configSchema, {
    camera,
    inference: { threshold: 0.1 },
    events: { confirm_hits: 1, confirm_of: 1 },
    motion: { gate: 'off' },
  })
  const events: SceneEvent[] = []
  const pipeline = new Pipeline({
    config,
    model: async () => trusted(bundledModel),
    entry: new URL('../fixtures/late-vision.js', import.meta.url),
    workDir: await tempFolder(),
    onResult: () => {},
    onEvent: (event) => events.push(event),
    onView: () => {},
    onModel: () => {},
    onDown: () => {},
    onShadow: () => {},
    onCandidateDown: () => {},
    onChange: () => {},
    log: { info: () => {}, warn: () => {} },
  })
  const stop = new AbortController()
  const ended = pipeline.run(stop.signal)
  onTestFinished(async () => {
    stop.abort()
    await ended
  })
  await expect.poll(() => events.length, { timeout: 20_000 }).toBeGreaterThan(0)
  return {
    pipeline,
    config,
    events,
    /** Resolves when there is another result, or several. */
    async lateResult(): Promise<void> {
      const { results } = pipeline.stats
      await expect.poll(() => pipeline.stats.results, { timeout: 20_000 }).toBeGreaterThan(results)
    },
  }
}

describe('a result that was under way begins no event', () => {
  test('after a pause', async () => {
    const { pipeline, config, events, lateResult } = await latePipeline(replay)
    pipeline.configure({ ...config, inference: { ...config.inference, enabled: false } })
    const { length } = events
    expect(events.at(-1)).toMatchObject({ type: 'end', endReason: 'interrupted' })
    await lateResult()
    expect(events.slice(length)).toEqual([])
    pipeline.configure(config)
    await expect.poll(() => events.slice(length).some(({ type }) => type === 'new'), { timeout: 20_000 }).toBe(true)
  })

  test('after the camera is gone', async () => {
    const camera = await plugInCamera()
    const { pipeline, events, lateResult } = await latePipeline(piCamera)
    await camera.remove('rpicam-vid')
    process.kill(camera.log().findLast(({ event }) => event === 'start')?.pid ?? 0, 'SIGKILL')
    await expect.poll(() => pipeline.state.camera.state, { interval: 1, timeout: 20_000 }).not.toBe('online')
    const { length } = events
    expect(events.at(-1)).toMatchObject({ type: 'end', endReason: 'interrupted' })
    await lateResult()
    expect(events.slice(length)).toEqual([])
  })
})

test('of the limit on the rate and the half of it on a hot board, the lower one holds', async () => {
  const { pipeline, config, moreResults } = await startPipeline()
  await moreResults(5)
  const inferredShare = async () => {
    const before = pipeline.counters
    await expect.poll(() => pipeline.counters.captured, { timeout: 20_000 }).toBeGreaterThan(before.captured + 40)
    const { inferred, captured } = pipeline.counters
    return (inferred - before.inferred) / (captured - before.captured)
  }
  for (const nowMs of [0, 30_000]) pipeline.noteBoard({ tempC: 85, throttled: 0x8 }, nowMs)
  // Of 10 frames a second, 5.
  pipeline.configure({ ...config, inference: { ...config.inference, max_fps: 9 } })
  const half = await inferredShare()
  expect(half).toBeGreaterThan(0.35)
  expect(half).toBeLessThan(0.65)
  pipeline.configure({ ...config, inference: { ...config.inference, max_fps: 1 } })
  expect(await inferredShare()).toBeLessThan(0.2)
})
