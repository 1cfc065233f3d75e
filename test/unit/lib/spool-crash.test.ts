import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as v from 'valibot'
import { describe, expect, onTestFinished, test } from 'vitest'
import { Spool } from '../../../src/lib/spool.ts'
import { tempFolder } from '../../support/temp-folder.ts'
import { crashed, drain, expectExact, segmentsIn } from './spool-tools.ts'

/** With disks that are full, read-only or broken, and processes that are killed: none of it is simulated but the bad disk. */

const child = fileURLToPath(new URL('./spool-child.ts', import.meta.url))

/** Starts a command; with `killAfter` it is killed when it has written so many lines. Only whole lines are given. */
async function linesOf(command: readonly string[], { killAfter }: { killAfter?: number } = {}): Promise<string[]> {
  const [program = '', ...args] = command
  const running = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  onTestFinished(() => {
    running.kill('SIGKILL')
  })
  let output = ''
  let lines = 0
  running.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
    lines += text.split('\n').length - 1
    if (killAfter !== undefined && lines >= killAfter) running.kill('SIGKILL')
  })
  const [code, signal] = await once(running, 'close')
  expect([code, signal]).toEqual(killAfter === undefined ? [0, null] : [null, 'SIGKILL'])
  return output.split('\n').slice(0, -1)
}

const openLarge = async (folder: string) => {
  const spool = await Spool.open({ folder, maxBytes: 1024 * 1024, maxAgeMs: 1e12, segmentBytes: 8192 })
  onTestFinished(() => spool[Symbol.asyncDispose]())
  return spool
}
const idsIn = async (folder: string) =>
  (await drain(await openLarge(folder))).map((payload) => payload.replace(/ .*/, ''))

test('what was stored survives a kill at any moment', { timeout: 120_000 }, async () => {
  const folder = await tempFolder()
  const appended = new Map<string, number>()
  const stored = new Set<string>()
  const acked = new Set<string>()
  for (let run = 0; run < 30; run++) {
    const killAfter = 1 + Math.floor(Math.random() * 300)
    const ids = new Map<number, string>()
    for (const line of await linesOf([process.execPath, child, 'work', folder, String(run)], { killAfter })) {
      const [what, one = '', two = ''] = line.split(' ')
      if (what === 'acked') acked.add(one)
      if (what === 'appended') {
        ids.set(Number(one), two)
        appended.set(two, appended.size)
      }
      if (what === 'stored') for (const [seq, id] of ids) if (seq <= Number(one)) stored.add(id)
    }
    // A look at a copy: the next run finds what the kill has left, not what we made of it.
    const found = await idsIn(await crashed(folder))
    expect(
      [...stored].filter((id) => !acked.has(id) && !found.includes(id)),
      `lost in run ${run}`,
    ).toEqual([])
    const places = found.map((id) => appended.get(id) ?? Number.NaN)
    expect(places, `the order in run ${run}`).toEqual([...new Set(places)].sort((a, b) => a - b))
  }
  expect(stored.size).toBeGreaterThan(100)
})

const counts = v.object({ found: v.number(), stored: v.number(), pending: v.number(), problem: v.optional(v.string()) })
const fill = async (folder: string, wrapper: readonly string[]) =>
  (await linesOf([...wrapper, process.execPath, child, 'fill', folder])).map((line) =>
    v.parse(counts, JSON.parse(line)),
  )
const all = Array.from({ length: 100 }, (_, i) => String(i).padStart(2, '0'))

test('a limit on the size of files is a problem, and no end', async () => {
  const folder = await tempFolder()
  const flushes = await fill(folder, ['prlimit', '--fsize=6000'])
  expect(flushes[0]).toEqual({ found: 0, stored: 10, pending: 10 })
  expect(flushes[1]).toEqual({
    found: 0,
    stored: 10,
    pending: 20,
    problem: expect.stringContaining('size is reached (EFBIG'),
  })
  expect(flushes[2]).toMatchObject({ pending: 30, problem: expect.stringContaining('EFBIG') })
  expect(await idsIn(folder)).toEqual(all.slice(0, flushes.at(-1)?.stored))
})

test('a shortage of files to open costs nothing: there is just no record now', async () => {
  const folder = await tempFolder()
  await fill(folder, [])
  const lines = await linesOf(['prlimit', '--nofile=60', process.execPath, child, 'short', folder])
  expect(lines.map((line) => JSON.parse(line))).toMatchObject([
    { found: 100, corrupt: 0, pending: 100 },
    { next: 1, found: 100, corrupt: 0, pending: 100 },
  ])
  expect(lines[0]).not.toContain('next')
})

function canRun(command = '', ...args: string[]): boolean {
  try {
    execFileSync(command, args, { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

const strace = ['strace', '-f', '-qq', '-o', '/dev/null']
/** Makes one call of a system call fail: the nth of a thread, of which there is one for the disk (strace(1), "Tampering"). */
const failing = (name: string, nth: number) => [
  ...strace,
  '-E',
  'UV_THREADPOOL_SIZE=1',
  '-e',
  `trace=${name}`,
  '-e',
  `inject=${name}:error=EIO:when=${nth}`,
]
const canTamper = canRun(...strace, '-e', 'inject=sync:error=EIO', 'true')

describe.skipIf(!canTamper)('a disk that fails (needs strace, and leave to trace)', () => {
  test('when syncing has stored nothing, and is written to anew in another segment', async () => {
    const folder = await tempFolder()
    const flushes = await fill(folder, failing('fdatasync', 2))
    expect(flushes[0]).toEqual({ found: 0, stored: 10, pending: 10 })
    expect(flushes[1]).toEqual({
      found: 0,
      stored: 10,
      pending: 20,
      problem: expect.stringContaining('the disk fails (EIO'),
    })
    expect(flushes[2]).toEqual({ found: 0, stored: 30, pending: 30 })
    expect((await segmentsIn(folder)).slice(0, 2).map((name) => Number.parseInt(name, 10))).toEqual([1, 11])
    expect(await idsIn(folder)).toEqual(all)
  })

  test.each([
    ['oldest', 0, 100],
    ['newest', -1, 81],
  ])('to give the %s file at the start does not cost the file', async (_, place, found) => {
    const folder = await tempFolder()
    await fill(folder, [])
    const path = join(folder, (await segmentsIn(folder)).at(place) ?? '')
    const cantOpen = [...strace, '-P', path, '-e', 'trace=openat', '-e', 'inject=openat:error=EIO']
    const flushes = await fill(folder, cantOpen)
    expect(flushes.at(-1)).toMatchObject({ found, pending: 180 })
    expect(await idsIn(folder)).toEqual([...all, ...all])
  })

  test('when the name of a new segment can not be synced has stored nothing either', async () => {
    const folder = await tempFolder()
    const flushes = await fill(folder, failing('fsync', 1))
    expect(flushes[0]).toEqual({
      found: 0,
      stored: 0,
      pending: 10,
      problem: expect.stringContaining('the disk fails (EIO'),
    })
    expect(flushes[1]).toEqual({ found: 0, stored: 20, pending: 20 })
    expect(await idsIn(folder)).toEqual(all)
  })
})

const canMount = process.getuid?.() === 0 && canRun('unshare', '--mount', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt')

describe.skipIf(!canMount)('a small disk (needs root, and leave to mount)', () => {
  const mounted = async () => {
    const disk = await tempFolder()
    execFileSync('/bin/mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', disk])
    // Before the spools are closed, which comes first: what is done last is undone first.
    onTestFinished(() => void execFileSync('/bin/umount', ['--lazy', disk]))
    return disk
  }
  const appendAndFlush = async (spool: Spool, ids: readonly string[]) => {
    for (const id of ids) {
      spool.append(`${id} ${'x'.repeat(377)}`)
      await spool.flush()
    }
    expectExact(spool)
  }

  test('that is full costs nothing that was stored, and nothing that fits into memory', async () => {
    const disk = await mounted()
    await writeFile(join(disk, 'filling'), Buffer.alloc(40_000))
    const folder = join(disk, 'spool')
    const spool = await openLarge(folder)
    await appendAndFlush(spool, all.slice(0, 70))
    expect(spool.problem).toContain(`${folder}: can't store records: the disk is full (ENOSPC`)
    const { stored } = spool.counts
    expect(stored).toBeGreaterThan(20)
    expect(stored).toBeLessThan(70)
    expect(await idsIn(await crashed(folder))).toEqual(all.slice(0, stored))
    const before = await readdir(folder)
    await appendAndFlush(spool, all.slice(70))
    expect(spool.counts).toMatchObject({ stored, pending: 100, dropped: 0 })
    expect(await readdir(folder), 'no heap of empty files').toEqual(before)
    expect(await idsIn(folder)).toEqual(all.slice(0, stored))

    await rm(join(disk, 'filling'))
    await spool.flush()
    expect(spool.problem).toBeUndefined()
    expect(spool.counts).toMatchObject({ stored: 100, pending: 100, corrupt: 0 })
    expect(await idsIn(await crashed(folder))).toEqual(all)
    expect((await drain(spool)).length).toBe(100)
  })

  test('that was full is well again also when nothing is left to store', async () => {
    const disk = await mounted()
    const spool = await openLarge(join(disk, 'spool'))
    await writeFile(join(disk, 'filling'), Buffer.alloc(64 * 1024)).catch(() => {})
    await appendAndFlush(spool, ['00'])
    expect(spool.problem).toContain('the disk is full')
    spool.ack(1)
    await spool.flush()
    expect(spool.problem).toContain('the disk is full')
    await truncate(join(disk, 'filling'), 0)
    await spool.flush()
    expect(spool.problem).toBeUndefined()
  })

  test('that is read-only costs only what memory has no room for', async () => {
    const disk = await mounted()
    const folder = join(disk, 'spool')
    {
      await using before = await openLarge(folder)
      await appendAndFlush(before, all.slice(0, 30))
    }
    execFileSync('/bin/mount', ['-o', 'remount,ro', disk])
    const spool = await openLarge(folder)
    expect(spool.problem).toBeUndefined()
    await appendAndFlush(spool, all.slice(30, 40))
    expect(spool.problem).toContain('the file system is read-only (EROFS')
    expect(spool.counts).toMatchObject({ found: 30, appended: 10, pending: 40, stored: 30 })
    expect((await drain(spool)).length).toBe(40)
    const segments = await segmentsIn(folder)
    for (let seq = 1; seq <= 25; seq++) spool.ack(seq)
    await spool.flush()
    expect(await segmentsIn(folder), 'nothing can be deleted').toEqual(segments)
    execFileSync('/bin/mount', ['-o', 'remount,rw', disk])
    await spool.flush()
    expect(spool.problem).toBeUndefined()
    expect(await segmentsIn(folder)).not.toContain(segments[0])
    expect(spool.counts).toMatchObject({ acked: 25, pending: 15, stored: 40 })
    expect(await idsIn(await crashed(folder))).toEqual(all.slice(25, 40))
  })
})
