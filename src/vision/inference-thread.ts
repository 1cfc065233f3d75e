import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import { SightdError } from '../core/errors.ts'
import type { Frame } from '../core/frame.ts'
import type { Inference, InferenceOptions, InferenceReply, InferenceRequest, LoadedModel } from './inference.ts'

/**
 * V8 sets this much address space aside for machine code, which counts as data (RLIMIT_DATA). The default is 512 MiB on
 * x64; what runs here has little code.
 */
const codeRangeSizeMb = 32

/** A thread of its own that loads one model and runs it on one frame at a time. A run can't be interrupted. */
export class InferenceThread {
  /** Resolves when the model is loaded; rejects with a SightdError when that, or a run, fails. */
  readonly ready: Promise<LoadedModel>
  /** Resolves when the thread ends after `close()`; rejects with a SightdError when it fails before. */
  readonly ended: Promise<void>
  readonly #worker: Worker
  #run: PromiseWithResolvers<Inference> | undefined
  #isClosing = false

  constructor(options: InferenceOptions) {
    this.#worker = new Worker(new URL(`./inference${extname(import.meta.url)}`, import.meta.url), {
      workerData: options,
      resourceLimits: { codeRangeSizeMb },
    })
    const ready = Promise.withResolvers<LoadedModel>()
    const ended = Promise.withResolvers<void>()
    this.ready = ready.promise
    this.ended = ended.promise
    // Whoever cares has its own handler; nobody has to.
    for (const promise of [this.ready, this.ended]) promise.catch(() => {})
    const fail = (error: SightdError) => {
      ready.reject(error)
      ended.reject(error)
      this.#run?.reject(error)
    }
    this.#worker.on('message', (reply: InferenceReply) => {
      if (reply.type === 'failed') fail(new SightdError(reply.code, reply.message))
      else if (reply.type === 'ready') ready.resolve({ model: reply.model, loadMs: reply.loadMs })
      else this.#run?.resolve(reply)
    })
    this.#worker.on('error', (error) =>
      fail(new SightdError('vision_failed', 'the inference thread died', { cause: error })),
    )
    this.#worker.on('exit', () => {
      if (this.#isClosing) ended.resolve()
      fail(new SightdError('vision_failed', 'the inference thread ended by itself'))
    })
  }

  /**
   * Takes a frame's buffer and gives it back with what was found, from `lowestScore` on (null: the model's own threshold).
   * Rejects with a SightdError, and the buffer is lost, when the thread fails. One run at a time.
   */
  infer({ geometry, data }: Pick<Frame, 'geometry' | 'data'>, lowestScore: number | null): Promise<Inference> {
    this.#run = Promise.withResolvers()
    const request: InferenceRequest = { type: 'frame', geometry, data, lowestScore }
    this.#worker.postMessage(request, [data.buffer])
    return this.#run.promise
  }

  /** Ends the thread once the run that is under way, and loading, are through. */
  close(): Promise<void> {
    this.#isClosing = true
    this.#worker.postMessage({ type: 'close' } satisfies InferenceRequest)
    return this.ended
  }
}
