import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { makeFolderDurably, removeDurably, syncFolder, writeFileAtomic } from '../lib/atomic-file.ts'
import { describeDiskError, errorCode } from '../lib/disk-error.ts'
import { OtaError } from './ota-error.ts'
import type { MetadataStore, StoredRole } from './trusted-store.ts'

/**
 * Verified metadata as files `<role>.json` in a folder, each replaced whole or not at all. The names are ours: none comes
 * from metadata. Throws an OtaError `store_failed`.
 */
export class MetadataFolder implements MetadataStore {
  readonly #folder: string

  private constructor(folder: string) {
    this.#folder = folder
  }

  /** Makes the folder when it is missing. */
  static async open(folder: string): Promise<MetadataFolder> {
    await makeFolderDurably(folder).catch((error: unknown) => fail(folder, error))
    // What is read from now on is on the disk: a process that was killed may have left what is not.
    await syncFolder(folder).catch((error: unknown) => fail(folder, error))
    return new MetadataFolder(folder)
  }

  async read(role: StoredRole): Promise<Uint8Array | undefined> {
    const path = this.#path(role)
    try {
      return await readFile(path)
    } catch (error) {
      return errorCode(error) === 'ENOENT' ? undefined : fail(path, error)
    }
  }

  async write(role: StoredRole, bytes: Uint8Array): Promise<void> {
    const path = this.#path(role)
    // Exactly these bytes: what was parsed strictly is well-formed UTF-8 without a mark in front.
    await writeFileAtomic(path, Buffer.from(bytes).toString('utf8')).catch((error: unknown) => fail(path, error))
  }

  async remove(role: StoredRole): Promise<void> {
    const path = this.#path(role)
    await removeDurably(path).catch((error: unknown) => fail(path, error))
  }

  #path(role: StoredRole): string {
    return join(this.#folder, `${role}.json`)
  }
}

function fail(path: string, error: unknown): never {
  throw new OtaError('store_failed', path, describeDiskError(error), { cause: error })
}
