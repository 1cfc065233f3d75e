import { readdirSync, readlinkSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { frameBytes, paddedGeometry } from '../../src/core/frame.ts'
import { bundledModel } from '../../src/daemon.ts'
import { BufferPool } from '../../src/lib/buffer-pool.ts'
import { type CameraNews, watchCamera } from '../../src/vision/camera.ts'
import { InferenceFeed } from '../../src/vision/inference-feed.ts'
import { type Fault, piCamera, plugInCamera } from '../support/fake-camera.ts'
import { listProcesses } from '../support/processes.ts'
import { tempFolder } from '../support/temp-folder.ts'

const home = process.cwd()
afterAll(() => process.chdir(home))

/** Each with the states that it may show itself as, and how often it is done. */
const plan: readonly { readonly fault: Fault; readonly shows: readonly string[]; readonly times: number }[] = [
  { fault: 'killed', shows: ['failed'], times: 24 },
  { fault: { kind: 'exit', code: 255, afterFrames: 3 }, shows: ['failed'], times: 16 },
  { fault: { kind: 'crash', afterFrames: 2 }, shows: ['failed'], times: 12 },
  { fault: { kind: 'torn', afterFrames: 4 }, shows: ['failed'], times: 8 },
  { fault: { kind: 'wrongSize' }, shows: ['failed'], times: 8 },
  { fault: { kind: 'chatty', afterFrames: 2 }, shows: ['failed', 'stalled'], times: 6 },
  { fault: 'busy', shows: ['busy'], times: 8 },
  { fault: 'absent', shows: ['absent'], times: 8 },
  { fault: 'denied', shows: ['denied'], times: 4 },
  { fault: { kind: 'stall', afterFrames: 3 }, shows: ['stalled'], times: 3 },
  { fault: { kind: 'timeout', afterFrames: 3 }, shows: ['stalled'], times: 3 },
]

test('100 faults of every kind in a row: 100 recoveries, exact counters, nothing left behind', {
  timeout: 600_000,
}, async () => {
  const camera = await plugInCamera()
  const folder = join(await tempFolder(), '1')
  await mkdir(folder)
  process.chdir(folder)
  const pool = new BufferPool(3, frameBytes(paddedGeometry(320, 240, 128)))
  const events: (CameraNews | 'result')[] = []
  let wake = () => {}
  const note = (event: (typeof events)[number]) => {
    events.push(event)
    wake()
  }
  const next = () =>
    new Promise<void>((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`nothing for 30 s after ${JSON.stringify(events.at(-1))}`)),
        30_000,
      )
      wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  const until = async (fits: (event: (typeof events)[number]) => boolean, from: number) => {
    for (let at = from; ; at++) {
      while (at >= events.length) await next()
      const event = events[at]
      if (event !== undefined && fits(event)) return at + 1
    }
  }
  const isState =
    (...states: readonly string[]) =>
    (event: CameraNews | 'result') =>
      event !== 'result' && states.includes(event.state)
  const isResult = (event: CameraNews | 'result') => event === 'result'
  const inference = new InferenceFeed({
    options: { model: { dir: bundledModel, manifestSha256: null }, threads: 1 },
    pool,
    tuning: { lowestScore: null, maxFps: null, isPaused: false, motion: null },
    onResult: () => note('result'),
  })
  const stop = new AbortController()
  const onFrame = inference.offer.bind(inference)
  const ended = watchCamera(
    { source: piCamera, pool, onFrame, onNews: note, retry: { firstMs: 20, lastMs: 200 } },
    stop.signal,
  )

  await until(isResult, await until(isState('online'), 0))
  const before = { files: openFiles(), mb: process.memoryUsage.rss() / 1e6 }
  const faults = plan.flatMap(({ times, ...one }) => Array.from({ length: times }, () => one))
  expect(faults).toHaveLength(100)
  let recoveries = 0
  // Spread out, the same way every time: 37 and 100 have no common factor.
  for (let i = 0; i < faults.length; i++) {
    const { fault, shows } = faults[(i * 37) % faults.length] ?? { fault: 'none', shows: [] }
    const from = events.length
    if (fault !== 'killed') await camera.setWorld({ fault })
    for (const pid of cameraPids(camera.folder)) process.kill(pid, 'SIGKILL')
    const down = await until(isState('failed'), from)
    const shown = fault === 'killed' ? down : await until(isState(...shows), down)
    await camera.setWorld({})
    await until(isResult, await until(isState('online'), shown))
    recoveries++
  }
  const after = { files: openFiles(), mb: process.memoryUsage.rss() / 1e6 }
  stop.abort()
  await ended
  await inference.close()

  expect(recoveries).toBe(100)
  const { captured, inferred, dropped, skipped, pending } = inference.counters
  expect(captured).toBe(inferred + dropped + skipped)
  expect(pending).toBe(0)
  expect(cameraPids(camera.folder)).toEqual([])
  expect(after.files).toBe(before.files)
  expect(readdirSync(folder)).toEqual([])
  // Generous: the heap of a test runner breathes. A leaked frame pool per fault would be 35 MB.
  expect(after.mb - before.mb).toBeLessThan(60)
  const memory = `memory ${before.mb.toFixed(0)} -> ${after.mb.toFixed(0)} MB`
  console.info(
    `100 faults: ${recoveries} recoveries, ${captured} frames, ${memory}, open files ${before.files} -> ${after.files}`,
  )
})

/** The camera programs of that folder; other tests may have theirs at the same time. */
function cameraPids(folder: string): number[] {
  return listProcesses()
    .filter(({ command }) => command.includes(` ${folder}/rpicam-vid `))
    .map(({ pid }) => pid)
}

/** Open descriptors of this process that are files, pipes or FIFOs; the runner's sockets come and go. */
function openFiles(): number {
  const targets = readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`)
    } catch {
      return ''
    }
  })
  return targets.filter((target) => /camera|fifo|probe|pipe:/.test(target)).length
}
