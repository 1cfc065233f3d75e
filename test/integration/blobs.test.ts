import { execFileSync, spawnSync } from 'node:child_process'
import { renameSync, writeFileSync } from 'node:fs'
import { appendFile, chown, link, lstat, mkdir, readFile, rename, symlink, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { downloadBlob } from '../../src/ota/download.ts'
import { readBlob } from '../../src/ota/part-file.ts'
import { download, httpTransport, never, someFile } from '../support/downloads.ts'
import { HostileServer, serveFile } from '../support/hostile-server.ts'
import { tempFolder } from '../support/temp-folder.ts'

const { bytes, target } = someFile()
const { length } = bytes
const problem = (reason: string, message: RegExp) => ({ reason, message: expect.stringMatching(message) })

async function start(options = {}) {
  const server = await HostileServer.start(serveFile(bytes))
  return { server, ...(await download(target, [server.url], { progressEveryMs: 0, ...options })) }
}

test('what is there already is not fetched again; what went bad is', async () => {
  const { server, blob, run } = await start()
  expect(await run()).toBe(target.sha256)
  expect((await lstat(blob)).mode & 0o777).toBe(0o600)
  expect(await run()).toBe(target.sha256)
  expect(server.requests).toHaveLength(1)
  await truncate(blob, 5)
  expect(await run()).toBe(target.sha256)
  expect(server.requests).toHaveLength(2)
})

describe('row 37: something planted', () => {
  const kinds: readonly [string, (path: string, victim: string) => Promise<unknown>][] = [
    ['a symlink', (path, victim) => symlink(victim, path)],
    ['a dangling symlink', (path, victim) => symlink(`${victim}.new`, path)],
    ['a hard link', (path, victim) => link(victim, path)],
    ['a FIFO', async (path) => execFileSync('mkfifo', [path])],
    [
      'a socket',
      async (path) => execFileSync('python3', ['-c', `import socket;socket.socket(1).bind(${JSON.stringify(path)})`]),
    ],
  ]

  describe.each(['part', 'blobs'])('in %s/', (place) => {
    test.each(kinds)('%s: not followed, and replaced', async (_, plant) => {
      const { folder, run, blob } = await start()
      const victim = join(folder, 'victim')
      // As if it were the file: what is wrong is only what kind of file it is.
      await writeFile(victim, bytes.subarray(0, 1000))
      await mkdir(join(folder, place))
      await plant(join(folder, place, target.sha256), victim)
      expect(await run()).toBe(target.sha256)
      expect(await readFile(victim)).toEqual(bytes.subarray(0, 1000))
      expect(await lstat(`${victim}.new`).catch(() => 'none')).toBe('none')
      const stats = await lstat(blob)
      expect([stats.isFile(), stats.nlink]).toEqual([true, 1])
    })

    test('a folder: an error that says so', async () => {
      const { folder, run } = await start()
      await mkdir(join(folder, place, target.sha256), { recursive: true })
      await expect(run()).rejects.toMatchObject(problem('storage', /directory/))
    })

    test('a link in place of the folder itself: an error that says so', async () => {
      const { folder, run } = await start()
      await symlink(await tempFolder(), join(folder, place))
      await expect(run()).rejects.toMatchObject(problem('storage', /something else in place of the folder/))
    })

    test.skipIf(process.geteuid?.() !== 0)("another user's file: not used (skipped unless root)", async () => {
      const { server, folder, run, blob } = await start()
      const path = join(folder, place, target.sha256)
      await mkdir(join(folder, place))
      await writeFile(path, bytes)
      await chown(path, 12_345, 12_345)
      expect(await run()).toBe(target.sha256)
      expect(server.ranges).toEqual([undefined])
      expect((await lstat(blob)).uid).toBe(0)
    })
  })

  test('readBlob takes none of them, though the bytes are right', async () => {
    const { folder } = await start()
    const victim = join(folder, 'victim')
    await writeFile(victim, bytes)
    await mkdir(join(folder, 'blobs'))
    const path = join(folder, 'blobs', target.sha256)
    for (const [, plant] of kinds) {
      await plant(path, victim)
      expect(await readBlob(folder, target)).toBeUndefined()
      await rename(path, `${path}.old`)
      execFileSync('rm', [`${path}.old`])
    }
    await rename(victim, path)
    expect(await readBlob(folder, target)).toEqual(bytes)
  })
})

describe('row 38: changed between proof and use', () => {
  const other = someFile(length).bytes

  test('readBlob gives bytes that it has proved, whatever becomes of the file', async () => {
    const { folder, blob, run } = await start()
    await run()
    const loaded = await readBlob(folder, target)
    await writeFile(blob, other)
    expect(loaded).toEqual(bytes)
    expect(await readBlob(folder, target)).toBeUndefined()
    await writeFile(blob, bytes)
    await appendFile(blob, 'x')
    expect(await readBlob(folder, target)).toBeUndefined()
    execFileSync('rm', [blob])
    expect(await readBlob(folder, target)).toBeUndefined()
  })

  test('written over while it came: what counts is what is in the file', async () => {
    let isDone = false
    const onProgress = ({ bytes: count }: { bytes: number }) => {
      if (count === length && !isDone) writeFileSync(part, other)
      isDone ||= count === length
    }
    const { server, part, run } = await start({ onProgress })
    expect(await run()).toBe(target.sha256)
    expect(server.ranges).toEqual([undefined, undefined])
  })

  test('another file put in its place while it came: never a blob', async () => {
    const onProgress = ({ bytes: count }: { bytes: number }) => {
      if (count < length) return
      writeFileSync(`${part}.evil`, other)
      renameSync(`${part}.evil`, part)
    }
    const { folder, part, run } = await start({ onProgress })
    await expect(run()).rejects.toMatchObject(problem('storage', /changed for another file/))
    expect(await readBlob(folder, target)).toBeUndefined()
  })
})

describe('row 34: trailing bytes, or too few', () => {
  test.each([
    ['trailing', 'too_large', Buffer.concat([bytes, Buffer.from('x')])],
    ['truncated', 'protocol', bytes.subarray(0, -1)],
  ])('%s, with a length or in chunks: refused', async (_, reason, body) => {
    for (const isChunked of [false, true]) {
      const server = await HostileServer.start((response) => {
        if (!isChunked) return response.writeHead(200, { 'content-length': body.length }).end(body)
        // What is too much comes later than what is due.
        return response.write(body.subarray(0, length), () => response.end(body.subarray(length)))
      })
      const { folder, run } = await download(target, [server.url])
      await expect(run()).rejects.toMatchObject({ reason })
      expect(await readBlob(folder, target)).toBeUndefined()
    }
  })

  test('cut without a word where no length was told: a cut, not the end', async () => {
    const server = await HostileServer.start((response, request, nth) => {
      const start = nth * 100_000
      if (nth > 1) return serveFile(bytes)(response, request, nth)
      const range = nth === 0 ? '200 OK' : `206 OK\r\nContent-Range: bytes ${start}-${length - 1}/${length}`
      response.socket?.write(`HTTP/1.0 ${range}\r\n\r\n`)
      return response.socket?.end(bytes.subarray(start, start + 100_000))
    })
    expect(await (await download(target, [server.url])).run()).toBe(target.sha256)
    expect(server.ranges).toEqual([undefined, 'bytes=100000-', 'bytes=200000-'])
  })
})

describe('row 39: lengths', () => {
  test.each([
    [0, 'protocol'],
    [-1, 'protocol'],
    [1.5, 'protocol'],
    [Number.NaN, 'protocol'],
    [Number.POSITIVE_INFINITY, 'protocol'],
    [2 ** 53, 'protocol'],
    [300_001, 'too_large'],
    [2 ** 32 + 300_000, 'too_large'],
  ])('%d: refused before anything is asked', async (wrong, reason) => {
    const server = await HostileServer.start(serveFile(bytes))
    const { run } = await download({ ...target, length: wrong }, [server.url], { maxBytes: 300_000 })
    await expect(run()).rejects.toMatchObject({ reason })
    expect(server.requests).toEqual([])
  })

  test.each(['', 'ABC', '../../etc/passwd', target.sha256.toUpperCase(), `${target.sha256}\n`])(
    '%j is no digest, and never a path',
    async (wrong) => {
      const { run } = await download({ ...target, sha256: wrong }, [])
      await expect(run()).rejects.toMatchObject(problem('protocol', /no SHA-256/))
    },
  )

  test('beyond 2 GiB: all of it counts (digest by coreutils)', async () => {
    const big = {
      path: 'big',
      length: 2 ** 31 + 1024,
      sha256: '93520305c270716a4231ee98fe8284f0da46ae0bebf733c74799dfa5e5b7709a',
    }
    const server = await HostileServer.start((response) =>
      response
        .writeHead(206, { 'content-range': `bytes ${2 ** 31}-${2 ** 31 + 1023}/${big.length}` })
        .end('x'.repeat(1024)),
    )
    const { folder, part, blob } = await download(big, [server.url])
    await mkdir(join(folder, 'part'))
    await writeFile(part, '')
    await truncate(part, 2 ** 31)
    const options = {
      transports: [httpTransport(server.url)],
      folder,
      signal: never,
      reserveBytes: 0,
      maxBytes: 2 ** 33,
    }
    expect(await downloadBlob(big, options)).toBe(blob)
    expect(server.ranges).toEqual([`bytes=${2 ** 31}-`])
  }, 120_000)

  test('beyond 4 GiB: asked for as it is', async () => {
    const [fromByte, total] = [2 ** 32 + 5, 2 ** 32 + 15]
    const server = await HostileServer.start((response) =>
      response.writeHead(206, { 'content-range': `bytes ${fromByte}-${total - 1}/${total}` }).end('0123456789'),
    )
    const request = { path: 'big', length: total, fromByte, ifRange: undefined }
    await using source = await httpTransport(server.url).openTarget(request, never)
    expect([source.startByte, server.ranges[0]]).toEqual([fromByte, 'bytes=4294967301-'])
  })
})

describe('a full disk', () => {
  test('too little room: said before anything is asked, and the part makes room for others', async () => {
    const { server, folder, run, partBytes } = await start({ reserveBytes: 2 ** 50 })
    await mkdir(join(folder, 'part'))
    await writeFile(join(folder, 'part', target.sha256), bytes.subarray(0, 1000), { mode: 0o600 })
    await expect(run()).rejects.toMatchObject(problem('no_space', /MiB free, needs 0.3 and 1073741824.0 to spare/))
    expect(server.requests).toEqual([])
    expect(await partBytes()).toBeUndefined()
  })

  const canMount = spawnSync('unshare', ['-m', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt']).status === 0

  test.skipIf(!canMount)(
    'full while it comes: said, and the part removed (skipped where tmpfs can not be mounted)',
    async () => {
      const disk = await tempFolder()
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', disk])
      onTestFinished(() => void execFileSync('umount', ['-l', disk]))
      let fills = 0
      const onProgress = () => fills++ === 0 && spawnSync('dd', ['if=/dev/zero', `of=${join(disk, 'filler')}`, 'bs=4k'])
      const { run, partBytes } = await start({ folder: disk, onProgress })
      await expect(run()).rejects.toMatchObject(
        problem('no_space', /part.*: can't be stored: the disk is full \(ENOSPC/),
      )
      expect(fills).toBeGreaterThan(0)
      expect(await partBytes()).toBeUndefined()
    },
  )
})
