import type { ModelFailure, ModelSource, SelfTestOutcome } from '../../src/core/model-trial.ts'
import type { ModelStage } from '../../src/ota/model-stage.ts'
import type { Updater } from '../../src/ota/updater.ts'

export type VisionOptions = {
  readonly updater: () => Updater
  /** How long it takes for a frame, or a new start. */
  readonly tick: () => Promise<unknown>
  /** How a model fails while it is in charge; undefined for one that works. */
  readonly failureOf: (source: ModelSource) => ModelFailure | undefined
  /** Each time that a model is loaded, and when one that was beside takes over. */
  readonly onLoad: (source: ModelSource, place: LoadPlace) => void
}

/** In a process of its own, beside the model in charge, or in charge. */
export type LoadPlace = 'self_test' | 'spare' | 'charge'

/** The vision side without pictures: a process that goes down comes again. */
export class SimulatedVision implements ModelStage {
  readonly #options: VisionOptions
  #active: ModelSource | undefined
  #spare: ModelSource | undefined
  #isEnding = false

  constructor(options: VisionOptions) {
    this.#options = options
  }

  get isServing(): boolean {
    return this.#active !== undefined
  }

  get active(): ModelSource | undefined {
    return this.#active
  }

  async selfTest(source: ModelSource): Promise<SelfTestOutcome> {
    this.#options.onLoad(source, 'self_test')
    return { passed: true, loadMs: 1, inferenceMs: 1, peakMb: 1 }
  }

  async loadCandidate(source: ModelSource): Promise<void> {
    if (this.#active === undefined) throw new Error('no process')
    this.#options.onLoad(source, 'spare')
    this.#spare = source
  }

  async swap(): Promise<void> {
    if (this.#spare === undefined) throw new Error('no model beside the active one')
    const spare = this.#spare
    this.#options.onLoad(spare, 'charge')
    this.#spare = this.#active
    this.#active = spare
  }

  releaseSpare(): void {
    this.#spare = undefined
  }

  restartVision(): void {
    this.#isEnding = true
  }

  /** Works until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#isEnding = false
      const source = await this.#options.updater().nextModel()
      if (signal.aborted) return
      // Told to end before it has begun: the question is asked again.
      if (this.#isEnding) continue
      this.#options.onLoad(source, 'charge')
      this.#active = source
      await this.#serve(signal)
      this.#active = undefined
      this.#spare = undefined
      await this.#options.tick()
    }
  }

  async #serve(signal: AbortSignal): Promise<void> {
    const updater = this.#options.updater()
    for (;;) {
      await this.#options.tick()
      const active = this.#active
      if (signal.aborted || this.#isEnding || active === undefined) return
      const failure = this.#options.failureOf(active)
      if (failure !== undefined) {
        this.#active = undefined
        updater.noteDown(failure.message, failure)
        return
      }
      updater.noteResult({ inferenceMs: 1, label: 'dark' })
      if (this.#spare !== undefined) updater.noteShadow({ agreement: 1, activeMs: 1, candidateMs: 1 })
    }
  }
}
