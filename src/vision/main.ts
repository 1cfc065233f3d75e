import { dirname } from 'node:path'
import * as v from 'valibot'
import { describeError, SightdError } from '../core/errors.ts'
import { type Frame, frameBytes, paddedGeometry } from '../core/frame.ts'
import {
  type FrameCounters,
  type VisionReport,
  type VisionStart,
  visionCommandSchema,
} from '../core/vision-protocol.ts'
import { BufferPool } from '../lib/buffer-pool.ts'
import { type CameraNews, watchCamera } from './camera.ts'
import { InferenceFeed } from './inference-feed.ts'
import { endLeftovers } from './leftovers.ts'

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
const started = Promise.withResolvers<VisionStart>()
let unsent = 0

process.on('message', (message) => {
  const command = v.parse(visionCommandSchema, message)
  if (command.type === 'start') started.resolve(command)
  else stop.abort()
})
// Nobody is left to read results or to stop this process: the whole group goes, a camera child included.
process.on('disconnect', () => process.kill(-process.pid, 'SIGKILL'))

try {
  await conclude({ type: 'stopped', counters: await watch(await started.promise, stop.signal) })
} catch (error) {
  const code = error instanceof SightdError && error.code === 'model_invalid' ? 'model_invalid' : 'vision_failed'
  await conclude({ type: 'failed', code, message: describeError(error) })
}
/** Runs until `signal` aborts; throws when the inference thread fails. */
async function watch(
  { source, maxFps, modelDir, threads, threshold }: VisionStart,
  signal: AbortSignal,
): Promise<FrameCounters> {
  await endLeftovers(dirname(process.cwd())).catch((error: unknown) => {
    report({ type: 'camera', state: 'wedged', reason: describeError(error), advice: null })
  })
  const failed = new AbortController()
  const pool = new BufferPool(
    buffersInCirculation,
    frameBytes(paddedGeometry(source.width, source.height, widestPadding)),
  )
  const inference = new InferenceFeed({
    options: { modelDir, threads, threshold },
    pool,
    maxFps,
    onResult: (result) => {
      if (unsent < maxUnsent) report({ type: 'result', ...result, counters: inference.counters })
    },
  })
  inference.ended.catch((error: unknown) => failed.abort(error))
  inference.ready.then((ready) => report({ type: 'ready', ...ready })).catch(() => {})
  let skipReportDueMs = 0
  const onFrame = (frame: Frame) => {
    // A model that hangs must not hide behind frames that are skipped meanwhile.
    if (inference.offer(frame) || inference.counters.pending > 0 || performance.now() < skipReportDueMs) return
    skipReportDueMs = performance.now() + skipReportMs
    report({ type: 'skipping', counters: inference.counters })
  }
  const onNews = (news: CameraNews) => report({ type: 'camera', ...news })
  await watchCamera({ source, pool, onFrame, onNews }, AbortSignal.any([signal, failed.signal]))
  failed.signal.throwIfAborted()
  await inference.close()
  return inference.counters
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
