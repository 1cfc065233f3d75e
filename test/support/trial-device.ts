import { setImmediate } from 'node:timers/promises'
import type { Candidate } from '../../src/ota/model-slots.ts'
import { ModelTrial } from '../../src/ota/model-trial.ts'
import { never } from './downloads.ts'
import { HandStage } from './hand-stage.ts'
import { factory, SlotsDevice } from './slots-device.ts'

export const result = { inferenceMs: 10, label: 'cat' }

/** A device whose model of the factory is in charge, and a candidate whose files are there. */
export class TrialDevice {
  readonly slots: SlotsDevice
  readonly candidate: Candidate
  readonly said: string[] = []
  stage = new HandStage()
  isConnected = true
  trial: ModelTrial

  readonly #results: number

  private constructor(slots: SlotsDevice, candidate: Candidate, results: number) {
    this.slots = slots
    this.candidate = candidate
    this.#results = results
    this.trial = this.#make()
  }

  static async start({ results = 3 } = {}): Promise<TrialDevice> {
    const slots = await SlotsDevice.start()
    return new TrialDevice(slots, await slots.model('2', 7), results)
  }

  /** A process, and nothing but what is on the disk. */
  async restart(bootId?: string): Promise<void> {
    await this.slots.restart(bootId)
    this.stage = new HandStage()
    this.trial = this.#make()
  }

  get record() {
    return this.slots.record
  }

  get sources() {
    return { candidate: this.slots.sourceOf(this.candidate), factory }
  }

  /** The candidate has taken over. */
  async takeOver(signal: AbortSignal = never) {
    const outcome = this.trial.takeOver(this.candidate, signal)
    while (!this.stage.told.includes('swap')) await setImmediate()
    return { outcome }
  }

  async behave(): Promise<void> {
    while (this.record.candidate !== null) {
      this.trial.noteResult(result)
      await setImmediate()
    }
  }

  #make(): ModelTrial {
    return new ModelTrial({
      slots: this.slots.slots,
      store: this.slots.store,
      stage: this.stage,
      limits: { ms: 1, results: this.#results, slowdown: 1.5 },
      isConnected: () => this.isConnected,
      onProgress: () => {},
      log: { warn: (_, text) => this.said.push(text) },
    })
  }
}
