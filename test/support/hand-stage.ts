import type { ModelSource, SelfTestOutcome } from '../../src/core/model-trial.ts'
import type { ModelStage } from '../../src/ota/model-stage.ts'

/** A vision side by hand: it does nothing but note what it is told, and tests say what comes of it. */
export class HandStage implements ModelStage {
  isServing = true
  /** `self-test`, `load`, `swap`, `release`, `restart`, in their order. */
  readonly told: string[] = []
  outcome: (signal: AbortSignal) => Promise<SelfTestOutcome> = async () => {
    return { passed: true, loadMs: 1, inferenceMs: 1, peakMb: 1 }
  }
  load: (source: ModelSource) => Promise<void> = async () => {}
  exchange: () => Promise<void> = async () => {}

  selfTest(_: ModelSource, signal: AbortSignal): Promise<SelfTestOutcome> {
    this.told.push('self-test')
    return this.outcome(signal)
  }

  async loadCandidate(source: ModelSource): Promise<void> {
    this.told.push('load')
    await this.load(source)
  }

  async swap(): Promise<void> {
    this.told.push('swap')
    await this.exchange()
  }

  releaseSpare(): void {
    this.told.push('release')
  }

  restartVision(): void {
    this.told.push('restart')
  }
}
