import { isAbsolute } from 'node:path'
import { SightdError } from '../core/errors.ts'
import { DirectoryTransport } from './directory-transport.ts'
import { quote } from './download-error.ts'
import { type HttpOptions, HttpTransport } from './http-transport.ts'

/** A place that holds a repository: a web server or a folder. What it gives is not to be trusted; its digest is. */
export type Transport = {
  /** The place in words, without login or query. */
  readonly where: string

  /**
   * A small file; undefined when the place doesn't have it (HTTP 404, and 403 as buckets answer that nobody may list).
   * Throws a DownloadError: `too_large` above `maxBytes`, else as it says.
   */
  metadata(name: string, maxBytes: number, signal: AbortSignal): Promise<Uint8Array | undefined>

  /** Opens a file of a known length for one reading, up to `signal`'s end. Throws a DownloadError. */
  openTarget(request: TargetRequest, signal: AbortSignal): Promise<OpenTarget>
}

export type TargetRequest = {
  readonly path: string
  /** As signed, in bytes. */
  readonly length: number
  /** 0..length-1: what lies before is here already. */
  readonly fromByte: number
  /** The validator that this place gave along with those first bytes, if it did. */
  readonly ifRange: string | undefined
}

export type OpenTarget = AsyncDisposable & {
  /** In words, without login or query. */
  readonly where: string
  /** Where the chunks begin: the byte asked for, or 0 when the place can't go on there. */
  readonly startByte: number
  /** What to ask with the next time, if the place gave something that is good for it. */
  readonly validator: string | undefined
  /** False when an end of the chunks may as well be a cut. */
  readonly isEndCertain: boolean
  /** Not limited in length; throws a DownloadError. */
  readonly chunks: AsyncIterable<Uint8Array>
}

/** The transport for `https://…`, `http://…` or an absolute path. Throws a SightdError `config_invalid`. */
export function openTransport(source: string, options: HttpOptions = {}): Transport {
  if (isAbsolute(source)) return new DirectoryTransport(source)
  const url = URL.parse(source)
  if (url?.protocol === 'https:' || url?.protocol === 'http:') return new HttpTransport(url, options)
  const shown = quote(source.replace(/:(\/\/)?[^/]*@/, ':$1***@').replace(/\?.*/s, ''))
  throw new SightdError('config_invalid', `update source ${shown}: has to be https://…, http://… or an absolute path`)
}
