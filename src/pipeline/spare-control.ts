import { SightdError } from '../core/errors.ts'
import type { ModelFailure, ModelSource } from '../core/model-trial.ts'
import type { CandidateReport, SpareReport, VisionCommand, VisionModel } from '../core/vision-protocol.ts'
import { faultOfFailure } from './model-fault.ts'
import { PendingAnswer } from './pending-answer.ts'

/** How long loading a candidate, and a swap, may take. */
const limitMs = 60_000

export type SpareOptions = {
  readonly send: (command: VisionCommand) => void
  /** The process has not done in time what it was told, and can't be interrupted: why it has to go, in words. */
  readonly onHang: (reason: string) => void
  /** A second model that had been loaded has failed and is gone; the process goes on. */
  readonly onCandidateDown: (failure: ModelFailure) => void
}

/** The second model of the vision process, as the control process knows it. Each request ends: answered, late, or with the process. */
export class SpareControl {
  readonly #options: SpareOptions
  readonly #loading = new PendingAnswer<VisionModel>()
  readonly #swapping = new PendingAnswer<VisionModel>()
  #candidateId = 0
  #isLoaded = false

  constructor(options: SpareOptions) {
    this.#options = options
  }

  /** Rejects with a SightdError: `model_invalid` when the model's files are to blame, else `vision_failed`. */
  async load(model: ModelSource, threads: number): Promise<VisionModel> {
    if (this.#isLoaded || this.#loading.isOpen)
      throw new SightdError('vision_failed', 'a second model is there already')
    const loaded = this.#loading.open(limitMs, () => this.#hang('loading the candidate'))
    this.#options.send({ type: 'candidate', candidateId: ++this.#candidateId, model, threads })
    return loaded
  }

  /** Rejects with a SightdError `vision_failed`. */
  async swap(): Promise<VisionModel> {
    if (!this.#isLoaded) throw new SightdError('vision_failed', 'there is no second model to swap to')
    if (this.#swapping.isOpen) throw new SightdError('vision_failed', 'the models are being swapped already')
    const swapped = this.#swapping.open(limitMs, () => this.#hang('swapping the models'))
    this.#options.send({ type: 'swap' })
    return swapped
  }

  release(): void {
    this.#options.send({ type: 'release' })
    this.end('the second model was let go')
  }

  /** Takes a report; false for one on a model that was let go meanwhile, which is no news. */
  note(report: SpareReport): boolean {
    switch (report.type) {
      case 'candidate':
        if (report.candidateId !== this.#candidateId || !(this.#isLoaded || this.#loading.isOpen)) return false
        if (report.state === 'failed') this.#fail(report)
        else {
          this.#isLoaded = true
          this.#loading.resolve(report.model)
        }
        return true
      case 'swapped':
        this.#swapping.resolve(report.model)
        return true
      case 'shadow':
        return this.#isLoaded
    }
  }

  /** The second model, or the process with it, is gone. */
  end(reason: string): void {
    const error = new SightdError('vision_failed', reason)
    this.#isLoaded = false
    this.#loading.reject(error)
    this.#swapping.reject(error)
  }

  #fail({ code, message }: Extract<CandidateReport, { state: 'failed' }>): void {
    const fault = faultOfFailure(code, message)
    const wasLoaded = this.#isLoaded
    this.#loading.reject(new SightdError(fault === 'model_invalid' ? 'model_invalid' : 'vision_failed', message))
    this.end(message)
    if (wasLoaded) this.#options.onCandidateDown({ fault, message })
  }

  #hang(what: string): void {
    const reason = `${what} took more than ${limitMs / 1000} s, killed`
    this.end(reason)
    this.#options.onHang(reason)
  }
}
