import { join } from 'node:path'
import { describeError } from '../core/errors.ts'
import { folderOfManifest, modelCustomOf } from './approved-models.ts'
import { type Target, TufClient } from './client.ts'
import { downloadBlob } from './download.ts'
import { DownloadError } from './download-error.ts'
import { MetadataFolder } from './metadata-store.ts'
import { filesOf, type ModelStore, maxManifestBytes } from './model-store.ts'
import { OtaError } from './ota-error.ts'
import { readBlob } from './part-file.ts'
import { targetFileName } from './repository.ts'
import { decideRollout, parseDesired, type RolloutVerdict } from './rollout.ts'
import type { Transport } from './transport.ts'
import type { ModelRef } from './update-record.ts'

export type UpdateSourceOptions = {
  readonly store: ModelStore
  /** The first root, which came with the configuration. */
  readonly root: Uint8Array
  /** Mirrors of one repository, best first. */
  readonly transports: readonly Transport[]
  readonly group: string
  readonly deviceId: string
  readonly maxModelBytes: number
  /** The earliest that it can be, in ms since 1970. */
  readonly floorMs: () => number
  /** Left free on the disk, in bytes. */
  readonly reserveBytes?: number
}

/** A model that the group should run. */
export type WantedModel = ModelRef & {
  /** Its folder in the repository. */
  readonly folder: string
  readonly rollbackIndex: number
}

export type Look = {
  /** Why nothing new may be installed, in words: metadata has expired. */
  readonly stale?: string
  readonly rollout?: RolloutVerdict
  /** What this device should run; undefined when the rollout doesn't say so. */
  readonly wanted?: WantedModel
  /** A signed time that has passed. */
  readonly signedPastMs?: number
  /** The digest of a blob that was read for it. */
  readonly blob?: string
}

/** The repository as a device asks it: what should run here, and the files of that. Whatever it gives has been verified. */
export class UpdateSource {
  readonly #options: UpdateSourceOptions
  #client: TufClient | undefined
  /** Asked just now. */
  #transport: Transport | undefined

  constructor(options: UpdateSourceOptions) {
    this.#options = options
  }

  /** Versions of the metadata that is trusted; null before the first look. */
  get versions() {
    if (this.#client === undefined) return null
    const { root, timestamp, snapshot, targets } = this.#client.trusted
    return {
      root: root.version,
      timestamp: timestamp?.version ?? null,
      snapshot: snapshot?.version ?? null,
      targets: targets?.version ?? null,
    }
  }

  /** True unless the trusted metadata, if there is any, no longer approves the model. Asks nobody; throws an OtaError. */
  async isApproved({ name, version, sha256 }: ModelRef): Promise<boolean> {
    this.#client ??= await this.#open()
    const targets = this.#client.trusted.targets?.targets
    return targets === undefined || targets.get(`models/${name}/${version}/manifest.json`)?.sha256 === sha256
  }

  /** Throws an OtaError, a DownloadError, or what `signal` was aborted with. */
  async look(signal: AbortSignal): Promise<Look> {
    this.#client ??= await this.#open()
    const client = this.#client
    const path = `desired/${this.#options.group}.json`
    let target: Target | undefined
    try {
      target = await this.#fromAny(async () => {
        const freshness = await client.refresh(signal)
        // Another mirror may have what is newer.
        if (freshness.state === 'stale') throw freshness.error
        return client.target(path, signal)
      })
    } catch (error) {
      if (error instanceof OtaError && error.reason === 'expired') return { stale: describeError(error) }
      throw error
    }
    if (target === undefined) return {}
    const desired = parseDesired(await this.#read(target, signal), path)
    const nowMs = Math.max(Date.now(), this.#options.floorMs())
    const rollout = decideRollout(desired, this.#options.deviceId, nowMs)
    const found: Look = {
      rollout,
      blob: target.sha256,
      ...(desired.from <= nowMs ? { signedPastMs: desired.from } : {}),
    }
    return rollout === 'yes' ? { ...found, wanted: await this.#wanted(client, desired.model, signal) } : found
  }

  /** Brings a model's files here, the manifest first. Throws as `look` does. */
  async fetch(model: WantedModel, signal: AbortSignal, onProgress: (percent: number) => void): Promise<void> {
    const client = this.#client
    if (client === undefined) throw new Error('there was no look before')
    const { store, maxModelBytes } = this.#options
    const path = `${model.folder}/manifest.json`
    await this.#download({ ...model, path }, signal, Math.min(maxModelBytes, maxManifestBytes))
    const manifest = await store.manifest(model)
    if (manifest === undefined) throw new OtaError('store_failed', path, 'it was here a moment ago')
    if (manifest.name !== model.name || manifest.version !== model.version)
      throw new OtaError('malformed', path, `it is that of ${manifest.name} ${manifest.version}`)
    const files = filesOf(manifest)
    const total = files.reduce((sum, { blob }) => sum + blob.length, 0)
    if (total > maxModelBytes)
      throw new DownloadError('too_large', `${model.folder}: ${total} bytes, at most ${maxModelBytes} are taken`)
    // All of them before the first byte: what is missing from the signed list is no reason for a download.
    for (const { name, blob } of files) {
      const signed = await this.#approved(client, `${model.folder}/${name}`, signal)
      if (signed.sha256 !== blob.sha256 || signed.length !== blob.length)
        throw new OtaError('digest_mismatch', signed.path, 'the manifest names another file')
    }
    let before = 0
    for (const { name, blob } of files) {
      await this.#download({ ...blob, path: `${model.folder}/${name}` }, signal, maxModelBytes, {
        onBytes: (bytes) => onProgress((100 * (before + bytes)) / total),
      })
      before += blob.length
      onProgress((100 * before) / total)
    }
  }

  async #open(): Promise<TufClient> {
    const { store, root, floorMs } = this.#options
    return TufClient.open({
      store: await MetadataFolder.open(join(store.folder, 'tuf')),
      transport: {
        metadata: async (name, maxBytes, signal) => this.#transport?.metadata(`metadata/${name}`, maxBytes, signal),
      },
      factoryRoot: root,
      floorMs,
    })
  }

  async #wanted(client: TufClient, path: string, signal: AbortSignal): Promise<WantedModel> {
    const { sha256, length, custom } = await this.#approved(client, path, signal)
    const folder = folderOfManifest(path)
    const signed = modelCustomOf(custom)
    if (signed === undefined || `models/${signed.name}/${signed.version}` !== folder)
      throw new OtaError('malformed', path, 'what is signed with it does not name this model')
    const { name, version, rollbackIndex } = signed
    return { name, version, sha256, length, folder, rollbackIndex }
  }

  /** What `targets` itself has signed: a role that it delegates to may choose models, not approve them. */
  async #approved(client: TufClient, path: string, signal: AbortSignal): Promise<Target> {
    const target = await this.#fromAny(() => client.target(path, signal))
    if (target?.role !== 'targets') throw new OtaError('revoked', path, `targets has not signed it`)
    return target
  }

  async #read(target: Target, signal: AbortSignal): Promise<Uint8Array> {
    // However full the disk is: it may say that a model is to go.
    await this.#download(target, signal, 64 * 1024, { reserveBytes: 0 })
    const bytes = await readBlob(this.#options.store.folder, target)
    if (bytes === undefined) throw new OtaError('store_failed', target.path, 'it was here a moment ago')
    return bytes
  }

  async #download(
    { path, length, sha256 }: Pick<Target, 'path' | 'length' | 'sha256'>,
    signal: AbortSignal,
    maxBytes: number,
    {
      onBytes = () => {},
      reserveBytes = this.#options.reserveBytes,
    }: { readonly onBytes?: (bytes: number) => void; readonly reserveBytes?: number } = {},
  ): Promise<void> {
    const { transports, store } = this.#options
    await downloadBlob(
      { path: targetFileName(path, sha256), length, sha256 },
      {
        transports,
        folder: store.folder,
        signal,
        maxBytes,
        ...(reserveBytes === undefined ? {} : { reserveBytes }),
        onProgress: ({ bytes }) => onBytes(bytes),
      },
    )
  }

  /** Asks one mirror after the other, until one of them has an answer that holds; the last one's trouble is told. */
  async #fromAny<T>(ask: () => Promise<T>): Promise<T> {
    let trouble: unknown = new DownloadError('not_found', 'no source of updates is configured')
    for (const transport of this.#options.transports) {
      this.#transport = transport
      try {
        return await ask()
      } catch (error) {
        const isItsFault =
          (error instanceof OtaError && error.reason !== 'store_failed') ||
          (error instanceof DownloadError && error.reason !== 'aborted')
        if (!isItsFault) throw error
        trouble = error
      }
    }
    throw trouble
  }
}
