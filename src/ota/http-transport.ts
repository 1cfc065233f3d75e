import { type IncomingMessage, request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import { describeError } from '../core/errors.ts'
import { errorCode } from '../lib/disk-error.ts'
import { DownloadError, describeUrl } from './download-error.ts'
import { defaultLimits, HttpBody, type HttpLimits } from './http-body.ts'
import {
  checkEncoding,
  checkRest,
  checkWhole,
  isPrivateAddress,
  lookupPublic,
  redirectTarget,
  strongValidator,
} from './http-rules.ts'
import { collect, nameParts } from './source-file.ts'
import type { OpenTarget, TargetRequest, Transport } from './transport.ts'

export type HttpOptions = {
  /** Hosts besides the mirror's own that a redirect may lead to: `name`, or `name:port` for another than the usual. */
  readonly allowedHosts?: readonly string[]
  /** Authorities in PEM that are trusted in place of those that Node knows. */
  readonly ca?: string | Buffer
  readonly limits?: Partial<HttpLimits>
}

const maxHeaderBytes = 16 * 1024

type Answer = { readonly response: IncomingMessage; readonly status: number; readonly where: string }

/**
 * A repository on a web server, over Node's own HTTP client: fetch inflates bodies, follows redirects to anywhere, and
 * has no limit but a total one. A login in the URL is sent to the mirror's own host only, a query with each request.
 */
export class HttpTransport implements Transport {
  readonly where: string
  readonly #mirror: URL
  readonly #allowedHosts: readonly string[]
  readonly #ca: string | Buffer | undefined
  readonly #limits: HttpLimits

  constructor(mirror: URL, { allowedHosts = [], ca, limits }: HttpOptions = {}) {
    this.where = describeUrl(mirror)
    this.#mirror = mirror
    this.#allowedHosts = allowedHosts
    this.#ca = ca
    this.#limits = { ...defaultLimits, ...limits }
  }

  async metadata(name: string, maxBytes: number, signal: AbortSignal): Promise<Uint8Array | undefined> {
    const { response, status, where } = await this.#get(name, {}, signal)
    const body = new HttpBody(response, this.#limits, where)
    try {
      if (status === 404 || status === 403) return undefined
      if (status !== 200) throw refusedStatus(status, where)
      checkEncoding(response.headers, where)
      return await collect(body, maxBytes, where)
    } catch (error) {
      throw explain(error, where, signal)
    } finally {
      response.destroy()
    }
  }

  async openTarget(request: TargetRequest, signal: AbortSignal): Promise<OpenTarget> {
    const { path, length, fromByte, ifRange } = request
    const isRest = fromByte > 0
    const range = { range: `bytes=${fromByte}-`, ...(ifRange === undefined ? {} : { 'if-range': ifRange }) }
    const { response, status, where } = await this.#get(path, isRest ? range : {}, signal)
    const { headers } = response
    try {
      // What is here is shorter than what was signed, so there has to be more: the server has another file.
      if (status === 416 && isRest) {
        response.destroy()
        return await this.openTarget({ ...request, fromByte: 0, ifRange: undefined }, signal)
      }
      if (status !== 200 && !(status === 206 && isRest)) throw refusedStatus(status, where)
      checkEncoding(headers, where)
      if (status === 206) checkRest(headers, request, where)
      else checkWhole(headers, length, where)
      return {
        where,
        startByte: status === 206 ? fromByte : 0,
        validator: strongValidator(headers),
        // Without a length or chunks the body ends with the connection (RFC 9112 section 6.3).
        isEndCertain: headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined,
        chunks: explained(new HttpBody(response, this.#limits, where), where, signal),
        [Symbol.asyncDispose]: async () => {
          response.destroy()
        },
      }
    } catch (error) {
      response.destroy()
      throw error
    }
  }

  /** Asks, and follows redirects, up to an answer's headers. */
  async #get(name: string, extra: { [name: string]: string }, signal: AbortSignal): Promise<Answer> {
    const parts = nameParts(name)
    let url = new URL(this.#mirror)
    url.pathname = [url.pathname.replace(/\/$/, ''), ...parts].join('/')
    let isMirrorPrivate = true
    for (let hops = 0; ; hops++) {
      const where = describeUrl(url)
      const response = await this.#send(url, { ...extra, 'accept-encoding': 'identity' }, isMirrorPrivate, signal)
      const status = response.statusCode ?? 0
      if (![301, 302, 303, 307, 308].includes(status)) return { response, status, where }
      if (hops === 0) isMirrorPrivate = isPrivateAddress(response.socket.remoteAddress ?? '')
      response.destroy()
      const rules = { mirror: this.#mirror, allowedHosts: this.#allowedHosts, isMirrorPrivate, hops }
      url = redirectTarget(response.headers.location, url, rules)
    }
  }

  async #send(
    url: URL,
    headers: { [name: string]: string },
    mayBePrivate: boolean,
    signal: AbortSignal,
  ): Promise<IncomingMessage> {
    const where = describeUrl(url)
    const { idleMs } = this.#limits
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
    const open = url.protocol === 'https:' ? requestHttps : requestHttp
    const request = open(url, {
      headers,
      signal,
      // A connection of its own: none is left behind, and none is used that a server is about to close.
      agent: false,
      maxHeaderSize: maxHeaderBytes,
      rejectUnauthorized: true,
      ...(this.#ca === undefined ? {} : { ca: this.#ca }),
      ...(mayBePrivate || url.host === this.#mirror.host ? {} : { lookup: lookupPublic }),
    })
    request.once('response', (response) => {
      // It may break before anyone reads it.
      response.on('error', () => {})
      resolve(response)
    })
    request.on('error', reject)
    const silence = new DownloadError('network', `${where}: no answer within ${idleMs / 1000} s`)
    const timer = setTimeout(() => request.destroy(silence), idleMs)
    try {
      request.end()
      return await promise
    } catch (error) {
      throw explain(error, where, signal)
    } finally {
      clearTimeout(timer)
    }
  }
}

function refusedStatus(status: number, where: string): DownloadError {
  if ([403, 404, 410].includes(status)) return new DownloadError('not_found', `${where}: not there (HTTP ${status})`)
  // RFC 9110 section 15.6, RFC 6585: these pass.
  const isPassing = status >= 500 || status === 408 || status === 429
  return new DownloadError(isPassing ? 'network' : 'protocol', `${where}: the server answers HTTP ${status}`)
}

async function* explained(
  chunks: AsyncIterable<Uint8Array>,
  where: string,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void> {
  try {
    yield* chunks
  } catch (error) {
    throw explain(error, where, signal)
  }
}

const wordsOf: { readonly [code: string]: string } = {
  ECONNREFUSED: 'nothing listens there',
  ECONNRESET: 'the connection broke off',
  ENOTFOUND: 'no such name in DNS',
  EAI_AGAIN: 'the name server does not answer',
  EHOSTUNREACH: 'no way to that host',
  ENETUNREACH: 'no way to that network',
  ETIMEDOUT: 'the host does not answer',
  CERT_HAS_EXPIRED: 'its certificate has expired, by the clock of this machine',
  CERT_NOT_YET_VALID: 'its certificate is not valid yet, by the clock of this machine',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another name',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is signed by itself',
  SELF_SIGNED_CERT_IN_CHAIN: 'its certificate comes from an authority that is not trusted here',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its certificate comes from an authority that is not trusted here',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'its certificate comes from an authority that is not trusted here',
}

function explain(error: unknown, where: string, signal: AbortSignal): DownloadError {
  if (signal.aborted) return new DownloadError('aborted', `${where}: told to stop`, { cause: error })
  if (error instanceof DownloadError) return error
  const code = errorCode(error) ?? ''
  const words = wordsOf[code]
  const found = words === undefined ? describeError(error) : `${words} (${code})`
  // Node's parser says HPE_… when it is no HTTP, or the headers are too large.
  return new DownloadError(code.startsWith('HPE_') ? 'protocol' : 'network', `${where}: ${found}`, { cause: error })
}
