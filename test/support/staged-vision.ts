import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { SightdError } from '../../src/core/errors.ts'
import type { ModelFailure, ModelSource, SelfTestOutcome } from '../../src/core/model-trial.ts'
import type { ModelStage } from '../../src/ota/model-stage.ts'
import type { Updater } from '../../src/ota/updater.ts'

type Ending = { readonly reason: string; readonly failure: ModelFailure | null }

/**
 * The vision side without pictures: a process starts, loads what it is told and gives a result at each turn of the event loop,
 * until a test says otherwise. Models are called by their versions.
 */
export class StagedVision implements ModelStage {
  /** What was loaded, in its order: `self-test 2`, `beside 2`, `start 1`. */
  readonly loads: string[] = []
  active: string | undefined
  spare: string | undefined
  /** Without one there are no results, and nothing beside is compared. */
  hasCamera = true
  selfTests: (version: string, signal: AbortSignal) => Promise<SelfTestOutcome> = async () => {
    return { passed: true, loadMs: 1, inferenceMs: 1, peakMb: 1 }
  }
  /** Of a model in charge. */
  failures: (version: string) => ModelFailure | undefined = () => undefined
  inferenceMs: (version: string) => number = () => 10
  labels: (version: string) => string = () => 'cat'
  #isCandidateBeside = false
  #end: ((ending: Ending) => void) | undefined
  #renewals = 0

  get isServing(): boolean {
    return this.active !== undefined
  }

  async selfTest(source: ModelSource, signal: AbortSignal): Promise<SelfTestOutcome> {
    const version = this.#load('self-test', source)
    return this.selfTests(version, signal)
  }

  async loadCandidate(source: ModelSource): Promise<void> {
    if (this.active === undefined) throw new SightdError('vision_failed', 'there is no process')
    if (this.spare !== undefined) throw new SightdError('vision_failed', 'a second model is there already')
    this.spare = this.#load('beside', source)
    this.#isCandidateBeside = true
  }

  async swap(): Promise<void> {
    if (this.spare === undefined) throw new SightdError('vision_failed', 'there is no second model to swap to')
    const { active, spare } = this
    this.active = spare
    this.spare = active
    this.#isCandidateBeside = false
  }

  releaseSpare(): void {
    this.spare = undefined
  }

  restartVision(reason: string): void {
    this.#renewals++
    this.#end?.({ reason, failure: null })
  }

  /** The process is gone. */
  crash(failure: ModelFailure | null): void {
    this.#end?.({ reason: failure?.message ?? 'it is so for a test', failure })
  }

  /** Works until `signal` aborts. */
  async run(updater: Updater, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const renewals = this.#renewals
      const source = await updater.nextModel()
      if (signal.aborted) return
      if (this.#renewals !== renewals) continue
      this.active = this.#load('start', source)
      const ended = Promise.withResolvers<Ending>()
      this.#end = ended.resolve
      const ending = await Promise.race([ended.promise, this.#serve(updater, signal)])
      this.#end = undefined
      this.active = undefined
      this.spare = undefined
      if (ending !== undefined) updater.noteDown(ending.reason, ending.failure)
      await setImmediate()
    }
  }

  /** Undefined when `signal` aborts. */
  async #serve(updater: Updater, signal: AbortSignal): Promise<Ending | undefined> {
    const own = this.#end
    for (;;) {
      await setImmediate()
      const { active } = this
      if (signal.aborted || active === undefined || this.#end !== own) return undefined
      const failure = this.failures(active)
      if (failure !== undefined) return { reason: failure.message, failure }
      if (!this.hasCamera) continue
      updater.noteResult({ inferenceMs: this.inferenceMs(active), label: this.labels(active) })
      if (this.spare === undefined || !this.#isCandidateBeside) continue
      const [activeMs, candidateMs] = [this.inferenceMs(active), this.inferenceMs(this.spare)]
      updater.noteShadow({ agreement: 1, activeMs, candidateMs })
    }
  }

  #load(where: string, { dir }: ModelSource): string {
    const { version } = JSON.parse(readFileSync(join(dir, 'manifest.json'), 'utf8'))
    this.loads.push(`${where} ${version}`)
    return version
  }
}
