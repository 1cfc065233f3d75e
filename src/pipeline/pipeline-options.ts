import type { EventOptions } from '../core/event-options.ts'
import type { ModelFailure, ModelSource, ShadowSample } from '../core/model-trial.ts'
import type { SceneEvent, View } from '../core/scene.ts'
import type { SourceOptions } from '../core/source-options.ts'
import type { VisionModel, VisionResult } from '../core/vision-protocol.ts'
import type { Ending } from './supervisor.ts'

/** The parts of the configuration that matter here; all but `camera`, `threads`, `max_memory_mb` and `governor` may change. */
export type PipelineConfig = {
  readonly camera: SourceOptions
  readonly inference: {
    readonly enabled: boolean
    readonly threads?: number | undefined
    readonly threshold?: number | undefined
    readonly max_fps?: number | undefined
    readonly max_memory_mb: number
  }
  readonly events: EventOptions
  readonly motion: {
    readonly gate: 'auto' | 'on' | 'off'
    readonly sensitivity: 'low' | 'medium' | 'high'
    readonly idle_s: number
  }
  readonly pictures: { readonly of_events: boolean; readonly max_kb: number }
  readonly governor: { readonly enabled: boolean; readonly hot_c: number; readonly cool_c: number }
}

export type PipelineOptions = {
  readonly config: PipelineConfig
  /** Which model to load. It is asked before each start of a vision process, which waits for the answer; may reject. */
  readonly model: () => Promise<ModelSource>
  /** The script of the vision process, and an empty folder for it to work in. */
  readonly entry: URL
  readonly workDir: string
  readonly onResult: (result: VisionResult, model: VisionModel) => void
  readonly onEvent: (event: SceneEvent) => void
  readonly onView: (view: View, atMs: number) => void
  /** Another model is in charge, or the same one again in another process. */
  readonly onModel: (model: VisionModel) => void
  /** The vision process is gone, a second model with it; it will be started again. */
  readonly onDown: (ending: Ending) => void
  /** The candidate has looked at a frame that the model in charge saw. */
  readonly onShadow: (sample: ShadowSample) => void
  /** A candidate that had been loaded has failed and is gone; the model in charge goes on. */
  readonly onCandidateDown: (failure: ModelFailure) => void
  /** How it is doing may have changed. */
  readonly onChange: () => void
  readonly log: PipelineLog
}

export type PipelineLog = {
  info(fields: object, text: string): void
  warn(fields: object, text: string): void
}
