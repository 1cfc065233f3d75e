import { setTimeout } from 'node:timers/promises'
import { backoffDelays } from '../lib/backoff.ts'
import { DownloadError, type DownloadReason, quote } from './download-error.ts'
import { type BlobSpec, blobPath, checkSpace, hasBlobDurably, PartFile } from './part-file.ts'
import { capped } from './source-file.ts'
import type { Transport } from './transport.ts'

type DownloadTarget = BlobSpec & {
  /** Its name in the repository. */
  readonly path: string
}

type DownloadProgress = {
  readonly bytes: number
  readonly total: number
  /** The mean since this try began. */
  readonly bytesPerS: number
}

export type DownloadOptions = {
  /** Mirrors of one repository, best first; none of them is trusted. */
  readonly transports: readonly Transport[]
  /** Holds `part/` and `blobs/`; no one else downloads into it at the same time. */
  readonly folder: string
  readonly signal: AbortSignal
  readonly onProgress?: (progress: DownloadProgress) => void
  /** Between two calls of `onProgress`, in milliseconds. */
  readonly progressEveryMs?: number
  /** So many tries in a row that bring the file no further; a link that breaks off again and again may take more. */
  readonly maxTries?: number
  readonly backoff?: { readonly firstMs: number; readonly lastMs: number }
  /** Left free on the disk besides the file, in bytes. */
  readonly reserveBytes?: number
  /** The longest file that is taken at all, in bytes. */
  readonly maxBytes?: number
}

const mebibyte = 1024 * 1024

/** A try that brings the file so much further than ever before is a good one; no whole file takes endless tries. */
const advanceBytes = 64 * 1024

/** An answer that breaks the rules may be a captive portal's. The second is the mirror's own: it is asked no more. */
const maxStrikes = 2

type Mirror = {
  readonly transport: Transport
  /** What If-Range may carry: from the answer that gave the newest bytes from there. */
  validator: string | undefined
  strikes: number
}

/**
 * Fetches a blob into `blobs/<sha256>` and returns that path: at once when it is there. A part that an earlier try has
 * left is gone on with. Throws a DownloadError; after `aborted`, `network` and `too_slow` the part waits for the next
 * try, after `no_space` it is removed.
 */
export async function downloadBlob(target: DownloadTarget, options: DownloadOptions): Promise<string> {
  const { folder, signal, reserveBytes = 64 * mebibyte, maxBytes = 256 * mebibyte } = options
  checkTarget(target, maxBytes)
  const path = blobPath(folder, target)
  if (await hasBlobDurably(folder, target)) return path
  await using part = await PartFile.open(folder, target)
  try {
    await checkSpace(folder, target.length - part.bytes, reserveBytes)
    await new Download(target, part, options).run()
    return path
  } catch (error) {
    if (error instanceof DownloadError && error.reason === 'no_space') await part.remove()
    if (!signal.aborted) throw error
    const reached = `${part.bytes} of ${target.length} bytes`
    throw new DownloadError('aborted', `${target.path}: told to stop after ${reached}, which are kept`, {
      cause: error,
    })
  }
}

function checkTarget({ path, length, sha256 }: DownloadTarget, maxBytes: number): void {
  const name = quote(path)
  if (!/^[0-9a-f]{64}$/.test(sha256)) throw new DownloadError('protocol', `${name}: its digest is no SHA-256`)
  if (!Number.isSafeInteger(length) || length < 1)
    throw new DownloadError('protocol', `${name}: no file is ${length} bytes long`)
  if (length > maxBytes)
    throw new DownloadError('too_large', `${name}: ${length} bytes long, at most ${maxBytes} are taken`)
}

class Download {
  readonly #target: DownloadTarget
  readonly #part: PartFile
  readonly #options: DownloadOptions
  /** Those still worth asking, the next one first. */
  #mirrors: readonly Mirror[]
  /** Those that gave the bytes in the part; an earlier process's are not known. */
  readonly #givers = new Set<Mirror>()
  /** The last problem of each mirror. */
  readonly #problems = new Map<Mirror, string>()
  /** Once a mixture was wrong, each mirror has to show alone what it has. */
  #mayMix = true
  #farthestBytes: number
  #reportedAtMs = Number.NEGATIVE_INFINITY

  constructor(target: DownloadTarget, part: PartFile, options: DownloadOptions) {
    this.#target = target
    this.#part = part
    this.#options = options
    this.#mirrors = options.transports.map((transport) => ({ transport, validator: undefined, strikes: 0 }))
    this.#farthestBytes = part.bytes
  }

  async run(): Promise<void> {
    const { signal, maxTries = 20, backoff = { firstMs: 1000, lastMs: 300_000 } } = this.#options
    // It may have been whole when the power went.
    if (this.#isWhole) {
      if (await this.#part.publish()) return
      await this.#startOver()
    }
    let delays = backoffDelays(backoff)
    for (let fruitless = 0; ; ) {
      const [mirror] = this.#mirrors
      if (mirror === undefined) throw this.#failure('not_found', undefined)
      const before = this.#farthestBytes
      const error = await this.#try(mirror)
      if (error === undefined) return
      const hasAdvanced = this.#farthestBytes - before >= advanceBytes
      if (hasAdvanced) delays = backoffDelays(backoff)
      fruitless = hasAdvanced ? 0 : fruitless + 1
      await this.#judge(mirror, error)
      if (this.#mirrors.length === 0 || fruitless >= maxTries) throw this.#failure(error.reason, error)
      // After a mere cut the mirror is asked again: it gives, and its validator is of use with it only.
      if (!hasAdvanced || error.reason !== 'network')
        this.#mirrors = [...this.#mirrors.slice(1), ...this.#mirrors.slice(0, 1)]
      const haveAllHadTheirTurn = fruitless % this.#mirrors.length === 0
      if (haveAllHadTheirTurn) await setTimeout(delays.next().value, undefined, { signal })
    }
  }

  /** Undefined when the file is whole and in its place. Throws what no other mirror can help with. */
  async #try(mirror: Mirror): Promise<DownloadError | undefined> {
    try {
      if (!this.#isWhole) await this.#fetch(mirror)
      if (await this.#part.publish()) return undefined
      const sources = [...this.#givers].map(({ transport }) => transport.where).join(' and ')
      const found = `all ${this.#target.length} bytes came, but not with the signed SHA-256 ${this.#target.sha256}`
      return new DownloadError('digest', `${sources}: ${found}`)
    } catch (error) {
      const isOthersFault = error instanceof DownloadError && !['aborted', 'no_space', 'storage'].includes(error.reason)
      if (isOthersFault) return error
      throw error
    }
  }

  /** Brings the part to its full length. */
  async #fetch(mirror: Mirror): Promise<void> {
    const { path, length } = this.#target
    const isMixture = this.#part.bytes > 0 && !(this.#givers.size === 1 && this.#givers.has(mirror))
    if (isMixture && !this.#mayMix) await this.#startOver()
    const request = { path, length, fromByte: this.#part.bytes, ifRange: mirror.validator }
    await using source = await mirror.transport.openTarget(request, this.#options.signal)
    const { where, startByte, isEndCertain } = source
    mirror.validator = source.validator
    if (startByte !== this.#part.bytes) await this.#startOver()
    this.#givers.add(mirror)
    const sinceMs = performance.now()
    try {
      for await (const chunk of capped(source.chunks, length - startByte, where)) {
        await this.#part.write(chunk)
        this.#farthestBytes = Math.max(this.#farthestBytes, this.#part.bytes)
        this.#report((this.#part.bytes - startByte) / (performance.now() - sinceMs))
      }
    } catch (error) {
      // What is longer than it should be is another file, its beginning too.
      if (error instanceof DownloadError && error.reason === 'too_large') await this.#startOver()
      throw error
    }
    if (this.#isWhole) return
    const found = `${where}: ended after ${this.#part.bytes} of ${length} bytes`
    throw new DownloadError(isEndCertain ? 'protocol' : 'network', found)
  }

  /** Decides whether a mirror is asked again. */
  async #judge(mirror: Mirror, { reason, message }: DownloadError): Promise<void> {
    this.#problems.set(mirror, message)
    if (reason === 'digest') {
      for (const giver of this.#givers) giver.strikes++
      this.#mayMix = false
      this.#farthestBytes = 0
      await this.#startOver()
    } else if (reason === 'not_found') mirror.strikes = maxStrikes
    else if (reason !== 'network' && reason !== 'too_slow') mirror.strikes++
    this.#mirrors = this.#mirrors.filter(({ strikes }) => strikes < maxStrikes)
  }

  async #startOver(): Promise<void> {
    await this.#part.restart()
    this.#givers.clear()
  }

  get #isWhole(): boolean {
    return this.#part.bytes === this.#target.length
  }

  #report(bytesPerMs: number): void {
    const { onProgress, progressEveryMs = 1000 } = this.#options
    if (onProgress === undefined) return
    const nowMs = performance.now()
    if (!this.#isWhole && nowMs - this.#reportedAtMs < progressEveryMs) return
    this.#reportedAtMs = nowMs
    onProgress({ bytes: this.#part.bytes, total: this.#target.length, bytesPerS: Math.round(bytesPerMs * 1000) })
  }

  #failure(reason: DownloadReason, cause: DownloadError | undefined): DownloadError {
    const found = [...this.#problems.values()].join('; ') || 'no source is configured'
    return new DownloadError(reason, `can't download ${this.#target.path}: ${found}`, { cause })
  }
}
