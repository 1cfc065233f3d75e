import { cp } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { foundObjects } from '../../src/core/prediction.ts'
import type { VisionResult } from '../../src/core/vision-protocol.ts'
import type { Picture } from '../../src/pipeline/supervisor.ts'
import { writeJpeg } from '../../src/vision/picture.ts'
import { readJpeg } from '../support/jpeg.ts'
import { tempFolder } from '../support/temp-folder.ts'
import { demoPhotos, everyFrame, expectExact, supervise } from '../support/vision.ts'

const size = { width: 320, height: 240, fps: 30 } as const
const paused = { ...everyFrame, isPaused: true }
const gated = { ...everyFrame, motion: { sensitivity: 'medium', idle_s: 0.5 } } as const

/** One picture of one colour, which looks the same however closely it is looked at. */
async function stillScene() {
  const path = await tempFolder()
  const rgb = new Uint8Array(320 * 240 * 3).fill(90)
  await writeJpeg(join(path, 'grey.jpg'), { width: 320, height: 240, rgb })
  return { source: 'replay', path, ...size } as const
}

const scores = (result: VisionResult) => foundObjects(result.finding).map(({ score }) => score)

async function expectPicture(picture: Picture) {
  if ('reason' in picture) throw new Error(picture.reason)
  const { width, height } = await readJpeg(picture.jpeg)
  expect([width, height]).toEqual([320, 240])
  expect(picture.frame).toMatchObject({ width: 320, height: 240 })
  return picture.frame
}

describe('a vision process that is tuned while it runs', () => {
  test('reports the threshold of its model, and from the lowest score that it is told', async () => {
    const { supervisor, events, next, until, stopAndWait } = await supervise()
    const { threshold } = (await next('ready')).model
    expect(threshold).toBe(0.5)
    await until('result', (result) => scores(result).length > 0)
    const from = events.length
    supervisor.tune({ ...everyFrame, lowestScore: 0.05 })
    await until('result', (result) => scores(result).some((score) => score < threshold), from)
    supervisor.tune({ ...everyFrame, lowestScore: 1 })
    await until('result', (result) => scores(result).length === 0, from)
    await stopAndWait()
    const before = events.slice(0, from).filter((event) => event.type === 'result')
    for (const score of before.flatMap(scores)) expect(score).toBeGreaterThanOrEqual(threshold)
    expect(events.filter(({ type }) => type === 'ready' || type === 'down')).toHaveLength(1)
    expectExact(supervisor)
  })

  test('pauses and goes on, without a frame lost and without looking hung', async () => {
    const { supervisor, events, next, stopAndWait } = await supervise({}, { minHangMs: 1500 })
    await next('result')
    supervisor.tune(paused)
    let from = events.length
    await next('skipping', from)
    const { inferred } = supervisor.counters
    for (let report = 0; report < 3; report++) {
      from = events.length
      await next('skipping', from)
    }
    expect(supervisor.counters.inferred).toBe(inferred)
    expectExact(supervisor)
    supervisor.tune(everyFrame)
    await next('result', from)
    await stopAndWait()
    expectExact(supervisor)
    expect(supervisor.counters).toMatchObject({ pending: 0, still: 0 })
    expect(supervisor.counters.skipped).toBeGreaterThan(50)
    expect(events.some(({ type }) => type === 'down')).toBe(false)
  })

  test('a limit on frames per second comes and goes', async () => {
    const { supervisor, events, next, stopAndWait } = await supervise()
    await next('result')
    expect(supervisor.counters.skipped).toBe(0)
    supervisor.tune({ ...everyFrame, maxFps: 2 })
    await next('skipping')
    supervisor.tune({ ...everyFrame, maxFps: 0.01 })
    await next('skipping', events.length)
    supervisor.tune(everyFrame)
    await next('result', events.length)
    await stopAndWait()
    expectExact(supervisor)
  })

  test('what it was told holds for the process that comes after it', async () => {
    const { supervisor, events, next } = await supervise()
    await next('result')
    supervisor.tune(paused)
    await next('skipping')
    const from = events.length
    process.kill(supervisor.pid ?? 0, 'SIGKILL')
    await next('ready', from)
    await next('skipping', events.indexOf(await next('ready', from)))
    expect(events.slice(from).some(({ type }) => type === 'result')).toBe(false)
    expect(supervisor.counters.inferred).toBeGreaterThan(0)
  })
})

describe('the motion gate', () => {
  test('leaves out a still scene, looks at it now and then, and does not look hung', async () => {
    const source = await stillScene()
    const { supervisor, events, next, until, stopAndWait } = await supervise(
      { source, tuning: gated },
      { minHangMs: 1500 },
    )
    await until('skipping', ({ counters }) => counters.still > 0)
    const from = events.length
    const first = await next('result', from)
    const later = await until('result', ({ frame }) => frame.capturedAtMs - first.frame.capturedAtMs > 2000, from)
    await stopAndWait()
    const inferred = later.counters.inferred - first.counters.inferred
    // Every half second in two to two and a half.
    expect(inferred).toBeGreaterThanOrEqual(4)
    expect(inferred).toBeLessThanOrEqual(7)
    expectExact(supervisor)
    const { still, skipped } = supervisor.counters
    expect(still).toBe(skipped)
    expect(still).toBeGreaterThan(30)
    expect(events.some(({ type }) => type === 'down')).toBe(false)
  })

  test('lets everything pass that moves', async () => {
    const source = { source: 'synthetic', ...size } as const
    const { supervisor, until } = await supervise({ source, tuning: gated })
    const first = await until('result', () => true)
    await until('result', ({ frame }) => frame.capturedAtMs - first.frame.capturedAtMs > 4500)
    expect(supervisor.counters.still).toBe(0)
  })

  test('a model that hangs is noticed behind it', async () => {
    const { supervisor, events, next, until } = await supervise(
      { source: await stillScene(), tuning: gated },
      { minHangMs: 1500 },
    )
    await until('skipping', ({ counters }) => counters.still > 0)
    process.kill(supervisor.pid ?? 0, 'SIGSTOP')
    expect((await next('down', events.length)).down.reason).toMatch(/no progress/)
  })
})

describe('pictures on request', () => {
  const any = { frameId: null, maxBytes: 100_000 }

  test('while it runs: of a frame with a result, and of the one that is named, if frames are kept', async () => {
    const { supervisor, events, next, until, stopAndWait } = await supervise()
    await next('result')
    const { id } = await expectPicture(await supervisor.requestPicture(any))
    await until('result', ({ frame }) => frame.id === id)
    supervisor.tune({ ...everyFrame, maxFps: 2, keepsPictures: true })
    const from = events.length
    const after = await next('result', events.indexOf(await next('skipping', from)))
    expect((await expectPicture(await supervisor.requestPicture({ ...any, frameId: after.frame.id }))).id).toBe(
      after.frame.id,
    )
    expect((await expectPicture(await supervisor.requestPicture(any))).id).toBeGreaterThanOrEqual(after.frame.id)
    await stopAndWait()
    expectExact(supervisor)
    expect(await supervisor.requestPicture(any)).toEqual({ reason: 'the vision process is not running' })
  })

  test('paused, and gated: of the next frame that comes', async () => {
    const { supervisor, next, until } = await supervise({ source: await stillScene(), tuning: paused })
    await next('ready')
    const shown = await expectPicture(await supervisor.requestPicture(any))
    expect(supervisor.counters.inferred).toBe(0)
    supervisor.tune({ ...everyFrame, motion: { sensitivity: 'medium', idle_s: 100 } })
    await until('skipping', ({ counters }) => counters.still > 0)
    const later = await expectPicture(await supervisor.requestPicture(any))
    expect(later.id).toBeGreaterThan(shown.id)
  })

  test('paused for long, it is not the frame that was kept before', async () => {
    const { supervisor, events, next } = await supervise({ tuning: { ...everyFrame, keepsPictures: true } })
    await next('result')
    supervisor.tune({ ...paused, keepsPictures: true })
    const first = await next('skipping')
    await next('skipping', events.indexOf(first) + 1)
    const last = events.findLast((event) => event.type === 'result')
    const shown = await expectPicture(await supervisor.requestPicture(any))
    expect(shown.id).toBeGreaterThan((last?.frame.id ?? 0) + 20)
    expect((await expectPicture(await supervisor.requestPicture({ ...any, frameId: 0 }))).id).toBe(last?.frame.id)
  })

  test('before the camera is there: of its first frame', async () => {
    const path = join(await tempFolder(), 'photos')
    const { supervisor, camera } = await supervise({ source: { source: 'replay', path, ...size } })
    await camera('absent')
    const early = supervisor.requestPicture(any)
    await cp(demoPhotos, path, { recursive: true })
    await expectPicture(await early)
  })

  test('without a camera four wait, a fifth does not, and 5 s later they hear why', async () => {
    const { supervisor, camera } = await supervise({ source: { source: 'replay', path: '/nowhere', ...size } })
    await camera('absent')
    const asked = Array.from({ length: 5 }, () => supervisor.requestPicture(any))
    expect(await asked[4]).toEqual({ reason: '4 other pictures have to be made first' })
    for (const picture of await Promise.all(asked.slice(0, 4)))
      expect(picture).toEqual({
        reason: expect.stringMatching(/^no frame for 5 s: the camera is absent, .*\/nowhere can't be opened/),
      })
  })

  test('in as many bytes as it may take, or none', async () => {
    const { supervisor, next } = await supervise({ tuning: { ...everyFrame, keepsPictures: true } })
    await next('result')
    const small = await supervisor.requestPicture({ frameId: null, maxBytes: 4000 })
    if ('reason' in small) throw new Error(small.reason)
    expect(small.jpeg.length).toBeLessThanOrEqual(4000)
    expect(small.frame).toMatchObject({ width: 320, height: 240 })
    expect(await supervisor.requestPicture({ frameId: null, maxBytes: 100 })).toEqual({
      reason: 'no JPEG of a frame of 320x240 fits into 100 bytes',
    })
  })

  test('asked of a process that is killed, or told to stop, they come to an end', async () => {
    const source = { source: 'replay', path: '/nowhere', ...size } as const
    const { supervisor, events, next, camera, stopAndWait } = await supervise({ source })
    await camera('absent')
    const first = supervisor.requestPicture(any)
    process.kill(supervisor.pid ?? 0, 'SIGKILL')
    expect(await first).toEqual({ reason: 'the vision process is down' })
    await next('ready', events.indexOf(await next('down')))
    const second = supervisor.requestPicture(any)
    await stopAndWait()
    expect(await second).toEqual({ reason: 'the vision process stops' })
  })
})
