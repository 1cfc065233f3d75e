import { createHash, randomBytes } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type DownloadOptions, downloadBlob } from '../../src/ota/download.ts'
import type { HttpOptions } from '../../src/ota/http-transport.ts'
import { openTransport, type Transport } from '../../src/ota/transport.ts'
import { tempFolder } from './temp-folder.ts'

/** Long enough for every test that expects no time-out, and the rate is never the reason. */
const limits = { idleMs: 5_000, minBytesPerS: 0, windowMs: 60_000 }

export const never = new AbortController().signal

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

/** A file nobody can guess, and how it is asked for. */
export function someFile(length = 300_000) {
  const bytes = randomBytes(length)
  return { bytes, target: { path: 'targets/model.onnx', length, sha256: sha256(bytes) } }
}

export function httpTransport(url: string, options: HttpOptions = {}): Transport {
  return openTransport(url, { ...options, limits: { ...limits, ...options.limits } })
}

/** One download into a folder of its own, with hardly a pause between tries. */
export async function download(
  target: { path: string; length: number; sha256: string },
  sources: readonly (string | Transport)[],
  options: Partial<DownloadOptions> = {},
) {
  const folder = options.folder ?? (await tempFolder())
  const part = join(folder, 'part', target.sha256)
  return {
    folder,
    part,
    blob: join(folder, 'blobs', target.sha256),
    partBytes: async () => (await stat(part).catch(() => undefined))?.size,
    /** Resolves with the digest of what came. */
    run: async () => {
      const path = await downloadBlob(target, {
        transports: sources.map((source) => (typeof source === 'string' ? httpTransport(source) : source)),
        signal: never,
        backoff: { firstMs: 1, lastMs: 2 },
        reserveBytes: 0,
        ...options,
        folder,
      })
      return sha256(await readFile(path))
    },
  }
}
