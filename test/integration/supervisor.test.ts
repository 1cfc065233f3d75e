import { cp, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { ModelSource } from '../../src/core/model-trial.ts'
import { bundledModel } from '../../src/daemon.ts'
import { copyOfBundledModel, editManifest } from '../support/models.ts'
import { endlessModel, swellingModel, undefinedModel } from '../support/onnx.ts'
import { isRunning } from '../support/processes.ts'
import { tempFolder } from '../support/temp-folder.ts'
import { demoPhotos, everyFrame, expectExact, supervise, trusted } from '../support/vision.ts'

describe('VisionSupervisor', () => {
  test('every frame is accounted for, over kills and a stop', async () => {
    const { supervisor, events, next, stopAndWait } = await supervise()
    for (let kill = 0; kill < 2; kill++) {
      const from = events.length
      await next('result', from)
      process.kill(supervisor.pid ?? 0, 'SIGKILL')
      const { down } = await next('down', from)
      expect(down).toEqual({ reason: 'the vision process ended by SIGKILL', fault: 'died', wasReady: true })
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

  test('a process that can not be started is tried again', async () => {
    const file = join(await tempFolder(), 'file')
    await writeFile(file, '')
    const { next } = await supervise({}, { workDir: join(file, 'work') })
    const { down } = await next('down')
    expect(down).toMatchObject({ fault: null, wasReady: false })
    expect(down.reason).toMatch(/^the vision process can't be started: .*ENOTDIR/)
    await rm(file)
    await next('result')
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
      const model = trusted(await endlessModel())
      const { events, next } = await supervise(
        { tuning: { ...everyFrame, maxFps } },
        { minHangMs: 1500, model: async () => model },
      )
      await next('ready')
      expect((await next('down')).down).toMatchObject({
        reason: expect.stringMatching(/no progress/),
        fault: 'hung',
        wasReady: true,
      })
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
    const { next } = await supervise({}, { model: async () => trusted(modelDir) })
    const { down } = await next('down')
    expect(down).toMatchObject({ fault: 'model_invalid', wasReady: false })
    expect(down.reason).toMatch(/model\.onnx: 1000 bytes, the manifest says \d+ \(truncated\?\)/)
    await cp(join(bundledModel, 'model.onnx'), join(modelDir, 'model.onnx'))
    expect((await next('ready')).model.name).toBe('ssdlite-mobilenet-v2-coco')
    await next('result')
  })

  test('a model whose manifest is not the one that was meant is refused, with both digests', async () => {
    const meant = 'd'.repeat(64)
    const { next } = await supervise({}, { model: async () => ({ dir: bundledModel, manifestSha256: meant }) })
    expect((await next('down')).down).toMatchObject({
      fault: 'model_invalid',
      reason: expect.stringMatching(/manifest\.json: sha256 is [0-9a-f]{64}, has to be d{64}$/),
    })
  })

  test('which model to load is asked before each start, and the start waits for the answer', async () => {
    const answers = [Promise.withResolvers<ModelSource>(), Promise.withResolvers<ModelSource>()]
    let asked = 0
    const model = () => answers[asked++]?.promise ?? Promise.reject(new Error('asked too often'))
    const { supervisor, events, next } = await supervise({}, { model })
    expect(asked).toBe(1)
    expect(supervisor.pid).toBeUndefined()
    answers[0]?.resolve(trusted(bundledModel))
    await next('result')
    process.kill(supervisor.pid ?? 0, 'SIGKILL')
    await next('down')
    await expect.poll(() => asked, { timeout: 5000 }).toBe(2)
    expect(supervisor.pid).toBeUndefined()
    const folder = await copyOfBundledModel()
    await editManifest(folder, (manifest) => (manifest['version'] = '2'))
    const from = events.length
    answers[1]?.resolve(trusted(folder))
    expect((await next('ready', from)).model.version).toBe('2')
  })

  test('a model that can not be told is no fault of any model, and is asked for again', async () => {
    let asked = 0
    const model = async () => {
      if (asked++ === 0) throw new Error('the disk is full')
      return trusted(bundledModel)
    }
    const { supervisor, next } = await supervise({}, { model })
    expect((await next('down')).down).toEqual({
      reason: "it can't be told which model to load: the disk is full",
      fault: null,
      wasReady: false,
    })
    await next('ready')
    expect(supervisor.restarts).toBe(0)
  })

  test('NaN from the model ends the process, which is started again', async () => {
    const model = trusted(await undefinedModel())
    const { supervisor, events, next } = await supervise({}, { model: async () => model })
    expect((await next('down')).down).toEqual({
      reason: "the model's output scores has NaN or infinity in it",
      fault: 'bad_output',
      wasReady: true,
    })
    expectExact(supervisor)
    await next(
      'ready',
      events.findIndex(({ type }) => type === 'down'),
    )
  })

  test('a model that wants too much memory is told from one that is not valid', async () => {
    const model = trusted(await swellingModel())
    const { next } = await supervise({}, { model: async () => model })
    expect((await next('down')).down).toMatchObject({
      reason: expect.stringContaining('Failed to allocate memory'),
      fault: 'memory',
      wasReady: true,
    })
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

  test('told to start anew, it ends the process at once and asks for the model again', async () => {
    let asked = 0
    const model = async () => {
      asked++
      return trusted(bundledModel)
    }
    const { supervisor, events, next } = await supervise({}, { model })
    await next('result')
    const { pid = 0 } = supervisor
    const startMs = performance.now()
    supervisor.restart('the model before is wanted back')
    const { down } = await next('down')
    expect(down).toEqual({ reason: 'the model before is wanted back', fault: null, wasReady: true })
    expect(isRunning(pid)).toBe(false)
    expectExact(supervisor)
    await next(
      'result',
      events.findIndex(({ type }) => type === 'down'),
    )
    expect(asked).toBe(2)
    expect(supervisor.restarts).toBe(1)
    expect(performance.now() - startMs).toBeLessThan(10_000)
  })

  test('told to start anew, it does not wait for the files of a model that is not valid, nor for a back-off', async () => {
    const broken = await copyOfBundledModel()
    await truncate(join(broken, 'model.onnx'), 1000)
    let dir = broken
    const { supervisor, events, next } = await supervise({}, { model: async () => trusted(dir) })
    for (let time = 0; time < 3; time++) {
      const from = events.length
      if (time > 0) supervisor.restart('once more')
      expect((await next('down', from)).down.fault).toBe('model_invalid')
    }
    dir = bundledModel
    supervisor.restart('a good one')
    await next('ready')
    // There was no process to be ended, and so none to be told of.
    expect(events.filter(({ type }) => type === 'down')).toHaveLength(3)
  })

  test('told to start anew, it forgets how long it had to wait', async () => {
    const askedMs: number[] = []
    const model = async () => {
      askedMs.push(performance.now())
      throw new Error('no')
    }
    const { supervisor } = await supervise({}, { model })
    const asked = (times: number) => expect.poll(() => askedMs.length, { timeout: 10_000 }).toBe(times)
    // After 0.5 and 1 s, on average; the next would be 2 and 4.
    await asked(3)
    supervisor.restart('once more')
    await asked(4)
    await asked(5)
    const [third = 0, fourth = 0, fifth = 0] = askedMs.slice(2)
    expect(fourth - third).toBeLessThan(900)
    expect(fifth - fourth).toBeLessThan(1500)
  })

  test('memory beyond the limit ends the vision process, not the daemon', async () => {
    const { next } = await supervise({}, { maxMemoryMb: -700 })
    expect((await next('down')).down).toMatchObject({ wasReady: false, reason: expect.stringMatching(/ended/) })
  })
})
