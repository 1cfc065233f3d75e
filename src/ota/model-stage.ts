import type { ModelSource, SelfTestOutcome } from '../core/model-trial.ts'

/** What the updater asks of the vision side. */
export type ModelStage = {
  /** Whether the active model is loaded and works; the camera may be away. */
  readonly isServing: boolean
  /** Loads a model and runs its golden samples in a process of its own. */
  selfTest(model: ModelSource, signal: AbortSignal): Promise<SelfTestOutcome>
  /** Loads a model beside the active one. Rejects with a SightdError: `model_invalid` when the model is to blame. */
  loadCandidate(model: ModelSource): Promise<unknown>
  /** The model beside the active one takes over, and that one stays beside it. Rejects when there is none. */
  swap(): Promise<unknown>
  releaseSpare(): void
  /** The vision process ends, and the next one asks which model to load. */
  restartVision(reason: string): void
}

/** A result, as far as it says something about the model. */
export type ModelResult = {
  readonly inferenceMs: number
  /** Of its best find; empty for none. */
  readonly label: string
}
