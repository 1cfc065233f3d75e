/** What the updater of models and the vision side say to each other. */

/** A model folder; `manifestSha256` is what its manifest.json has to be, null where the folder itself is trusted. */
export type ModelSource = { readonly dir: string; readonly manifestSha256: string | null }

/** Why a model failed on this device. */
export type ModelFault =
  /** Not what its manifest says, or refused by the scan or by ONNX Runtime. */
  | 'model_invalid'
  /** Its golden samples come out otherwise on this CPU. */
  | 'golden_mismatch'
  /** NaN or infinity came out of it. */
  | 'bad_output'
  /** It took its process down. */
  | 'died'
  /** It made no progress, and its process was killed. */
  | 'hung'
  /** It wanted more memory than it may have. */
  | 'memory'

export type ModelFailure = { readonly fault: ModelFault; readonly message: string }

/** What loading a model and running its golden samples in a process of its own has shown. */
export type SelfTestOutcome =
  | {
      readonly passed: true
      readonly loadMs: number
      /** Median of the runs. */
      readonly inferenceMs: number
      /** Most resident memory of that process, in MB. */
      readonly peakMb: number
    }
  | ({ readonly passed: false } & ModelFailure)

/** One live frame that both the active model and the candidate saw. */
export type ShadowSample = {
  /** Share of finds that both have, of all that either has, from their thresholds on: 0..1; 1 when neither has any. */
  readonly agreement: number
  readonly activeMs: number
  readonly candidateMs: number
}
