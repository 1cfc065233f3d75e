import { type Frame, frameBytes } from '../core/frame.ts'
import type { ShadowSample } from '../core/model-trial.ts'
import { atLeast } from '../core/prediction.ts'
import type { VisionModel } from '../core/vision-protocol.ts'
import type { Inference } from './inference.ts'
import type { InferenceThread } from './inference-thread.ts'
import { agreementOf, ShadowPace } from './shadow.ts'

/** A frame and what the model in charge saw in it. */
export type Seen = Pick<Frame, 'geometry' | 'data'> & Pick<Inference, 'finding' | 'timingMs'>

/** The second model: a candidate that now and then sees what the model in charge has seen, or the one of before, which rests. */
export class SpareModel {
  readonly thread: InferenceThread
  readonly candidateId: number
  /** Undefined until it is loaded. */
  model: VisionModel | undefined
  readonly #isCandidate: boolean
  readonly #pace = new ShadowPace()
  /** Not one of the pool's, so that none of those is lost with the thread. */
  #buffer = new Uint8Array(0)

  constructor(thread: InferenceThread, candidateId: number, restingModel?: VisionModel) {
    this.thread = thread
    this.candidateId = candidateId
    this.model = restingModel
    this.#isCandidate = restingModel === undefined
  }

  /** Whether the time for a look has come. */
  isDue(nowMs: number): boolean {
    return this.#isCandidate && this.model !== undefined && this.#pace.isDue(nowMs)
  }

  /** Looks at a copy of the frame, made before this returns. Rejects with a SightdError when the thread fails. */
  async compare(seen: Seen, active: VisionModel, lowestScore: number | null): Promise<ShadowSample> {
    const { geometry, data } = seen
    const startMs = performance.now()
    const bytes = frameBytes(geometry)
    if (this.#buffer.length !== bytes) this.#buffer = new Uint8Array(bytes)
    this.#buffer.set(data.subarray(0, bytes))
    // A threshold in the configuration that is above a model's own asks both models for more.
    const from = (model: VisionModel | undefined) => Math.max(model?.threshold ?? 0, lowestScore ?? 0)
    const own = await this.thread.infer({ geometry, data: this.#buffer }, from(this.model))
    this.#buffer = own.data
    const nowMs = performance.now()
    this.#pace.note(nowMs - startMs, nowMs)
    return {
      agreement: agreementOf(atLeast(seen.finding, from(active)), own.finding),
      activeMs: seen.timingMs.inference,
      candidateMs: own.timingMs.inference,
    }
  }
}
