import { setTimeout as delay } from 'node:timers/promises'
import { CameraError, type CameraState } from '../core/camera-state.ts'
import { describeError } from '../core/errors.ts'
import type { Frame } from '../core/frame.ts'
import type { SourceOptions } from '../core/source-options.ts'
import { backoffDelays } from '../lib/backoff.ts'
import type { BufferPool } from '../lib/buffer-pool.ts'
import { endRecorded, isCameraProgram, WedgedError } from './camera-process.ts'
import { type FrameSource, openSource, type SourceMemory } from './source.ts'

export type CameraNews = { readonly state: CameraState; readonly reason: string | null; readonly advice: string | null }

export type CameraOptions = {
  readonly source: SourceOptions
  readonly pool: BufferPool
  /** Takes the frame and its buffer. */
  readonly onFrame: (frame: Frame) => void
  readonly onNews: (news: CameraNews) => void
  /** How long to wait between tries, from the first to the longest wait. */
  readonly retry?: { readonly firstMs: number; readonly lastMs: number }
}

const retryBackoff = { firstMs: 500, lastMs: 30_000 }

/** A run of good frames this long shows that the trouble is over: the next retry is quick again. */
const goodRunMs = 60_000

/** Without a whole frame for this long, or for `stallFrames` frame times if that is longer, a camera has stalled. */
const stallMs = 2000
const stallFrames = 10

/** The first frame may take longer: a sensor starts up, a network camera sends a key frame only now and then. */
const firstFrameMs = 15_000

/** Opening lists the cameras, ends what an earlier process left, and probes; each has its own limit, and all take less. */
const openMs = 45_000

/** How often a stalled camera, and one that can't be ended, is looked at. */
const watchMs = 250
const wedgedPollMs = 5000

/** Reads a camera until `signal` aborts. Whatever happens to it is told, and it is tried again, for ever. */
export async function watchCamera(options: CameraOptions, signal: AbortSignal): Promise<void> {
  const memory: SourceMemory = {}
  const { retry = retryBackoff } = options
  let delays = backoffDelays(retry)
  while (!signal.aborted) {
    const startMs = performance.now()
    const error = await readUntilItFails(options, memory, signal)
    if (error === undefined) return
    options.onNews({ state: error.state, reason: describeError(error), advice: error.advice })
    if (error instanceof WedgedError) await gone(error.pid, signal)
    if (performance.now() - startMs > goodRunMs) delays = backoffDelays(retry)
    await delay(delays.next().value, undefined, { signal }).catch(() => {})
  }
}

/** One try; why it ended, or undefined when it was told to. */
async function readUntilItFails(
  { source, pool, onFrame, onNews }: CameraOptions,
  memory: SourceMemory,
  signal: AbortSignal,
): Promise<CameraError | undefined> {
  const stalled = new AbortController()
  const ended = AbortSignal.any([signal, stalled.signal])
  const limitMs = Math.max(stallMs, (stallFrames * 1000) / source.fps)
  let dueMs = performance.now() + openMs
  let isOnline = false
  onNews({ state: 'starting', reason: null, advice: null })
  const watch = setInterval(() => {
    if (performance.now() > dueMs) stalled.abort()
  }, watchMs)
  try {
    // One that the vision process before us could not end, or had no time to.
    await endRecorded()
    const camera: FrameSource = await openSource(source, memory)
    dueMs = performance.now() + firstFrameMs
    for await (const frame of camera.frames(pool, ended)) {
      dueMs = performance.now() + limitMs
      if (!isOnline) onNews({ state: 'online', reason: null, advice: null })
      isOnline = true
      onFrame(frame)
    }
  } catch (error) {
    if (error instanceof WedgedError) return error
    if (!ended.aborted)
      return error instanceof CameraError
        ? error
        : new CameraError('failed', describeError(error), null, { cause: error })
  } finally {
    clearInterval(watch)
  }
  if (signal.aborted) return undefined
  if (!stalled.signal.aborted) return new CameraError('failed', 'camera: its frames ended')
  const seconds = ((isOnline ? limitMs : firstFrameMs) / 1000).toFixed(0)
  return new CameraError(
    'stalled',
    `camera: no frame for ${seconds} s; starting it anew`,
    'if it keeps happening, check cable and power supply',
  )
}

/** Resolves when a process that could not be ended is gone after all. */
async function gone(pid: number, signal: AbortSignal): Promise<void> {
  while (!signal.aborted && isCameraProgram(pid)) await delay(wedgedPollMs, undefined, { signal }).catch(() => {})
}
