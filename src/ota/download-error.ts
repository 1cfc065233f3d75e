/**
 * Why something could not be fetched; closed, since states and messages carry it.
 * - `not_found`: the source doesn't have it.
 * - `network`: the source can't be reached, or broke off: a link, a server, a USB stick. Passes by itself.
 * - `too_slow`: it gave less than the minimum rate. Passes by itself.
 * - `too_large`, `encoding`, `redirect`, `protocol`: it answered what we don't take.
 * - `digest`: all bytes came, and are not those that were signed.
 * - `no_space`, `storage`: our own disk.
 * - `aborted`: we were told to stop.
 */
export type DownloadReason =
  | 'not_found'
  | 'network'
  | 'too_slow'
  | 'too_large'
  | 'encoding'
  | 'redirect'
  | 'digest'
  | 'no_space'
  | 'storage'
  | 'aborted'
  | 'protocol'

/** Nothing was fetched, or not all: on what, what was found, in words for an operator. */
export class DownloadError extends Error {
  override readonly name = 'DownloadError'
  readonly reason: DownloadReason

  constructor(reason: DownloadReason, message: string, options?: ErrorOptions) {
    super(message, options)
    this.reason = reason
  }
}

/** A URL as it may be shown: no login, and no query, which may hold a key as well. */
export function describeUrl(url: URL): string {
  return `${url.protocol}//${url.host}${url.pathname}`
}

/** What a stranger sent, fit for a log: one line, short, no control characters. */
export function quote(text: string): string {
  const line = JSON.stringify(text).replace(/[\x7f-\uffff]/g, '?')
  return line.length > 80 ? `${line.slice(0, 77)}..."` : line
}
