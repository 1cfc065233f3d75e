import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { request } from 'node:http'
import { connect, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import * as v from 'valibot'
import { describe, expect, onTestFinished, test } from 'vitest'
import { type Metrics, metricEntries } from '../../src/core/metrics.ts'
import { startWeb, type WebOptions } from '../../src/system/web.ts'
import { parseExposition } from '../support/exposition.ts'
import { findProgram, freePort } from '../support/mosquitto.ts'

const counts = { frames_captured_total: 120, frames_inferred_total: 100, frames_dropped_total: 15, events_total: 0 }

/** Every metric, each with a value of its own. */
const metrics: Metrics = v.parse(v.strictObject(metricEntries), {
  ...Object.fromEntries(Object.keys(metricEntries).map((key, i) => [key, i + 1])),
  ...counts,
  temp_c: 61.25,
  vision_rss_mb: null,
  throttled: true,
  undervoltage: null,
  governor_active: false,
  camera_online: true,
  mqtt_connected: true,
})

async function web(options: Partial<WebOptions> = {}) {
  const port = options.port ?? (await freePort())
  const server = await startWeb({
    metrics: () => metrics,
    health: () => ({ isLive: true, isReady: true, reason: null }),
    labels: () => ({ version: '1.2.3', model: 'ssd "lite"\\\n1', id: 'porch' }),
    ...options,
    port,
  })
  let isOver = false
  const stop = async () => {
    if (!isOver) await server[Symbol.asyncDispose]()
    isOver = true
  }
  onTestFinished(stop)
  return { port, stop, page: (path: string, init?: RequestInit) => fetch(`http://127.0.0.1:${port}${path}`, init) }
}

/** fetch() lets nobody choose the Host header. */
async function statusFor(port: number, host: string): Promise<number | undefined> {
  const sent = request({ port, host: '127.0.0.1', path: '/healthz', headers: { Host: host } }).end()
  const [response] = await once(sent, 'response')
  response.resume()
  return response.statusCode
}

async function open(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  onTestFinished(() => {
    socket.destroy()
  })
  await once(socket, 'connect')
  return socket
}

describe('/metrics', () => {
  test('tells every number under its name, with its help, in a format that a strict reader takes', async () => {
    const response = await (await web()).page('/metrics')
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8')
    const families = parseExposition(await response.text())
    const told = Object.entries(metrics).filter(([, value]) => value !== null)
    expect([...families.keys()].sort()).toEqual(['sightd_build_info', ...told.map(([key]) => `sightd_${key}`)].sort())
    for (const [key, value] of told) {
      expect(families.get(`sightd_${key}`)).toEqual({
        type: key.endsWith('_total') ? 'counter' : 'gauge',
        help: v.getDescription(v.strictObject(metricEntries).entries[v.parse(v.keyof(v.object(metricEntries)), key)]),
        samples: [expect.objectContaining({ labels: {}, value: Number(value) })],
      })
    }
  })

  test('says what runs here, whatever its name holds', async () => {
    const families = parseExposition(await (await (await web()).page('/metrics')).text())
    expect(families.get('sightd_build_info')).toMatchObject({
      type: 'gauge',
      samples: [{ labels: { version: '1.2.3', model: 'ssd "lite"\\\n1', id: 'porch' }, value: 1 }],
    })
  })

  test('tells what is true now: counters grow, and what is no longer known is gone', async () => {
    let now = metrics
    const { page } = await web({ metrics: () => now })
    const read = async () => parseExposition(await (await page('/metrics')).text())
    expect((await read()).get('sightd_temp_c')?.samples[0]?.value).toBe(61.25)
    now = { ...metrics, temp_c: null, frames_captured_total: 121 }
    const families = await read()
    expect(families.has('sightd_temp_c')).toBe(false)
    expect(families.get('sightd_frames_captured_total')?.samples[0]?.value).toBe(121)
  })

  test('is broken, and nothing else, when a number makes no sense', async () => {
    const { page } = await web({ metrics: () => ({ ...metrics, events_total: -1 }) })
    expect((await page('/metrics')).status).toBe(500)
    expect((await page('/healthz')).status).toBe(200)
  })

  const promtool = findProgram('promtool') ?? ''
  test.skipIf(promtool === '')('promtool can read it (skipped where promtool is not installed)', async () => {
    const { page } = await web()
    const check = spawn(promtool, ['check', 'metrics'], { stdio: ['pipe', 'ignore', 'pipe'] })
    check.stdin.end(await (await page('/metrics')).text())
    const [problems, [code]] = await Promise.all([text(check.stderr), once(check, 'close')])
    // Its only objections are of taste: it wants units spelled out, where our names are those of the MQTT topic.
    const others = problems
      .split('\n')
      .filter((line) => line !== '' && !line.endsWith('metric names should not contain abbreviated units'))
    expect(others).toEqual([])
    expect([0, 3]).toContain(code)
  })
})

describe('/healthz and /readyz', () => {
  test.each([
    [true, true, null, 200, 'ok\n', 200, 'ok\n'],
    [true, false, 'model:\nnot  there', 200, 'ok\n', 503, 'model: not there\n'],
    [false, false, 'no progress for 10 s', 503, 'no progress for 10 s\n', 503, 'no progress for 10 s\n'],
    [false, false, null, 503, 'not alive\n', 503, 'not ready\n'],
  ])('live %s, ready %s, %j', async (isLive, isReady, reason, health, healthText, ready, readyText) => {
    const { page } = await web({ health: () => ({ isLive, isReady, reason }) })
    const [healthz, readyz] = [await page('/healthz'), await page('/readyz')]
    expect([healthz.status, await healthz.text()]).toEqual([health, healthText])
    expect([readyz.status, await readyz.text()]).toEqual([ready, readyText])
  })
})

describe('requests', () => {
  test('HEAD has the head of GET and no body; a query changes nothing', async () => {
    const { page } = await web()
    const [head, get] = [await page('/metrics', { method: 'HEAD' }), await page('/metrics?x=1')]
    expect(head.status).toBe(200)
    expect(head.headers.get('content-length')).toBe(String(Buffer.byteLength(await get.text())))
    expect(await head.text()).toBe('')
  })

  test.each(['/', '/metrics/', '/healthz/../metrics2', '//metrics', '/METRICS'])('%s is not there', async (path) => {
    expect((await (await web()).page(path)).status).toBe(404)
  })

  test.each(['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH'])('%s is not allowed', async (method) => {
    const response = await (await web()).page('/metrics', { method })
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'GET, HEAD'])
  })

  test('only names of this machine are answered: a page from elsewhere that is resolved to it is not', async () => {
    const { port } = await web()
    for (const host of ['127.0.0.1', `127.0.0.1:${port}`, 'localhost', `LOCALHOST:${port}`, `[::1]:${port}`, '[::1]'])
      expect([host, await statusFor(port, host)]).toEqual([host, 200])
    for (const host of ['evil.example', '127.0.0.1.evil.example', 'localhost.', '127.0.0.2', `evil@localhost`, '::1'])
      expect([host, await statusFor(port, host)]).toEqual([host, 403])
  })

  test('a request without a Host header, as old clients send it, is refused too', async () => {
    const socket = await open((await web()).port)
    socket.write('GET /healthz HTTP/1.0\r\n\r\n')
    expect(await text(socket)).toMatch(/^HTTP\/1\.1 403 /)
  })

  test('a connection carries one request, even if more are sent', async () => {
    const socket = await open((await web()).port)
    const get = 'GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n'
    socket.write(`${get}${get}`)
    const answer = await text(socket)
    expect(answer.match(/HTTP\/1\.1 200 OK/g)).toHaveLength(1)
    expect(answer).toContain('Connection: close')
  })

  test('what is no HTTP, or has a head without end, is answered with an error and the end', async () => {
    const { port } = await web()
    const [nonsense, long] = [await open(port), await open(port)]
    nonsense.write('\x16\x03\x01 hello\r\n\r\n')
    expect(await text(nonsense)).toMatch(/^HTTP\/1\.1 400 /)
    long.write(`GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(9000)}\r\n`)
    expect(await text(long)).toMatch(/^HTTP\/1\.1 431 /)
  })

  test('who says nothing, or half of it, is cut off', async () => {
    const { port } = await web()
    const [silent, slow] = [await open(port), await open(port)]
    slow.write('GET /healthz HTTP/1.1\r\nHost: localhost\r\n')
    // The half request keeps talking: silence is not what ends it.
    const drip = setInterval(() => slow.write('X: y\r\n'), 500)
    onTestFinished(() => clearInterval(drip))
    const startMs = performance.now()
    for (const socket of [silent, slow]) socket.on('error', () => {}).resume()
    await Promise.all([silent, slow].map(async (socket) => socket.destroyed || (await once(socket, 'close'))))
    expect(performance.now() - startMs).toBeLessThan(10_000)
  })
})

describe('connections', () => {
  test('beyond 16 are turned away, until one ends', async () => {
    const { port, page } = await web()
    const held = await Promise.all(Array.from({ length: 16 }, () => open(port)))
    await expect(page('/healthz')).rejects.toThrow()
    held[0]?.end('GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n')
    await text(held[0] ?? process.stdin)
    expect((await page('/healthz')).status).toBe(200)
  })

  test('are on the loopback interface only', async () => {
    const { port } = await web()
    const socket = connect(port, '127.0.0.2')
    await expect(once(socket, 'connect')).rejects.toThrow('ECONNREFUSED')
  })

  test('are gone once it is over, with the port', async () => {
    const { port, stop } = await web()
    const held = await open(port)
    const closed = once(held.resume(), 'close')
    await stop()
    await closed
    await web({ port })
  })

  test('a port that is taken is said by its key', async () => {
    const { port } = await web()
    await expect(web({ port })).rejects.toThrow(`web.port: another program listens on 127.0.0.1:${port}; end it or`)
  })
})
