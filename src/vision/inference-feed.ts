import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import { SightdError } from '../core/errors.ts'
import type { Frame } from '../core/frame.ts'
import type { Finding } from '../core/prediction.ts'
import type { FrameCounters, StageTimings, Tuning, VisionModel } from '../core/vision-protocol.ts'
import type { BufferPool } from '../lib/buffer-pool.ts'
import { Admission } from './admission.ts'
import type { InferenceOptions, InferenceReply, InferenceRequest } from './inference.ts'

export type FeedResult = {
  readonly frame: {
    readonly id: number
    readonly width: number
    readonly height: number
    readonly capturedAtMs: number
    readonly ageMs: number
  }
  readonly finding: Finding
  readonly timingMs: StageTimings
}

export type FeedTuning = Omit<Tuning, 'keepsPictures'>

export type FeedOptions = {
  readonly options: InferenceOptions
  readonly pool: BufferPool
  readonly tuning: FeedTuning
  readonly onResult: (result: FeedResult) => void
  /** Sees a frame before its buffer goes back: just before its result is told, or as one that is left out and not stale. */
  readonly onSpent?: (frame: NumberedFrame, fate: 'inferred' | 'left out') => void
}

export type NumberedFrame = Frame & { readonly id: number; readonly readyMs: number }
type Flight = NumberedFrame & { readonly startedMs: number }

/**
 * Hands frames to the inference thread, one at a time and always the newest: a frame that is overtaken while the model
 * is busy is dropped and counted. Nothing is queued beyond the one that waits.
 *
 * Invariant: captured = inferred + dropped + skipped + pending, at any moment; a frame's buffer is in the pool, with the
 * source, waiting here, or with the thread.
 */
export class InferenceFeed {
  /** Resolves when the model is loaded. */
  readonly ready: Promise<{ model: VisionModel; loadMs: number }>
  /** Rejects when the thread fails; resolves when it ends after `close()`. */
  readonly ended: Promise<void>
  readonly #worker: Worker
  readonly #giveBack: BufferPool['give']
  readonly #onResult: FeedOptions['onResult']
  readonly #onSpent: FeedOptions['onSpent']
  readonly #admission: Admission
  #lowestScore: number | null
  #isReady = false
  #waiting: NumberedFrame | undefined
  #flight: Flight | undefined
  #captured = 0
  #inferred = 0
  #dropped = 0
  #skipped = 0
  #still = 0

  constructor({ options, pool, tuning, onResult, onSpent }: FeedOptions) {
    this.#giveBack = (buffer) => pool.give(buffer)
    this.#onResult = onResult
    this.#onSpent = onSpent
    this.#admission = new Admission(tuning)
    this.#lowestScore = tuning.lowestScore
    this.#worker = new Worker(new URL(`./inference${extname(import.meta.url)}`, import.meta.url), {
      workerData: options,
    })
    const ready = Promise.withResolvers<{ model: VisionModel; loadMs: number }>()
    const ended = Promise.withResolvers<void>()
    this.ready = ready.promise
    this.ended = ended.promise
    const fail = (error: unknown) => {
      ready.reject(error)
      ended.reject(error)
    }
    this.#worker.on('message', (reply: InferenceReply) => {
      if (reply.type === 'failed') return fail(new SightdError(reply.code, reply.message))
      if (reply.type === 'result') return this.#land(reply)
      this.#isReady = true
      ready.resolve({ model: reply.model, loadMs: reply.loadMs })
      this.#sendNext()
    })
    this.#worker.on('error', (error) =>
      fail(new SightdError('vision_failed', 'the inference thread died', { cause: error })),
    )
    this.#worker.on('exit', () => ended.resolve())
  }

  get counters(): FrameCounters {
    const pending = (this.#waiting === undefined ? 0 : 1) + (this.#flight === undefined ? 0 : 1)
    return {
      captured: this.#captured,
      inferred: this.#inferred,
      dropped: this.#dropped,
      skipped: this.#skipped,
      still: this.#still,
      pending,
    }
  }

  /** Holds from the next frame on; those that are with the model or next in line stay there. */
  tune(tuning: FeedTuning): void {
    this.#admission.tune(tuning, performance.now())
    this.#lowestScore = tuning.lowestScore
  }

  /** Takes a frame and its buffer; false when it is skipped. */
  offer(frame: Frame): boolean {
    const readyMs = performance.now()
    const numbered = { ...frame, id: this.#captured++, readyMs }
    const verdict = this.#admission.judge(frame, readyMs)
    if (verdict !== 'infer') {
      this.#skipped++
      if (verdict === 'still') this.#still++
      if (!frame.isStale) this.#onSpent?.(numbered, 'left out')
      this.#giveBack(frame.data)
      return false
    }
    this.#drop()
    this.#waiting = numbered
    this.#sendNext()
    return true
  }

  /** Lets the frame in flight come back, drops the one that waits, and ends the thread. */
  async close(): Promise<void> {
    this.#drop()
    this.#worker.postMessage({ type: 'close' } satisfies InferenceRequest)
    await this.ended
  }

  #drop(): void {
    if (this.#waiting === undefined) return
    this.#dropped++
    this.#giveBack(this.#waiting.data)
    this.#waiting = undefined
  }

  #sendNext(): void {
    if (!this.#isReady || this.#flight !== undefined || this.#waiting === undefined) return
    this.#flight = { ...this.#waiting, startedMs: performance.now() }
    this.#waiting = undefined
    const { geometry, data } = this.#flight
    const request: InferenceRequest = { type: 'frame', geometry, data, lowestScore: this.#lowestScore }
    this.#worker.postMessage(request, [data.buffer])
  }

  #land({ finding, timingMs, data }: Extract<InferenceReply, { type: 'result' }>): void {
    const flight = this.#flight
    if (flight === undefined) throw new Error('a result without a frame')
    this.#flight = undefined
    this.#inferred++
    this.#onSpent?.({ ...flight, data }, 'inferred')
    this.#giveBack(data)
    this.#sendNext()
    const { id, capturedAtMs, geometry, readyMs, startedMs } = flight
    const { width, height } = geometry
    const frame = { id, width, height, capturedAtMs, ageMs: startedMs - readyMs }
    this.#onResult({ frame, finding, timingMs: { ...timingMs, total: performance.now() - readyMs } })
  }
}
