import type { Frame } from '../core/frame.ts'
import type { Finding } from '../core/prediction.ts'
import type {
  CandidateRequest,
  FrameCounters,
  SpareReport,
  StageTimings,
  Tuning,
  VisionModel,
} from '../core/vision-protocol.ts'
import type { BufferPool } from '../lib/buffer-pool.ts'
import { Admission } from './admission.ts'
import { failureOf } from './failure.ts'
import type { Inference, InferenceOptions, LoadedModel } from './inference.ts'
import { InferenceThread } from './inference-thread.ts'
import { type Seen, SpareModel } from './spare-model.ts'

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
  /** News of the second model; that it is in charge comes before the first result that is its own. */
  readonly onSpare?: (report: SpareReport) => void
}

export type NumberedFrame = Frame & { readonly id: number; readonly readyMs: number }
type Flight = NumberedFrame & { readonly startedMs: number }

/**
 * Hands frames to the inference thread of the model in charge, one at a time and always the newest: a frame that is
 * overtaken while the model is busy is dropped and counted. Nothing is queued beyond the one that waits. A second model may
 * be there; only one of the two runs at a time, so that neither slows the other.
 *
 * Invariant: captured = inferred + dropped + skipped + pending, at any moment; a frame's buffer is in the pool, with the
 * source, waiting here, or with the thread. What the second model is shown is a copy, and counts nowhere.
 */
export class InferenceFeed {
  /** Resolves when the first model is loaded. */
  readonly ready: Promise<LoadedModel>
  /** Rejects when the thread of the model in charge fails; resolves after `close()`. */
  readonly ended: Promise<void>
  readonly #end = Promise.withResolvers<void>()
  readonly #giveBack: BufferPool['give']
  readonly #onResult: FeedOptions['onResult']
  readonly #onSpent: FeedOptions['onSpent']
  readonly #onSpare: FeedOptions['onSpare']
  readonly #admission: Admission
  #thread: InferenceThread
  #model: VisionModel | undefined
  #spare: SpareModel | undefined
  #isSwapWanted = false
  #isComparing = false
  #lowestScore: number | null
  #waiting: NumberedFrame | undefined
  #flight: Flight | undefined
  #captured = 0
  #inferred = 0
  #dropped = 0
  #skipped = 0
  #still = 0

  constructor({ options, pool, tuning, onResult, onSpent, onSpare }: FeedOptions) {
    this.#giveBack = (buffer) => pool.give(buffer)
    this.#onResult = onResult
    this.#onSpent = onSpent
    this.#onSpare = onSpare
    this.#admission = new Admission(tuning)
    this.#lowestScore = tuning.lowestScore
    this.#thread = this.#start(options)
    this.ended = this.#end.promise
    this.ready = this.#thread.ready.then((loaded) => {
      this.#model = loaded.model
      this.#sendNext()
      return loaded
    })
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

  /** Whether something is under way or next in line that has to come to an end. */
  get isBusy(): boolean {
    return this.#waiting !== undefined || this.#flight !== undefined || this.#isComparing
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

  /** Loads a second model beside the one in charge; one that is there already goes. A report tells how it went. */
  loadCandidate({ candidateId, model, threads }: Omit<CandidateRequest, 'type'>): void {
    this.release()
    const spare = new SpareModel(this.#start({ model, threads }), candidateId)
    this.#spare = spare
    spare.thread.ready.then(
      ({ model, loadMs }) => {
        if (this.#spare !== spare) return
        spare.model = model
        this.#onSpare?.({ type: 'candidate', state: 'ready', candidateId, model, loadMs })
      },
      () => {},
    )
  }

  /**
   * The second model takes over as soon as nothing is under way: the frame that waits is its first. The first model stays
   * loaded, as the second. Without a second model nothing happens.
   */
  swap(): void {
    this.#isSwapWanted = true
    this.#tellSwap(this.#exchange())
    this.#sendNext()
  }

  /** Lets the second model go, once it is through with what it does. */
  release(): void {
    this.#spare?.thread.close().catch(() => {})
    this.#spare = undefined
  }

  /** Lets the frame in flight come back, drops the one that waits, and ends the threads. */
  async close(): Promise<void> {
    this.#drop()
    const spare = this.#spare?.thread
    this.release()
    await Promise.all([this.#thread.close(), spare?.ended.catch(() => {})])
    this.#end.resolve()
  }

  #start(options: InferenceOptions): InferenceThread {
    const thread = new InferenceThread(options)
    thread.ended.catch((error: unknown) => {
      if (thread === this.#thread) return this.#end.reject(error)
      if (thread !== this.#spare?.thread) return
      const { candidateId } = this.#spare
      this.#spare = undefined
      this.#onSpare?.({ type: 'candidate', state: 'failed', candidateId, ...failureOf(error) })
    })
    return thread
  }

  #drop(): void {
    if (this.#waiting === undefined) return
    this.#dropped++
    this.#giveBack(this.#waiting.data)
    this.#waiting = undefined
  }

  #sendNext(): void {
    if (this.#model === undefined || this.#waiting === undefined) return
    if (this.#flight !== undefined || this.#isComparing) return
    const flight = { ...this.#waiting, startedMs: performance.now() }
    this.#flight = flight
    this.#waiting = undefined
    this.#thread.infer(flight, this.#lowestScore).then(
      (inference) => this.#land(flight, inference),
      // That the thread has failed is told by its end.
      () => {},
    )
  }

  #land(flight: Flight, { finding, timingMs, data }: Inference): void {
    this.#flight = undefined
    this.#inferred++
    this.#onSpent?.({ ...flight, data }, 'inferred')
    this.#compare({ geometry: flight.geometry, data, finding, timingMs })
    this.#giveBack(data)
    const swappedTo = this.#exchange()
    this.#sendNext()
    const { id, capturedAtMs, geometry, readyMs, startedMs } = flight
    const { width, height } = geometry
    const frame = { id, width, height, capturedAtMs, ageMs: startedMs - readyMs }
    this.#onResult({ frame, finding, timingMs: { ...timingMs, total: performance.now() - readyMs } })
    this.#tellSwap(swappedTo)
  }

  /** Shows the candidate what was just seen, if it is its turn. Until it is through, nothing else runs. */
  #compare(seen: Seen): void {
    const spare = this.#spare
    if (spare === undefined || this.#model === undefined || this.#isSwapWanted || !spare.isDue(performance.now()))
      return
    this.#isComparing = true
    const goOn = () => {
      this.#isComparing = false
      this.#tellSwap(this.#exchange())
      this.#sendNext()
    }
    spare.compare(seen, this.#model, this.#lowestScore).then((sample) => {
      if (this.#spare === spare) this.#onSpare?.({ type: 'shadow', ...sample })
      goOn()
    }, goOn)
  }

  /** Carries out the swap that is wanted, once it can be; gives the model that took over. */
  #exchange(): VisionModel | undefined {
    if (!this.#isSwapWanted || this.#flight !== undefined || this.#isComparing) return undefined
    this.#isSwapWanted = false
    const spare = this.#spare
    if (spare?.model === undefined || this.#model === undefined) return undefined
    this.#spare = new SpareModel(this.#thread, spare.candidateId, this.#model)
    this.#thread = spare.thread
    this.#model = spare.model
    return this.#model
  }

  #tellSwap(model: VisionModel | undefined): void {
    if (model !== undefined) this.#onSpare?.({ type: 'swapped', model })
  }
}
