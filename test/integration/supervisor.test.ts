import { cp, rm, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { bundledModel } from '../../src/daemon.ts'
import { copyOfBundledModel } from '../support/models.ts'
import { endlessModel } from '../support/onnx.ts'
import { isRunning } from '../support/processes.ts'
import { tempFolder } from '../support/temp-folder.ts'
import { demoPhotos, everyFrame, expectExact, supervise } from '../support/vision.ts'

describe('VisionSupervisor', () => {
  test('every frame is accounted for, over kills and a stop', async () => {
    const { supervisor, events, next, stopAndWait } = await supervise()
    for (let kill = 0; kill < 2; kill++) {
      const from = events.length
      await next('result', from)
      process.kill(supervisor.pid ?? 0, 'SIGKILL')
      const { down } = await next('down', from)
      expect(down).toEqual({ reason: 'the vision process ended by SIGKILL', isModelInvalid: false })
      expectExact(supervisor)
    }
    await next('result', events.length)
    const { pid = 0 } = supervisor
    await stopAndWait()
    expect(isRunning(pid)).toBe(false)
    expect(supervisor.restarts).toBe(2)
    expect(supervisor.counters.pending).toBe(0)
    expectExact(supervisor)
    expect(supervisor.counters.inferred).toBeGreaterThanOrEqual(3)
  })

  test('a process that makes no progress is killed and replaced', async () => {
    const { supervisor, events, next } = await supervise({}, { minHangMs: 500 })
    await next('result')
    const { pid = 0 } = supervisor
    process.kill(pid, 'SIGSTOP')
    const from = events.length
    expect((await next('down', from)).down.reason).toMatch(/no progress for \d+ s, killed/)
    expect(isRunning(pid)).toBe(false)
    await next('result', events.length)
  })

  test.each([null, 5])(
    'a run of the model that never ends is noticed, with a limit of %s frames per second',
    async (maxFps) => {
      const { events, next } = await supervise(
        { modelDir: await endlessModel(), tuning: { ...everyFrame, maxFps } },
        { minHangMs: 1500 },
      )
      await next('ready')
      expect((await next('down')).down.reason).toMatch(/no progress/)
      await next('ready', events.length)
    },
  )

  test('a limit on frames per second skips frames on purpose, and says so', async () => {
    const { supervisor, next, stopAndWait } = await supervise({ tuning: { ...everyFrame, maxFps: 5 } })
    await next('skipping')
    await next('result')
    await stopAndWait()
    expect(supervisor.counters.skipped).toBeGreaterThan(supervisor.counters.inferred)
    expectExact(supervisor)
  })

  test('a model that can not be loaded is reported in words, and tried again when its files are mended', async () => {
    const modelDir = await copyOfBundledModel()
    await truncate(join(modelDir, 'model.onnx'), 1000)
    const { next } = await supervise({ modelDir })
    const { down } = await next('down')
    expect(down.isModelInvalid).toBe(true)
    expect(down.reason).toMatch(/model\.onnx: 1000 bytes, the manifest says \d+ \(truncated\?\)/)
    await cp(join(bundledModel, 'model.onnx'), join(modelDir, 'model.onnx'))
    expect((await next('ready')).model.name).toBe('ssdlite-mobilenet-v2-coco')
    await next('result')
  })

  test('a folder of pictures that is not there is a camera problem, retried until it is', async () => {
    const folder = join(await tempFolder(), 'photos')
    const { events, next } = await supervise({
      source: { source: 'replay', path: folder, width: 320, height: 240, fps: 30 },
    })
    const isFailure = (event: (typeof events)[number]) => event.type === 'camera' && event.state === 'absent'
    await expect.poll(() => events.some(isFailure), { timeout: 5000 }).toBe(true)
    expect(events.find(isFailure)).toMatchObject({ reason: expect.stringContaining(`${folder} can't be opened`) })
    await cp(demoPhotos, folder, { recursive: true })
    await next('result')
    await rm(folder, { recursive: true })
  })

  test('memory beyond the limit ends the vision process, not the daemon', async () => {
    const { next } = await supervise({}, { maxMemoryMb: -700 })
    expect((await next('down')).down).toMatchObject({ isModelInvalid: false, reason: expect.stringMatching(/ended/) })
  })
})
