import { readdirSync } from 'node:fs'
import { cp } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { bundledModel } from '../../src/daemon.ts'
import { copyOfBundledModel, editManifest } from '../support/models.ts'
import { endlessModel, swellingModel, undefinedModel } from '../support/onnx.ts'
import { startPipeline } from '../support/pipeline.ts'
import { tempFolder } from '../support/temp-folder.ts'
import { demoPhotos, everyFrame, expectExact, supervise, trusted } from '../support/vision.ts'

const camera = { fps: 30 }
const inference = { threads: 1 }

/** The bundled model under another version. */
async function secondVersion(changes = {}) {
  const folder = await copyOfBundledModel()
  await editManifest(folder, (manifest) => Object.assign(manifest, { version: '2', ...changes }))
  return trusted(folder)
}

/** Threads of the vision process. */
const threadsOf = (pid = 0) => readdirSync(`/proc/${pid}/task`).length

/** Frames that a run of the model lets pass at most, with some more for a machine that is busy elsewhere. */
const largestGap = 30

describe('a swap', () => {
  test('changes the model and loses no frame, at 30 frames a second, and so does the way back', async () => {
    const { pipeline, results, models, downs, moreResults, stopAndWait } = await startPipeline({
      camera,
      inference,
    })
    await moreResults(20)
    const alone = threadsOf(pipeline.pid)
    const candidate = await pipeline.loadCandidate(await secondVersion({ threshold: 0.4 }))
    expect(candidate).toMatchObject({ version: '2', threshold: 0.4 })
    expect(pipeline.model?.version).toBe('1')
    expect(threadsOf(pipeline.pid)).toBeGreaterThan(alone)
    await moreResults(20)

    expect(await pipeline.swap()).toEqual(candidate)
    expect(pipeline.model).toEqual(candidate)
    expect(pipeline.threshold).toBe(0.4)
    expect(pipeline.state.model?.version).toBe('2')
    await moreResults(20)
    expect((await pipeline.swap()).version).toBe('1')
    expect(pipeline.threshold).toBe(0.5)
    await moreResults(20)
    expect((await pipeline.swap()).version).toBe('2')
    pipeline.releaseSpare()
    await moreResults(20)
    await expect.poll(() => threadsOf(pipeline.pid), { timeout: 5000 }).toBe(alone)
    await expect(pipeline.swap()).rejects.toThrow('there is no second model to swap to')
    await stopAndWait()

    const versions = results.map(({ version }) => version)
    const stretches = versions.filter((version, i) => version !== versions[i - 1])
    expect(stretches).toEqual(['1', '2', '1', '2'])
    expect(models.map(({ version }) => version)).toEqual(['1', '2', '1', '2'])
    for (const [i, { id }] of results.entries()) {
      const gap = id - (results[i - 1]?.id ?? id - 1)
      expect(gap, `before result ${i}`).toBeGreaterThan(0)
      expect(gap, `before result ${i}`).toBeLessThan(largestGap)
    }
    const { captured, inferred, dropped, skipped, pending } = pipeline.counters
    expect(captured).toBe(inferred + dropped + skipped)
    expect(pending).toBe(0)
    expect(inferred).toBe(results.length)
    expect(skipped).toBe(0)
    expect(downs).toEqual([])
  })

  test('ends what the old model followed, and the new one begins anew', async () => {
    const path = await tempFolder()
    await cp(join(demoPhotos, '1-chelsea.jpg'), join(path, 'cat.jpg'))
    const { pipeline, events } = await startPipeline({ camera: { source: 'replay', path, fps: 30 }, inference })
    const isOpen = (from: number) => () => events.slice(from).some(({ type }) => type === 'new')
    await expect.poll(isOpen(0), { timeout: 20_000 }).toBe(true)
    const [first] = events
    await pipeline.loadCandidate(await secondVersion())
    const from = events.length
    await pipeline.swap()
    expect(events.at(-1)).toMatchObject({
      type: 'end',
      endReason: 'interrupted',
      eventId: first?.eventId,
      label: 'cat',
    })
    await expect.poll(isOpen(from), { timeout: 20_000 }).toBe(true)
    expect(events.at(-1)?.eventId).not.toBe(first?.eventId)
  })
})

describe('a candidate beside the model in charge', () => {
  test('sees what that one sees, now and then, and agrees with it if it is the same network', async () => {
    const { pipeline, shadows, results, moreResults } = await startPipeline({ camera, inference })
    await moreResults(10)
    await pipeline.loadCandidate(await secondVersion())
    const from = performance.now()
    await expect.poll(() => shadows.length, { timeout: 20_000 }).toBeGreaterThanOrEqual(5)
    expect(performance.now() - from).toBeLessThan(8000)
    for (const { agreement, activeMs, candidateMs } of shadows) {
      expect(agreement).toBe(1)
      expect(activeMs).toBeGreaterThan(0)
      expect(candidateMs).toBeGreaterThan(0)
    }
    const { captured, inferred, dropped, skipped, pending } = pipeline.counters
    expect(captured).toBe(inferred + dropped + skipped + pending)
    expect(inferred).toBe(results.length)

    // One that has been in charge, and one that rests, have nothing to be compared with.
    await pipeline.swap()
    const { length } = shadows
    await moreResults(40)
    await pipeline.swap()
    await moreResults(40)
    expect(shadows).toHaveLength(length)
  })

  test('finds other things than another network does', async () => {
    const { pipeline, shadows, moreResults } = await startPipeline({
      camera: { source: 'replay', path: demoPhotos, fps: 30 },
      inference,
    })
    await moreResults(10)
    const folder = await copyOfBundledModel()
    await editManifest(folder, (manifest) => {
      const labels = manifest['labels']
      manifest['labels'] = Array.isArray(labels) ? labels.map((label) => (label === '' ? '' : `another ${label}`)) : []
    })
    await pipeline.loadCandidate(trusted(folder))
    await expect.poll(() => shadows.some(({ agreement }) => agreement === 0), { timeout: 20_000 }).toBe(true)
  })

  test.each([
    [
      'has another manifest than it should',
      'model_invalid',
      async () => ({ ...trusted(bundledModel), manifestSha256: '0'.repeat(64) }),
      /has to be 0{64}$/,
    ],
    ['is not there', 'model_invalid', async () => trusted('/nowhere'), /\/nowhere\/manifest\.json: can't be read/],
  ])('that %s is refused, and the model in charge works on', async (_, code, make, message) => {
    const { pipeline, downs, candidateFailures, moreResults } = await startPipeline({ camera, inference })
    await moreResults(5)
    const { pid } = pipeline
    for (let time = 0; time < 2; time++)
      await expect(pipeline.loadCandidate(await make())).rejects.toThrow(
        expect.objectContaining({ code, message: expect.stringMatching(message) }),
      )
    await moreResults(10)
    expect(pipeline.pid).toBe(pid)
    expect([downs, candidateFailures]).toEqual([[], []])
    await expect(pipeline.swap()).rejects.toThrow('there is no second model to swap to')
  })

  test.each([
    [
      'gives NaN',
      undefinedModel,
      { fault: 'bad_output', message: "the model's output scores has NaN or infinity in it" },
    ],
    [
      'wants too much memory',
      swellingModel,
      { fault: 'memory', message: expect.stringContaining('Failed to allocate') },
    ],
  ])('that %s when it looks on is gone, and the model in charge works on', async (_, make, failure) => {
    const { pipeline, downs, candidateFailures, shadows, moreResults } = await startPipeline({ camera, inference })
    await moreResults(5)
    const { pid } = pipeline
    const alone = threadsOf(pid)
    await pipeline.loadCandidate(trusted(await make()))
    await expect.poll(() => candidateFailures, { timeout: 10_000 }).toEqual([failure])
    await moreResults(10)
    expect(pipeline.pid).toBe(pid)
    expect(shadows).toEqual([])
    expect(downs).toEqual([])
    await expect.poll(() => threadsOf(pid), { timeout: 5000 }).toBe(alone)
    // Nothing is in the way of the next.
    expect((await pipeline.loadCandidate(await secondVersion())).version).toBe('2')
  })

  test('that never comes back from its run is noticed; the process goes, and the model in charge comes back', async () => {
    const source = { source: 'synthetic', width: 320, height: 240, fps: 30 } as const
    const { supervisor, events, next } = await supervise({ source, tuning: everyFrame }, { minHangMs: 1500 })
    await next('result')
    await supervisor.loadCandidate(trusted(await endlessModel()))
    const { down } = await next('down')
    expect(down).toMatchObject({ fault: 'hung', wasReady: true })
    expectExact(supervisor)
    const from = events.length
    expect((await next('ready', from)).model.version).toBe('1')
    await next('result', from)
    await expect(supervisor.swap()).rejects.toThrow('there is no second model to swap to')
  })

  test('that never comes back is noticed also when every frame is left out from then on', async () => {
    // Slow enough to be told in time, before the next frame.
    const source = { source: 'synthetic', width: 320, height: 240, fps: 4 } as const
    const { supervisor, events, next } = await supervise({ source, tuning: everyFrame }, { minHangMs: 1500 })
    await next('result')
    await supervisor.loadCandidate(trusted(await endlessModel()))
    await next('result', events.indexOf(await next('candidate')))
    supervisor.tune({ ...everyFrame, isPaused: true })
    const { pid } = supervisor
    expect((await next('down')).down.fault).toBe('hung')
    expect(supervisor.pid).not.toBe(pid)
  })

  test('goes with the process, and whoever waits for it is told', async () => {
    const { pipeline, downs, moreResults } = await startPipeline({ camera, inference })
    await expect(pipeline.loadCandidate(await secondVersion())).rejects.toThrow(
      expect.objectContaining({ code: 'vision_failed', message: 'the vision process is not running with a model' }),
    )
    await moreResults(5)
    const loading = pipeline.loadCandidate(await secondVersion())
    process.kill(pipeline.pid ?? 0, 'SIGKILL')
    await expect(loading).rejects.toThrow('the vision process is down')
    await moreResults(5)
    expect(downs).toEqual([{ reason: 'the vision process ended by SIGKILL', fault: 'died', wasReady: true }])
    await pipeline.loadCandidate(await secondVersion())
    process.kill(pipeline.pid ?? 0, 'SIGSTOP')
    const swapping = pipeline.swap()
    process.kill(pipeline.pid ?? 0, 'SIGKILL')
    await expect(swapping).rejects.toThrow('the vision process is down')
    await moreResults(5)
    expect(pipeline.model?.version).toBe('1')
  })
})
