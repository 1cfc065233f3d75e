import { dirname } from 'node:path'
import * as v from 'valibot'
import { describeError } from '../core/errors.ts'
import { type Frame, frameBytes, paddedGeometry } from '../core/frame.ts'
import {
  type FrameCounters,
  type VisionReport,
  type VisionStart,
  visionCommandSchema,
} from '../core/vision-protocol.ts'
import { BufferPool } from '../lib/buffer-pool.ts'
import { type CameraNews, watchCamera } from './camera.ts'
import { failureOf } from './failure.ts'
import { InferenceFeed } from './inference-feed.ts'
import { endLeftovers } from './leftovers.ts'
import { PictureDesk } from './picture-desk.ts'

/**
 * The vision process: this thread drains the source, the inference thread runs the model. It is told what to do by the
 * control process, reports to it, and ends with it. It leads a process group of its own.
 */

/** One buffer being filled, one waiting, one with the model. */
const buffersInCirculation = 3

/** Rows on a Pi 5 are padded to this (libpisp); no board pads further. */
const widestPadding = 128

/** While frames are skipped, that fact is reported this often. */
const skipReportMs = 1000

/** Results that the control process has not taken yet; beyond them results are left out, which `inferred` still shows. */
const maxUnsent = 100

const stop = new AbortController()
const started = Promise.withResolvers<Parts>()
let parts: Parts | undefined
let unsent = 0

process.on('message', (message) => {
  const command = v.parse(visionCommandSchema, message)
  switch (command.type) {
    case 'start':
      // Before anything is waited for, so that what is told next finds it.
      parts = assemble(command)
      return started.resolve(parts)
    case 'tune':
      parts?.desk.keep(command.tuning.keepsPictures)
      return parts?.feed.tune(command.tuning)
    case 'picture':
      return parts?.desk.ask(command)
    case 'candidate':
      return parts?.feed.loadCandidate(command)
    case 'swap':
      return parts?.feed.swap()
    case 'release':
      return parts?.feed.release()
    case 'stop':
      return stop.abort()
  }
})
// Nobody is left to read results or to stop this process: the whole group goes, a camera child included.
process.on('disconnect', () => process.kill(-process.pid, 'SIGKILL'))

try {
  await conclude({ type: 'stopped', counters: await watch(await started.promise, stop.signal) })
} catch (error) {
  // Its thread would keep the process here.
  parts?.feed.release()
  await conclude({ type: 'failed', ...failureOf(error) })
}

type Parts = ReturnType<typeof assemble>

function assemble({ source, model, threads, tuning }: VisionStart) {
  let cameraNews: CameraNews = { state: 'starting', reason: null, advice: null }
  const onNews = (news: CameraNews) => {
    // Trouble stays the answer while the camera is tried again.
    if (news.state !== 'starting') cameraNews = news
    report({ type: 'camera', ...news })
  }
  const desk = new PictureDesk({
    onAnswer: report,
    explainNoFrame: () =>
      cameraNews.state === 'online'
        ? 'the model is not through with any'
        : `the camera is ${cameraNews.state}${cameraNews.reason === null ? '' : `, ${cameraNews.reason}`}`,
  })
  desk.keep(tuning.keepsPictures)
  const pool = new BufferPool(
    buffersInCirculation,
    frameBytes(paddedGeometry(source.width, source.height, widestPadding)),
  )
  const feed = new InferenceFeed({
    options: { model, threads },
    pool,
    tuning,
    onResult: (result) => {
      if (unsent < maxUnsent) report({ type: 'result', ...result, counters: feed.counters })
    },
    onSpent: (frame, fate) => desk.note(frame, fate),
    onSpare: report,
  })
  return { source, pool, feed, desk, onNews }
}

/** Runs until `signal` aborts; throws when the inference thread fails. */
async function watch({ source, pool, feed, desk, onNews }: Parts, signal: AbortSignal): Promise<FrameCounters> {
  const failed = new AbortController()
  feed.ended.catch((error: unknown) => failed.abort(error))
  feed.ready.then((ready) => report({ type: 'ready', ...ready })).catch(() => {})
  await endLeftovers(dirname(process.cwd())).catch((error: unknown) => {
    onNews({ state: 'wedged', reason: describeError(error), advice: null })
  })
  let skipReportDueMs = 0
  const onFrame = (frame: Frame) => {
    // A model that hangs must not hide behind frames that are skipped meanwhile.
    if (feed.offer(frame) || feed.isBusy || performance.now() < skipReportDueMs) return
    skipReportDueMs = performance.now() + skipReportMs
    report({ type: 'skipping', counters: feed.counters })
  }
  await watchCamera({ source, pool, onFrame, onNews }, AbortSignal.any([signal, failed.signal]))
  desk.close()
  failed.signal.throwIfAborted()
  await feed.close()
  return feed.counters
}

/** `onSent` is called when the report is on its way, or when there is nobody left to send it to. */
function report(message: VisionReport, onSent = () => {}): void {
  unsent++
  process.send?.(message, undefined, undefined, () => {
    unsent--
    onSent()
  })
}

/** The last word, and the end of the process. */
async function conclude(message: VisionReport): Promise<void> {
  await new Promise<void>((resolve) => report(message, resolve))
  process.removeAllListeners('disconnect')
  process.disconnect()
}
