import { mkdir, writeFile } from 'node:fs/promises'
import type { ServerResponse } from 'node:http'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { download, httpTransport, someFile } from '../support/downloads.ts'
import { endless, HostileServer, serveFile } from '../support/hostile-server.ts'

const { bytes, target } = someFile()
const { length } = bytes
const half = 150_000
const fromHalf = `bytes=${half}-`
const problem = (reason: string, message: RegExp) => ({ reason, message: expect.stringMatching(message) })

describe('row 28: a body longer than was signed', () => {
  test.each([
    ['says so', (response: ServerResponse) => response.writeHead(200, { 'content-length': length + 1 }).end()],
    ['without a length', (response: ServerResponse) => endless(response.writeHead(200, { connection: 'close' }))],
    ['in chunks', (response: ServerResponse) => endless(response.writeHead(200, { 'transfer-encoding': 'chunked' }))],
  ])('%s: stopped, and finished elsewhere', async (_, answer) => {
    const server = await HostileServer.start(answer)
    const alone = await download(target, [server.url])
    await expect(alone.run()).rejects.toMatchObject(problem('too_large', /300000|300001/))
    expect(await alone.partBytes()).toBe(0)
    const mirror = await HostileServer.start(serveFile(bytes))
    expect(await (await download(target, [server.url, mirror.url])).run()).toBe(target.sha256)
    expect(mirror.ranges).toEqual([undefined])
  })
})

describe('row 29: a server that trickles', () => {
  test('is cut by the minimum rate, and the rest comes from a mirror', async () => {
    const server = await HostileServer.start((response) => {
      response.writeHead(200, { 'content-length': length }).write(bytes.subarray(0, half))
      let at = half
      const timer = setInterval(() => response.write(bytes.subarray(at, ++at)), 5)
      response.once('close', () => clearInterval(timer))
    })
    const mirror = await HostileServer.start(serveFile(bytes))
    // The first window has the first half in it.
    const slow = httpTransport(server.url, { limits: { minBytesPerS: 1024, windowMs: 200 } })
    await expect((await download(target, [slow], { maxTries: 1 })).run()).rejects.toMatchObject(
      problem('too_slow', /gives \d+ bytes\/s, has to be at least 1024 bytes\/s over 0.2 s/),
    )
    expect(await (await download(target, [slow, mirror.url])).run()).toBe(target.sha256)
    expect(Number(/\d+/.exec(mirror.ranges[0] ?? ''))).toBeGreaterThan(half)
  })

  test('or falls silent', async () => {
    const server = await HostileServer.start(serveFile(bytes, { upTo: half, after: 'silence' }))
    const mirror = await HostileServer.start(serveFile(bytes))
    const silent = httpTransport(server.url, { limits: { idleMs: 50 } })
    expect(await (await download(target, [silent, mirror.url])).run()).toBe(target.sha256)
    expect(mirror.ranges).toEqual([fromHalf])
  })

  test('is not cut while we are the slow ones', async () => {
    const server = await HostileServer.start(serveFile(bytes))
    const strict = httpTransport(server.url, { limits: { idleMs: 40, minBytesPerS: 1e9, windowMs: 30_000 } })
    const pause = new Int32Array(new SharedArrayBuffer(4))
    const onProgress = () => void Atomics.wait(pause, 0, 0, 60)
    expect(await (await download(target, [strict], { onProgress, progressEveryMs: 0 })).run()).toBe(target.sha256)
    expect(server.requests).toHaveLength(1)
  })
})

describe('row 33: other bytes than were signed', () => {
  const other = someFile(length).bytes

  test('replaced on the server between two halves: begun again at 0, and right then', async () => {
    const server = await HostileServer.start((response, request, nth) =>
      serveFile(nth === 1 ? other : bytes, { upTo: nth === 0 ? half : length })(response, request, nth),
    )
    expect(await (await download(target, [server.url])).run()).toBe(target.sha256)
    expect(server.ranges).toEqual([undefined, fromHalf, undefined])
  })

  test('replaced for good: tried once more from 0, then given up, and nothing left', async () => {
    const server = await HostileServer.start(serveFile(other))
    const { run, partBytes } = await download(target, [server.url])
    await expect(run()).rejects.toMatchObject(
      problem('digest', new RegExp(`not with the signed SHA-256 ${target.sha256}`)),
    )
    expect(server.ranges).toEqual([undefined, undefined])
    expect(await partBytes()).toBe(0)
  })

  test('one of two mirrors serves other bytes: found out, though the good one is cut as well', async () => {
    const honest = await HostileServer.start((response, request, nth) =>
      nth === 1 || nth === 3
        ? response.writeHead(503).end()
        : serveFile(bytes, { upTo: nth < 3 ? half : length })(response, request, nth),
    )
    const liar = await HostileServer.start(serveFile(other))
    expect(await (await download(target, [honest.url, liar.url])).run()).toBe(target.sha256)
    expect(await (await download(target, [liar.url, honest.url])).run()).toBe(target.sha256)
  })

  test('a part left by an earlier run: gone on with when it fits, thrown away when not', async () => {
    const server = await HostileServer.start(serveFile(bytes))
    const leave = async (content: Uint8Array) => {
      const started = await download(target, [server.url])
      await mkdir(join(started.folder, 'part'))
      await writeFile(started.part, content)
      expect(await started.run()).toBe(target.sha256)
      return server.requests.splice(0).map(({ headers }) => headers.range)
    }
    expect(await leave(bytes.subarray(0, half))).toEqual([fromHalf])
    expect(await leave(other.subarray(0, half))).toEqual([fromHalf, undefined])
    expect(await leave(bytes)).toEqual([])
    expect(await leave(other)).toEqual([undefined])
    expect(await leave(Buffer.concat([bytes, other]))).toEqual([undefined])
  })
})
