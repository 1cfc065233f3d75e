import { unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { type Candidate, type Ending, ModelSlots } from '../../src/ota/model-slots.ts'
import { ModelStore } from '../../src/ota/model-store.ts'
import { RecordFiles, type UpdateRecord } from '../../src/ota/update-record.ts'
import { tempFolder } from './temp-folder.ts'
import { shelve, tinyModel } from './tiny-model.ts'

export const factory = { dir: '/factory', manifestSha256: null }
export const nothingKnown = { p50Ms: null, p95Ms: null, commonest: 1, isConnected: false }
export const failed: Ending = { outcome: 'failed', code: 'golden_mismatch', reason: 'it is not right', isBad: true }

/** A device that can lose its process, and its power. */
export class SlotsDevice {
  readonly folder: string
  readonly store: ModelStore
  slots: ModelSlots
  #boots = 1

  private constructor(folder: string, store: ModelStore, slots: ModelSlots) {
    this.folder = folder
    this.store = store
    this.slots = slots
  }

  static async start(change: Partial<UpdateRecord> = {}): Promise<SlotsDevice> {
    const folder = join(await tempFolder(), 'ota')
    const store = await ModelStore.open(folder)
    const { files } = await RecordFiles.open(folder)
    await files.write(() => change)
    return new SlotsDevice(folder, store, new ModelSlots({ files, store, factory, bootId: 'boot-1' }))
  }

  /** A process, and nothing but what is on the disk. */
  async restart(bootId = `boot-${this.#boots}`): Promise<void> {
    const { files } = await RecordFiles.open(this.folder)
    this.slots = new ModelSlots({ files, store: this.store, factory, bootId })
  }

  async losePower(): Promise<void> {
    this.#boots++
    await this.restart()
  }

  get record(): UpdateRecord {
    return this.slots.record
  }

  /** A model whose files are here. */
  async model(version: string, rollbackIndex = 0): Promise<Candidate> {
    return { ...(await shelve(this.folder, await tinyModel(version))), rollbackIndex }
  }

  sourceOf({ sha256 }: { readonly sha256: string }) {
    return { dir: join(this.folder, 'models', sha256), manifestSha256: sha256 }
  }

  damage({ sha256 }: { readonly sha256: string }): Promise<void> {
    return unlink(join(this.folder, 'blobs', sha256))
  }

  /** Lets a model be proved, take over and stay. */
  async commit(model: Candidate): Promise<void> {
    await this.slots.beginProof(model)
    await this.slots.endTry()
    await this.slots.beginTrial(model, nothingKnown)
    await this.slots.commit()
  }
}

/** A model that nobody looks at. */
export const candidate: Candidate = { name: 'tiny', version: '2', length: 1, sha256: '2'.repeat(64), rollbackIndex: 0 }
