import { constants } from 'node:fs'
import { type FileHandle, open, realpath } from 'node:fs/promises'
import { join } from 'node:path'
import { describeDiskError, errorCode } from '../lib/disk-error.ts'
import { DownloadError } from './download-error.ts'
import { collect, nameParts } from './source-file.ts'
import type { OpenTarget, TargetRequest, Transport } from './transport.ts'

const chunkBytes = 64 * 1024

type OpenFile = AsyncDisposable & { readonly file: FileHandle; readonly path: string; readonly bytes: number }

/** A repository in a folder, such as a USB stick: the files that a web server would give, and no way out of it by links. */
export class DirectoryTransport implements Transport {
  readonly where: string

  constructor(folder: string) {
    this.where = folder
  }

  async metadata(name: string, maxBytes: number, signal: AbortSignal): Promise<Uint8Array | undefined> {
    try {
      await using opened = await this.#open(name, signal)
      const { file, path } = opened
      return await collect(chunksOf(file, 0, path, signal), maxBytes, path)
    } catch (error) {
      if (error instanceof DownloadError && error.reason === 'not_found') return undefined
      throw error
    }
  }

  async openTarget({ path: name, length, fromByte }: TargetRequest, signal: AbortSignal): Promise<OpenTarget> {
    const { file, path, bytes, [Symbol.asyncDispose]: dispose } = await this.#open(name, signal)
    if (bytes !== length) {
      await dispose()
      const reason = bytes > length ? 'too_large' : 'protocol'
      throw new DownloadError(reason, `${path}: ${bytes} bytes long there, has to be ${length}`)
    }
    const chunks = chunksOf(file, fromByte, path, signal)
    return {
      where: path,
      startByte: fromByte,
      validator: undefined,
      isEndCertain: true,
      chunks,
      [Symbol.asyncDispose]: dispose,
    }
  }

  async #open(name: string, signal: AbortSignal): Promise<OpenFile> {
    const parts = nameParts(name)
    const path = join(this.where, ...parts)
    if (signal.aborted) throw new DownloadError('aborted', `${path}: told to stop`)
    try {
      // The folders above it, which O_NOFOLLOW doesn't look at.
      const real = await realpath(path)
      if (real !== join(await realpath(this.where), ...parts)) throw new DownloadError('protocol', `${path}: a link`)
      // Without O_NONBLOCK a FIFO would make us wait for its writer.
      const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
      const stats = await file.stat()
      if (stats.isFile()) return { file, path, bytes: stats.size, [Symbol.asyncDispose]: () => file.close() }
      await file.close()
      throw new DownloadError('protocol', `${path}: not a regular file`)
    } catch (error) {
      throw explain(error, path)
    }
  }
}

async function* chunksOf(
  file: FileHandle,
  fromByte: number,
  path: string,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void> {
  try {
    for (let at = fromByte; ; ) {
      if (signal.aborted) throw new DownloadError('aborted', `${path}: told to stop`)
      const { buffer, bytesRead } = await file.read(Buffer.alloc(chunkBytes), 0, chunkBytes, at)
      if (bytesRead === 0) return
      at += bytesRead
      yield buffer.subarray(0, bytesRead)
    }
  } catch (error) {
    throw explain(error, path)
  }
}

function explain(error: unknown, path: string): DownloadError {
  if (error instanceof DownloadError) return error
  const code = errorCode(error) ?? ''
  if (code === 'ENOENT' || code === 'ENOTDIR') return new DownloadError('not_found', `${path}: not there`)
  if (code === 'ELOOP' || code === 'ENXIO') return new DownloadError('protocol', `${path}: not a regular file`)
  return new DownloadError('network', `${path}: can't be read: ${describeDiskError(error)}`, { cause: error })
}
