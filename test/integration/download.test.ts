import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import type { OutgoingHttpHeaders, ServerResponse } from 'node:http'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'
import { download, someFile } from '../support/downloads.ts'
import { HostileServer, serveFile } from '../support/hostile-server.ts'
import { tempFolder } from '../support/temp-folder.ts'

const { bytes, target } = someFile()
const { length } = bytes
const half = 150_000
const fromHalf = `bytes=${half}-`
const good = `bytes ${half}-${length - 1}/${length}`
const problem = (reason: string, message: RegExp) => ({ reason, message: expect.stringMatching(message) })

const script = fileURLToPath(new URL('../support/downloading-device.ts', import.meta.url))
const canTrace = spawnSync('strace', ['-f', 'true']).status === 0

/** Gives the first half and is cut; what comes then is up to the test. */
function brokenThen(
  answer: (response: ServerResponse, nth: number) => unknown,
  headers: OutgoingHttpHeaders = { etag: '"a"' },
) {
  return HostileServer.start((response, _, nth) => {
    if (nth > 0) return answer(response, nth)
    response.writeHead(200, { 'content-length': length, ...headers })
    return response.write(bytes.subarray(0, half), () => response.socket?.destroy())
  })
}

describe('row 32: a resumed download', () => {
  // What follows the headers is right: only they tell that something is wrong.
  test.each([
    ['an early start', { 'content-range': `bytes ${half - 5}-${length - 1}/${length}` }],
    ['a late start', { 'content-range': `bytes ${half + 5}-${length - 1}/${length}` }],
    ['a negative range', { 'content-range': `bytes ${length - 1}-${half}/${length}` }],
    ['an early end', { 'content-range': `bytes ${half}-${length - 2}/${length}` }],
    ['another length', { 'content-range': `bytes ${half}-${length - 1}/${length + 1}` }],
    ['an unknown length', { 'content-range': `bytes ${half}-${length - 1}/*` }],
    ['no length', { 'content-range': `bytes ${half}-${length - 1}` }],
    ['a garbled start', { 'content-range': `bytes abc-${length - 1}/${length}` }],
    ['a garbled end', { 'content-range': `bytes ${half}-29999o/${length}` }],
    ['a garbled unit', { 'content-range': `abcde ${half}-${length - 1}/${length}` }],
    ['no unit', { 'content-range': `${half}-${length - 1}/${length}` }],
    ['the unit alone', { 'content-range': 'bytes ' }],
    ['one number', { 'content-range': `bytes ${half}` }],
    ['three numbers', { 'content-range': `bytes ${half}-${length - 1}-5/${length}` }],
    ['two ranges', { 'content-range': [good, 'bytes 7-8/20'] }],
    ['no Content-Range', { 'content-range': [] }],
    ['another Content-Length', { 'content-length': half - 1 }],
    ['another tag', { etag: '"b"' }],
    ['a tag that became weak', { etag: 'W/"a"' }],
    ['no tag any more', { etag: [] }],
  ])('%s: refused, and finished elsewhere', async (_, headers) => {
    const server = await brokenThen((response) => {
      const all = { 'content-range': good, 'content-length': half, etag: '"a"', ...headers }
      for (const [name, value] of Object.entries(all)) response.setHeader(name, value)
      response.writeHead(206).end(bytes.subarray(half, half + Number(all['content-length'])))
    })
    const alone = await download(target, [server.url])
    await expect(alone.run()).rejects.toMatchObject(problem('protocol', /asked for bytes 150000-299999 of 300000/))
    expect(server.ranges).toEqual([undefined, fromHalf, fromHalf])
    expect(server.requests[1]?.headers['if-range']).toBe('"a"')

    const mirror = await HostileServer.start(serveFile(bytes))
    server.requests.length = 0
    expect(await (await download(target, [server.url, mirror.url])).run()).toBe(target.sha256)
    expect(mirror.ranges).toEqual([fromHalf])
    // What one mirror calls a version is nothing to another.
    expect(mirror.requests[0]?.headers['if-range']).toBeUndefined()
  })

  const rest = { 'content-range': good, etag: '"a"' }
  const dated = { 'last-modified': 'Sat, 01 Aug 2026 10:00:00 GMT', date: 'Sat, 01 Aug 2026 11:00:00 GMT' }
  const end = (response: ServerResponse) => response.end(bytes.subarray(half))
  test.each([
    [
      'all as asked',
      { etag: '"a"' },
      '"a"',
      (r: ServerResponse) => end(r.writeHead(206, { ...rest, 'content-length': half })),
    ],
    [
      'chunks',
      { etag: '"a"' },
      '"a"',
      (r: ServerResponse) => end(r.writeHead(206, { ...rest, 'transfer-encoding': 'chunked' })),
    ],
    [
      'neither length nor chunks',
      { etag: '"a"' },
      '"a"',
      (r: ServerResponse) => {
        r.socket?.write(`HTTP/1.1 206 OK\r\nContent-Range: ${good}\r\nETag: "a"\r\n\r\n`)
        r.socket?.end(bytes.subarray(half))
      },
    ],
    [
      'a weak tag',
      { etag: 'W/"a"' },
      undefined,
      (r: ServerResponse) => end(r.writeHead(206, { ...rest, etag: 'W/"a"' })),
    ],
    ['no tag at all', {}, undefined, (r: ServerResponse) => end(r.writeHead(206, { 'content-range': good }))],
    [
      'a date',
      dated,
      dated['last-modified'],
      (r: ServerResponse) => end(r.writeHead(206, { ...dated, 'content-range': good })),
    ],
    [
      'no date again',
      dated,
      dated['last-modified'],
      (r: ServerResponse) => end(r.writeHead(206, { 'content-range': good })),
    ],
    ['the whole file again', { etag: '"a"' }, '"a"', (r: ServerResponse) => r.writeHead(200).end(bytes)],
  ])('%s: taken', async (_, first, ifRange, answer) => {
    const server = await brokenThen(answer, first)
    expect(await (await download(target, [server.url])).run()).toBe(target.sha256)
    expect(server.ranges).toEqual([undefined, fromHalf])
    expect(server.requests[1]?.headers['if-range']).toBe(ifRange)
  })

  test('416: begun again at 0', async () => {
    const server = await brokenThen((response, nth) =>
      response.writeHead(nth === 1 ? 416 : 200).end(nth === 1 ? '' : bytes),
    )
    expect(await (await download(target, [server.url])).run()).toBe(target.sha256)
    expect(server.ranges).toEqual([undefined, fromHalf, undefined])
  })

  test('a part that nobody asked for: refused', async () => {
    const server = await HostileServer.start((response) =>
      response.writeHead(206, { 'content-range': `bytes 0-${length - 1}/${length}` }).end(bytes),
    )
    await expect((await download(target, [server.url])).run()).rejects.toMatchObject(problem('protocol', /HTTP 206/))
  })

  test('20 drops: goes on at each, and fetches hardly a byte twice', async () => {
    const big = someFile(4_000_000)
    let sent = 0
    const upTo = Math.ceil(big.bytes.length / 21)
    const server = await HostileServer.start(
      serveFile(big.bytes, { etag: '"a"', upTo, onSent: (sentBytes) => (sent += sentBytes) }),
    )
    expect(await (await download(big.target, [server.url], { maxTries: 2 })).run()).toBe(big.target.sha256)
    expect(server.requests.length).toBeGreaterThanOrEqual(21)
    console.info(`20 drops: ${sent} bytes sent for a file of ${big.bytes.length}: ${sent / big.bytes.length} times`)
    expect(sent / big.bytes.length).toBeLessThan(1.1)
  })

  test('SIGKILL 20 times: goes on at each, and fetches hardly a byte twice', async () => {
    const big = someFile(4_000_000)
    const folder = await tempFolder()
    let sent = 0
    // At each kill 8 KiB may be under way: more would say how fast this machine ends a process, not what is used again.
    const upTo = Math.ceil(big.bytes.length / 21) + 8192
    const onSent = (sentBytes: number) => {
      sent += sentBytes
    }
    const server = await HostileServer.start(serveFile(big.bytes, { upTo, after: 'silence', onSent }))
    const runs: (number | string | null)[] = []
    for (let run = 1; run <= 21; run++) {
      const killAt = run <= 20 ? [`${Math.ceil((run * big.bytes.length) / 21)}`] : []
      const args = [script, server.url, folder, `${big.bytes.length}`, big.target.sha256, ...killAt]
      const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] })
      onTestFinished(() => void child.kill('SIGKILL'))
      const [code, signal] = await once(child, 'close')
      runs.push(code ?? signal)
    }
    expect(runs).toEqual([...Array.from({ length: 20 }, () => 'SIGKILL'), 0])
    expect(await readFile(join(folder, 'blobs', big.target.sha256))).toEqual(big.bytes)
    console.info(`20 kills: ${sent} bytes sent for a file of ${big.bytes.length}: ${sent / big.bytes.length} times`)
    expect(sent / big.bytes.length).toBeLessThan(1.1)
  }, 60_000)

  test('told to stop: keeps the part, and goes on with it the next time', async () => {
    const controller = new AbortController()
    const server = await HostileServer.start(serveFile(bytes, { upTo: half, after: 'silence' }))
    const onProgress = ({ bytes }: { bytes: number }) => bytes >= half && controller.abort()
    const first = await download(target, [server.url], { signal: controller.signal, onProgress, progressEveryMs: 0 })
    await expect(first.run()).rejects.toMatchObject(problem('aborted', /told to stop after 150000 of 300000 bytes/))
    expect(await first.partBytes()).toBe(half)
    expect(await (await download(target, [server.url], { folder: first.folder })).run()).toBe(target.sha256)
    expect(server.ranges).toEqual([undefined, fromHalf])
  })

  test('a stop ends the pause between two tries', async () => {
    const controller = new AbortController()
    const server = await HostileServer.start((response) => {
      // Closed by the other end, which has read the answer.
      response.socket?.once('close', () => controller.abort())
      response.writeHead(503, { connection: 'keep-alive' }).end()
    })
    const backoff = { firstMs: 1e6, lastMs: 1e6 }
    const { run } = await download(target, [server.url], { signal: controller.signal, backoff })
    await expect(run()).rejects.toMatchObject({ reason: 'aborted' })
  })
})

test.skipIf(!canTrace)('is on the disk every 1 MiB, and before its name is (skipped without strace)', async () => {
  const big = someFile(2_500_000)
  const [server, folder] = [await HostileServer.start(serveFile(big.bytes)), await tempFolder()]
  const device = [process.execPath, script, server.url, folder, `${big.bytes.length}`, big.target.sha256]
  const child = spawn('strace', ['-f', '-y', '-e', 'trace=fsync,rename', ...device], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const calls: string[] = []
  createInterface(child.stderr).on('line', (line) => {
    const [, call, where] = /(fsync|rename)\((.*)/.exec(line.replaceAll(big.target.sha256, 'X')) ?? []
    const place = where?.split(`${folder}/`)[1]?.replace(/[">].*/, '')
    if (place !== undefined) calls.push(`${call} ${place}`)
  })
  expect(await once(child, 'close')).toEqual([0, null])
  const each = 'fsync part/X'
  expect(calls).toEqual([each, each, each, 'rename part/X', 'fsync blobs', 'fsync part'])
})
