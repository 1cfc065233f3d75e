import { setTimeout as delay } from 'node:timers/promises'
import * as v from 'valibot'
import { describeError, SightdError } from '../core/errors.ts'
import { frameBytes, paddedGeometry } from '../core/frame.ts'
import type { SourceOptions } from '../core/source-options.ts'
import {
  type FrameCounters,
  type VisionReport,
  type VisionStart,
  visionCommandSchema,
} from '../core/vision-protocol.ts'
import { backoffDelays } from '../lib/backoff.ts'
import { BufferPool } from '../lib/buffer-pool.ts'
import { InferenceFeed } from './inference-feed.ts'
import { openSource } from './source.ts'

/**
 * The vision process: this thread drains the source, the inference thread runs the model. It is told what to do by the
 * control process, reports to it, and ends with it. It leads a process group of its own.
 */

/** One buffer being filled, one waiting, one with the model. */
const buffersInCirculation = 3

/** While frames are skipped, that fact is reported this often. */
const skipReportMs = 1000

/** Results that the control process has not taken yet; beyond them results are left out, which `inferred` still shows. */
const maxUnsent = 100

const sourceBackoff = { firstMs: 500, lastMs: 30_000 }

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
  const failed = new AbortController()
  const pool = new BufferPool(buffersInCirculation, frameBytes(paddedGeometry(source.width, source.height)))
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
  await drain(source, pool, inference, AbortSignal.any([signal, failed.signal]))
  failed.signal.throwIfAborted()
  await inference.close()
  return inference.counters
}

/** Reads the source until `signal` aborts; a source that fails is reported and tried again, for ever. */
async function drain(
  options: SourceOptions,
  pool: BufferPool,
  inference: InferenceFeed,
  signal: AbortSignal,
): Promise<void> {
  let delays = backoffDelays(sourceBackoff)
  let skipReportDueMs = 0
  while (!signal.aborted) {
    report({ type: 'camera', state: 'starting', reason: null })
    let isOnline = false
    try {
      const source = await openSource(options)
      for await (const frame of source.frames(pool, signal)) {
        if (!isOnline) report({ type: 'camera', state: 'online', reason: null })
        isOnline = true
        // A model that hangs must not hide behind frames that are skipped meanwhile.
        if (inference.offer(frame) || inference.counters.pending > 0 || performance.now() < skipReportDueMs) continue
        skipReportDueMs = performance.now() + skipReportMs
        report({ type: 'skipping', counters: inference.counters })
      }
    } catch (error) {
      report({ type: 'camera', state: 'failed', reason: describeError(error) })
      if (isOnline) delays = backoffDelays(sourceBackoff)
      await delay(delays.next().value, undefined, { signal }).catch(() => {})
    }
  }
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
