import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import * as v from 'valibot'
import { describeError, SightdError } from '../core/errors.ts'
import { type Metrics, metricEntries } from '../core/metrics.ts'

/** For machines on this board only: metrics for Prometheus, and whether all is well. */

export type WebOptions = {
  readonly port: number
  readonly metrics: () => Metrics
  /** `isLive`: not stuck. `isReady`: does what it is there for. `reason` says in words why not. */
  readonly health: () => { readonly isLive: boolean; readonly isReady: boolean; readonly reason: string | null }
  readonly labels: () => { readonly version: string; readonly model: string; readonly id: string }
}

type Answer = { readonly status: number; readonly text: string; readonly contentType?: string }

/** No client on this board has a reason to be slower. */
const limitMs = 5000

/** How often Node looks for those that are. */
const lookMs = 1000

const maxConnections = 16
const maxHeaderBytes = 8192

/** Names that only this machine answers to: a page elsewhere whose name turns to 127.0.0.1 (DNS rebinding) has another. */
const ownHost = /^(127\.0\.0\.1|localhost|\[::1\])(:\d{1,5})?$/i

/** Serves `/metrics`, `/healthz` and `/readyz` until disposed. Throws a SightdError that names web.port if it can't. */
export async function startWeb(options: WebOptions): Promise<AsyncDisposable> {
  // Some megabytes, which a device without this page does not spend.
  const prometheus = await import('prom-client')
  const server = createServer(
    {
      connectionsCheckingInterval: lookMs,
      headersTimeout: limitMs,
      requestTimeout: limitMs,
      maxHeaderSize: maxHeaderBytes,
    },
    (request, response) => {
      void answer(request, options, prometheus).then(({ status, text, contentType = plainText }) => {
        response.writeHead(status, {
          'Content-Type': contentType,
          'Content-Length': Buffer.byteLength(text),
          'Cache-Control': 'no-store',
          'X-Content-Type-Options': 'nosniff',
          // One request a connection, so that none stays.
          Connection: 'close',
          ...(status === 405 ? { Allow: 'GET, HEAD' } : {}),
        })
        // Node leaves the body away for HEAD.
        response.end(text)
      })
    },
  )
  server.maxConnections = maxConnections
  await listen(server, options.port)
  // Too many open files, say: whoever can't be served asks again.
  server.on('error', () => {})
  return {
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}

async function listen(server: Server, port: number): Promise<void> {
  server.listen(port, '127.0.0.1')
  try {
    await once(server, 'listening')
  } catch (error) {
    const isTaken = error instanceof Error && 'code' in error && error.code === 'EADDRINUSE'
    throw new SightdError(
      'config_invalid',
      isTaken
        ? `web.port: another program listens on 127.0.0.1:${port}; end it or choose another port`
        : `web.port: can't listen on 127.0.0.1:${port}`,
      { cause: error },
    )
  }
}

const plainText = 'text/plain; charset=utf-8'

/** Never throws: a number that can't be told is no reason to stop watching. */
async function answer(request: IncomingMessage, options: WebOptions, prometheus: Prometheus): Promise<Answer> {
  try {
    return await decide(request, options, prometheus)
  } catch (error) {
    return { status: 500, text: `this page is broken: ${oneLine(describeError(error))}\n` }
  }
}

async function decide(
  { headers, method = '', url = '' }: IncomingMessage,
  { metrics, health, labels }: WebOptions,
  prometheus: Prometheus,
): Promise<Answer> {
  if (!ownHost.test(headers.host ?? '')) return { status: 403, text: 'this page is for 127.0.0.1 only\n' }
  if (method !== 'GET' && method !== 'HEAD') return { status: 405, text: 'GET and HEAD only\n' }
  const { isLive, isReady, reason } = health()
  switch (url.split('?', 1)[0]) {
    case '/metrics':
      return { status: 200, ...(await expose(metrics(), labels(), prometheus)) }
    case '/healthz':
      return condition(isLive, reason ?? 'not alive')
    case '/readyz':
      return condition(isReady, reason ?? 'not ready')
    default:
      return { status: 404, text: 'there are /metrics, /healthz and /readyz\n' }
  }
}

function condition(isGood: boolean, reason: string): Answer {
  return isGood ? { status: 200, text: 'ok\n' } : { status: 503, text: `${oneLine(reason)}\n` }
}

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, ' ')
}

type Prometheus = typeof import('prom-client')

/** In Prometheus' text format 0.0.4. Made anew each time: what is not known has no metric, and nothing is left of before. */
async function expose(
  metrics: Metrics,
  labels: ReturnType<WebOptions['labels']>,
  { Counter, Gauge, Registry }: Prometheus,
): Promise<Pick<Answer, 'text' | 'contentType'>> {
  const registry = new Registry()
  const registers = [registry]
  for (const [key, value] of Object.entries(metrics)) {
    if (value === null) continue
    const settings = { name: `sightd_${key}`, help: helpOf.get(key) ?? key, registers }
    if (key.endsWith('_total')) new Counter(settings).inc(Number(value))
    else new Gauge(settings).set(Number(value))
  }
  const labelNames = Object.keys(labels)
  new Gauge({ name: 'sightd_build_info', help: 'What runs here; always 1.', labelNames, registers }).set(labels, 1)
  return { text: await registry.metrics(), contentType: registry.contentType }
}

const helpOf = new Map(Object.entries(metricEntries).map(([key, schema]) => [key, v.getDescription(schema)]))
