import { createHash } from 'node:crypto'
import { constants, type Stats } from 'node:fs'
import { type FileHandle, lstat, open, rename, rm, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { makeFolderDurably, syncFolder } from '../lib/atomic-file.ts'
import { describeDiskError, errorCode } from '../lib/disk-error.ts'
import { DownloadError } from './download-error.ts'

/** A file known by its content: its length in bytes and its digest in lower-case hex, which is also its name. */
export type BlobSpec = { readonly length: number; readonly sha256: string }

const syncEveryBytes = 1024 * 1024
const readBytes = 256 * 1024

/**
 * A blob on its way in: `part/<sha256>` until it is whole and proved, then `blobs/<sha256>`. What is in our way there, a
 * link, a FIFO, another's file, is taken away and never followed. Every method throws a DownloadError `no_space` or `storage`.
 */
export class PartFile implements AsyncDisposable {
  readonly #file: FileHandle
  readonly #path: string
  readonly #folder: string
  readonly #blob: BlobSpec
  #bytes = 0
  #syncedBytes = 0

  private constructor(file: FileHandle, folder: string, blob: BlobSpec) {
    this.#file = file
    this.#folder = folder
    this.#path = partPath(folder, blob)
    this.#blob = blob
  }

  /** Goes on with the part that an earlier try has left, if it is ours and can be the beginning of it. */
  static async open(folder: string, blob: BlobSpec): Promise<PartFile> {
    const path = partPath(folder, blob)
    return guard(path, async () => {
      for (const name of ['part', 'blobs']) await makeOwnFolder(join(folder, name))
      const found = await openOwnFile(path, constants.O_RDWR)
      if (found === undefined) await rm(path, { force: true })
      const flags = constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW | constants.O_RDWR
      const part = new PartFile(found ?? (await open(path, flags, 0o600)), folder, blob)
      try {
        await part.#takeStock()
        return part
      } catch (error) {
        await part[Symbol.asyncDispose]()
        throw error
      }
    })
  }

  /** How much of the file is here. */
  get bytes(): number {
    return this.#bytes
  }

  async write(chunk: Uint8Array): Promise<void> {
    await this.#guard(async () => {
      for (let done = 0; done < chunk.length; ) {
        const { bytesWritten } = await this.#file.write(chunk, done, chunk.length - done, this.#bytes + done)
        done += bytesWritten
      }
      this.#bytes += chunk.length
      if (this.#bytes - this.#syncedBytes >= syncEveryBytes) await this.#sync()
    })
  }

  /** Throws away what is here. */
  async restart(): Promise<void> {
    await this.#guard(() => this.#file.truncate(0))
    this.#bytes = 0
    this.#syncedBytes = 0
  }

  /** Lets it become the blob, durably; false, and nothing done, when it is not the file that was signed. */
  async publish(): Promise<boolean> {
    return this.#guard(async () => {
      await this.#sync()
      // Of the open file, since a name can change hands; and of what is there now, whoever wrote it, and when.
      if (!(await isBlob(this.#file, this.#blob))) return false
      const target = blobPath(this.#folder, this.#blob)
      await rename(this.#path, target)
      if ((await lstat(target)).ino !== (await this.#file.stat()).ino) {
        await rm(target, { force: true })
        throw new Error('it was changed for another file while we proved it')
      }
      // First the new name: a crash in between may leave two, which is better than none.
      await syncFolder(join(this.#folder, 'blobs'))
      await syncFolder(join(this.#folder, 'part'))
      return true
    })
  }

  async remove(): Promise<void> {
    await guard(this.#path, () => rm(this.#path, { force: true }))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close()
  }

  /** A part that the disk can't keep is not gone on with: what a failed sync has dropped, the next one knows nothing of. */
  async #guard<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await guard(this.#path, work)
    } catch (error) {
      if (error instanceof DownloadError && error.reason === 'storage') await this.remove().catch(() => {})
      throw error
    }
  }

  async #sync(): Promise<void> {
    await this.#file.sync()
    this.#syncedBytes = this.#bytes
  }

  async #takeStock(): Promise<void> {
    const { size } = await this.#file.stat()
    this.#bytes = size
    this.#syncedBytes = size
    if (size > this.#blob.length) await this.restart()
  }
}

const partPath = (folder: string, { sha256 }: BlobSpec) => join(folder, 'part', sha256)

export const blobPath = (folder: string, { sha256 }: BlobSpec) => join(folder, 'blobs', sha256)

/** True when the blob is here, whole and ours. Throws a DownloadError `storage`. */
export async function hasBlob(folder: string, blob: BlobSpec): Promise<boolean> {
  const path = blobPath(folder, blob)
  return guard(path, async () => {
    try {
      await using file = await openOwnFile(path, constants.O_RDONLY)
      return file !== undefined && (await isBlob(file, blob))
    } catch (error) {
      // A place on the disk that has gone bad: what can't be read comes anew.
      if (errorCode(error) === 'EIO') return false
      throw error
    }
  })
}

/** As `hasBlob`, and on the disk: a process that was killed may have left a name that is not. */
export async function hasBlobDurably(folder: string, blob: BlobSpec): Promise<boolean> {
  if (!(await hasBlob(folder, blob))) return false
  await guard(folder, async () => {
    for (const name of ['blobs', 'part']) {
      await makeOwnFolder(join(folder, name))
      await syncFolder(join(folder, name))
    }
  })
  return true
}

/**
 * A blob's bytes, proved in memory, so that no change on the disk comes between proof and use. Undefined when it is not
 * here, or is not what it should be. Throws a DownloadError `storage`.
 */
export async function readBlob(folder: string, blob: BlobSpec): Promise<Buffer | undefined> {
  const path = blobPath(folder, blob)
  return guard(path, async () => {
    await using file = await openOwnFile(path, constants.O_RDONLY)
    if (file === undefined || (await file.stat()).size !== blob.length) return undefined
    const bytes = Buffer.alloc(blob.length)
    let at = 0
    for await (const chunk of chunksOf(file, blob.length)) {
      bytes.set(chunk, at)
      at += chunk.length
    }
    return createHash('sha256').update(bytes).digest('hex') === blob.sha256 ? bytes : undefined
  })
}

/** Throws a DownloadError `no_space` unless there is room for so many more bytes on the disk of a folder. */
export async function checkSpace(folder: string, bytes: number, reserveBytes: number): Promise<void> {
  const { bavail, bsize } = await guard(folder, () => statfs(folder))
  if (bavail * bsize >= bytes + reserveBytes) return
  const found = `${mib(bavail * bsize)} MiB free`
  throw new DownloadError('no_space', `${folder}: ${found}, needs ${mib(bytes)} and ${mib(reserveBytes)} to spare`)
}

const mib = (bytes: number) => (bytes / 1024 / 1024).toFixed(1)

async function isBlob(file: FileHandle, { length, sha256 }: BlobSpec): Promise<boolean> {
  if ((await file.stat()).size !== length) return false
  const hash = createHash('sha256')
  for await (const chunk of chunksOf(file, length)) hash.update(chunk)
  return hash.digest('hex') === sha256
}

/** The first `length` bytes; each chunk is a new buffer. */
async function* chunksOf(file: FileHandle, length: number): AsyncGenerator<Uint8Array, void> {
  for (let at = 0; at < length; ) {
    const wanted = Math.min(readBytes, length - at)
    const { buffer, bytesRead } = await file.read(Buffer.alloc(wanted), 0, wanted, at)
    if (bytesRead === 0) return
    at += bytesRead
    yield buffer.subarray(0, bytesRead)
  }
}

/** Undefined when there is nothing, or something that we did not put there: a link, a second name, another's file. */
async function openOwnFile(path: string, mode: number): Promise<FileHandle | undefined> {
  let file: FileHandle
  try {
    // Without O_NONBLOCK a FIFO would make us wait for its other end.
    file = await open(path, mode | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  } catch (error) {
    if (['ENOENT', 'ELOOP', 'ENXIO', 'EISDIR', 'EACCES'].includes(errorCode(error) ?? '')) return undefined
    throw error
  }
  if (isOwn(await file.stat())) return file
  await file.close()
  return undefined
}

const isOwn = (stats: Stats) => stats.isFile() && stats.nlink === 1 && stats.uid === process.geteuid?.()

async function makeOwnFolder(path: string): Promise<void> {
  await makeFolderDurably(path)
  if (!(await lstat(path)).isDirectory()) throw new Error('there is something else in place of the folder')
}

async function guard<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof DownloadError) throw error
    const isFull = ['ENOSPC', 'EDQUOT'].includes(errorCode(error) ?? '')
    const message = `${path}: can't be stored: ${describeDiskError(error)}`
    throw new DownloadError(isFull ? 'no_space' : 'storage', message, { cause: error })
  }
}
