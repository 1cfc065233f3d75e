import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { onTestFinished } from 'vitest'

type Answer = (response: ServerResponse, request: IncomingMessage, nth: number) => void

/** A real web server that answers as a test says, the first request (`nth` 0) and all others. */
export class HostileServer {
  readonly url: string
  readonly host: string
  readonly requests: { readonly url: string; readonly headers: IncomingHttpHeaders }[] = []
  answer: Answer

  private constructor(host: string, answer: Answer, isTls: boolean) {
    this.host = host
    this.url = `${isTls ? 'https' : 'http'}://${host}`
    this.answer = answer
  }

  static async start(answer: Answer, tls?: { key: string; cert: string }): Promise<HostileServer> {
    const server =
      tls === undefined
        ? createServer()
        : createTlsServer({ key: await readFile(tls.key), cert: await readFile(tls.cert) })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    onTestFinished(() => {
      server.close()
      server.closeAllConnections()
    })
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('no port')
    const hostile = new HostileServer(`127.0.0.1:${address.port}`, answer, tls !== undefined)
    server.on('request', (request, response) => {
      response.on('error', () => {})
      const nth = hostile.requests.push({ url: request.url ?? '', headers: request.headers }) - 1
      hostile.answer(response, request, nth)
    })
    return hostile
  }

  /** The Range header of each request. */
  get ranges(): (string | undefined)[] {
    return this.requests.map(({ headers }) => headers.range)
  }
}

type FileOptions = {
  readonly etag?: string
  /** Bytes per answer; then the link is cut, or carries nothing more. */
  readonly upTo?: number
  readonly after?: 'cut' | 'silence'
  /** Called with what goes onto the link. */
  readonly onSent?: (bytes: number) => void
}

/** A server as it should be, on a link that may not be. */
export function serveFile(
  file: Uint8Array,
  { etag, upTo = Number.POSITIVE_INFINITY, after = 'cut', onSent = () => {} }: FileOptions = {},
): Answer {
  return (response, request) => {
    const isSame = request.headers['if-range'] === undefined || request.headers['if-range'] === etag
    const [, start] = (isSame && /^bytes=(\d+)-$/.exec(request.headers.range ?? '')) || []
    const first = Number(start ?? 0)
    if (first >= file.length) {
      response.writeHead(416, { 'content-range': `bytes */${file.length}` }).end()
      return
    }
    response.writeHead(start === undefined ? 200 : 206, {
      'content-length': file.length - first,
      ...(etag === undefined ? {} : { etag }),
      ...(start === undefined ? {} : { 'content-range': `bytes ${first}-${file.length - 1}/${file.length}` }),
    })
    const body = file.subarray(first, first + upTo)
    onSent(body.length)
    if (first + body.length === file.length) response.end(body)
    else response.write(body, () => after === 'cut' && response.socket?.destroy())
  }
}

/** A body that has no end, as fast as it is taken. */
export function endless(response: ServerResponse): void {
  const chunk = Buffer.alloc(16 * 1024)
  const more = () => {
    while (response.write(chunk));
  }
  response.on('drain', more)
  more()
}
