import {
  appendFile,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  rmdir,
  stat,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { describe, expect, test, vi } from 'vitest'
import { encodeRecord } from '../../../src/lib/spool-segment.ts'
import { tempFolder } from '../../support/temp-folder.ts'
import {
  appendAndFlush,
  crashed,
  damage,
  drain,
  expectExact,
  folderWith,
  inPlaceOf,
  openSpool,
  range,
  roomFor,
  segment,
  segmentsIn,
  text,
  texts,
  turnsOfTheLoop,
} from './spool-tools.ts'

describe('handing out', () => {
  test('goes in order, and on with what is appended later', async () => {
    const spool = await openSpool({ folder: await tempFolder() })
    expect(await spool.next()).toBeUndefined()
    expect([spool.append('one'), spool.append('two')]).toEqual([1, 2])
    expect(await spool.next()).toEqual({ seq: 1, atMs: 1_000_000, payload: 'one' })
    expect(await drain(spool)).toEqual(['two'])
    expect(spool.nextSeq).toBe(3)
    expect(spool.append('three')).toBe(3)
    expect(await drain(spool)).toEqual(['three'])
  })

  test('goes from disk to memory without a seam', async () => {
    const spool = await openSpool({ folder: await tempFolder() })
    await appendAndFlush(spool, 1, 7)
    for (const n of range(8, 9)) spool.append(text(n))
    expect(await drain(spool)).toEqual(texts(...range(1, 9)))
    await spool.flush()
    expect(await drain(spool)).toEqual([])
    spool.rewind()
    expect(await drain(spool)).toEqual(texts(...range(1, 9)))
  })

  test('begins again at the oldest one that is not acked after a rewind', async () => {
    const spool = await openSpool({ folder: await tempFolder() })
    await appendAndFlush(spool, 1, 4)
    for (const n of range(5, 6)) spool.append(text(n))
    await drain(spool)
    for (const seq of [1, 3, 5]) spool.ack(seq)
    spool.rewind()
    expect(await drain(spool)).toEqual(texts(2, 4, 6))
  })

  test('gives each of many callers another record', async () => {
    const spool = await openSpool({ folder: await folderWith(7) })
    spool.append(text(8))
    const records = await Promise.all(range(1, 10).map(() => spool.next()))
    expect(records.map((record) => record?.seq)).toEqual([...range(1, 8), undefined, undefined])
  })

  test('heeds a rewind and an ack that come while a segment is read', async () => {
    const spool = await openSpool({ folder: await folderWith(7) })
    for (const _ of range(1, 3)) await spool.next()
    const fourth = spool.next()
    spool.rewind()
    expect((await fourth)?.seq).toBe(1)
    for (const _ of range(2, 3)) await spool.next()
    const fourthAgain = spool.next()
    spool.ack(4)
    expect((await fourthAgain)?.seq).toBe(5)
    expectExact(spool)
  })

  test('gives a payload back as it was, from disk as from memory', async () => {
    const spool = await openSpool({ folder: await tempFolder(), segmentBytes: 200 })
    for (const payload of ['', 'ä€😀', '{"a":"\\n\0"}', 'half \ud83d']) spool.append(payload)
    const expected = ['', 'ä€😀', '{"a":"\\n\0"}', 'half \ufffd']
    expect(await drain(spool)).toEqual(expected)
    await spool.flush()
    spool.rewind()
    expect(await drain(spool)).toEqual(expected)
  })
})

describe('acks', () => {
  test('of records that no flush has seen cost no write', async () => {
    const folder = await tempFolder()
    const spool = await openSpool({ folder })
    for (const n of range(1, 5)) spool.ack(spool.append(text(n)))
    await spool.flush()
    expect(await readdir(folder)).toEqual([])
    expect(spool.counts).toMatchObject({ appended: 5, acked: 5, pending: 0, bytes: 0, stored: 0 })
  })

  test('in between leave the others to be stored', async () => {
    const folder = await tempFolder()
    const spool = await openSpool({ folder })
    for (const n of range(1, 6)) spool.append(text(n))
    for (const seq of [1, 3, 6]) spool.ack(seq)
    await spool.flush()
    expect(spool.counts).toMatchObject({ pending: 3, stored: 5, bytes: roomFor(3) })
    expect(await drain(await openSpool({ folder: await crashed(folder) }))).toEqual(texts(2, 4, 5))
  })

  test.each(range(0, 30))('count also %i turns into a flush: the record does not come back', async (turns) => {
    const spool = await openSpool({ folder: await tempFolder() })
    for (const n of range(1, 3)) spool.append(text(n))
    const flushed = spool.flush()
    await turnsOfTheLoop(turns)
    spool.ack(2)
    await flushed
    expect(await drain(spool)).toEqual(texts(1, 3))
  })

  test.each(range(0, 30))('of all that a flush has begun to write %i turns ago leave no segment', async (turns) => {
    const folder = await tempFolder()
    const spool = await openSpool({ folder })
    spool.append(text(1))
    const flushed = spool.flush()
    await turnsOfTheLoop(turns)
    spool.ack(1)
    await flushed
    await vi.waitFor(async () => expect(await segmentsIn(folder)).toEqual([]), { interval: 1 })
    expect(spool.counts).toMatchObject({ acked: 1, pending: 0, bytes: 0 })
  })

  test.each([0, 3, 99, -1, 1.5, Number.NaN])('of %s, which is not pending, change nothing', async (seq) => {
    const spool = await openSpool({ folder: await tempFolder() })
    for (const n of range(1, 3)) spool.append(text(n))
    spool.ack(3)
    await spool.flush()
    const before = spool.counts
    spool.ack(seq)
    expect(spool.counts).toEqual(before)
  })

  test('count once, on disk and in memory', async () => {
    const spool = await openSpool({ folder: await tempFolder() })
    await appendAndFlush(spool, 1, 2)
    spool.append(text(3))
    for (const seq of [1, 1, 3, 3]) spool.ack(seq)
    expect(spool.counts).toMatchObject({ acked: 2, pending: 1 })
    expectExact(spool)
  })
})

describe('segments', () => {
  test('are named by their first seq and end at their bound', async () => {
    const folder = await tempFolder()
    const spool = await openSpool({ folder })
    await appendAndFlush(spool, 1, 7)
    expect(await segmentsIn(folder)).toEqual([1, 4, 7].map(segment))
    expect((await stat(join(folder, segment(1)))).size).toBe(roomFor(3))
    expect(spool.counts.bytes).toBe(roomFor(7))
    for (const n of range(8, 20)) spool.append(text(n))
    await spool.flush()
    for (const name of await segmentsIn(folder))
      expect((await stat(join(folder, name))).size).toBeLessThanOrEqual(roomFor(3))
  })

  test('are readable by their owner only', async () => {
    const parent = await tempFolder()
    await appendAndFlush(await openSpool({ folder: join(parent, 'spool') }), 1, 1)
    expect((await stat(join(parent, 'spool'))).mode & 0o777).toBe(0o700)
    expect((await stat(join(parent, 'spool', segment(1)))).mode & 0o777).toBe(0o600)
  })

  test('go at once when all is acked, the one that is written too', async () => {
    const folder = await tempFolder()
    const spool = await openSpool({ folder })
    await appendAndFlush(spool, 1, 5)
    for (const seq of [5, 2, 4]) spool.ack(seq)
    await vi.waitFor(async () => expect(await segmentsIn(folder)).toEqual([segment(1)]))
    for (const seq of [1, 3]) spool.ack(seq)
    await vi.waitFor(async () => expect(await segmentsIn(folder)).toEqual([]))
    await appendAndFlush(spool, 6, 6)
    expect(await segmentsIn(folder)).toEqual([segment(6)])
    expect(spool.counts).toMatchObject({ acked: 5, pending: 1, bytes: roomFor(1), stored: 6 })
  })

  test('that are not full are gone on with in the next run', async () => {
    const folder = await folderWith(4)
    const spool = await openSpool({ folder })
    await appendAndFlush(spool, 5, 7)
    expect(await segmentsIn(folder)).toEqual([1, 4, 7].map(segment))
    expect(await drain(await openSpool({ folder: await crashed(folder) }))).toEqual(texts(...range(1, 7)))
  })

  test('that are full are left as they are in the next run', async () => {
    const folder = await folderWith(3)
    await appendAndFlush(await openSpool({ folder }), 4, 4)
    expect(await segmentsIn(folder)).toEqual([1, 4].map(segment))
  })

  test('that can not be deleted are no one’s hindrance', async () => {
    const folder = await tempFolder()
    const spool = await openSpool({ folder })
    await appendAndFlush(spool, 1, 4)
    await inPlaceOf(join(folder, segment(1)))
    for (const seq of range(1, 3)) spool.ack(seq)
    await appendAndFlush(spool, 5, 5)
    expect(spool.problem).toBeUndefined()
    expect(spool.counts).toMatchObject({ pending: 2, stored: 5, bytes: roomFor(5) })
    await rmdir(join(folder, segment(1)))
    await spool.flush()
    expect(spool.counts.bytes).toBe(roomFor(2))
  })

  test('that someone removes while they are written cost only what was in them', async () => {
    const folder = await tempFolder()
    const spool = await openSpool({ folder })
    await appendAndFlush(spool, 1, 5)
    await rm(join(folder, segment(4)))
    spool.append(text(6))
    await spool.flush()
    expect(spool.problem).toBe(
      `${folder}: can't store records: ${join(folder, segment(4))} was removed by someone else`,
    )
    expect(spool.counts).toMatchObject({ stored: 5, pending: 6 })
    await spool.flush()
    expect(spool.problem).toBeUndefined()
    expect(await drain(await openSpool({ folder: await crashed(folder) }))).toEqual(texts(1, 2, 3, 6))
    expect(await drain(spool)).toEqual(texts(1, 2, 3, 6))
    expect(spool.counts.corrupt).toBe(2)
  })
})

describe('flush', () => {
  test('shares a run that has not begun', async () => {
    const spool = await openSpool({ folder: await tempFolder() })
    const first = spool.flush()
    expect(spool.flush()).toBe(first)
    await first
    expect(spool.flush()).not.toBe(first)
  })

  test.each(range(0, 30))('has stored what was appended before it, also %i turns into another one', async (turns) => {
    const spool = await openSpool({ folder: await tempFolder() })
    spool.append(text(1))
    const first = spool.flush()
    await turnsOfTheLoop(turns)
    spool.append(text(2))
    await spool.flush()
    expect(spool.counts.stored).toBe(2)
    await first
  })

  test('ends, even when records are appended as fast as they are stored', async () => {
    const spool = await openSpool({ folder: await tempFolder() })
    spool.append(text(1))
    let isOver = false
    void spool.flush().then(() => {
      isOver = true
    })
    while (!isOver && spool.nextSeq < 100) {
      if (spool.nextSeq < spool.counts.stored + 6) spool.append(text(spool.nextSeq))
      await turnsOfTheLoop(1)
    }
    expect(isOver).toBe(true)
    expect(spool.counts.stored).toBeLessThan(spool.nextSeq - 1)
  })

  test('writes nothing when there is nothing new', async () => {
    const folder = await folderWith(4)
    const spool = await openSpool({ folder })
    const before = await Promise.all((await readdir(folder)).map(async (name) => stat(join(folder, name))))
    for (const _ of range(1, 3)) await spool.flush()
    await spool[Symbol.asyncDispose]()
    expect(await Promise.all((await readdir(folder)).map(async (name) => stat(join(folder, name))))).toEqual(before)
  })

  test('does nothing after the end', async () => {
    const folder = await tempFolder()
    const spool = await openSpool({ folder })
    spool.append(text(1))
    await spool[Symbol.asyncDispose]()
    expect(await drain(await openSpool({ folder: await crashed(folder) }))).toEqual([text(1)])
    spool.append(text(2))
    spool.ack(1)
    await spool.flush()
    await spool[Symbol.asyncDispose]()
    expect(await drain(await openSpool({ folder: await crashed(folder) }))).toEqual([text(1)])
    expectExact(spool)
  })
})

describe('seqs', () => {
  test('go on in the next run, also when everything was acked', async () => {
    const folder = await tempFolder()
    const first = await openSpool({ folder })
    await appendAndFlush(first, 1, 2)
    await first[Symbol.asyncDispose]()
    const second = await openSpool({ folder })
    expect(second.counts).toMatchObject({ found: 2, appended: 0, pending: 2, stored: 2 })
    expect(second.append(text(3))).toBe(3)
    for (const seq of [1, 2, 3]) second.ack(seq)
    await second[Symbol.asyncDispose]()
    expect(await readdir(folder)).toEqual(['cursor'])
    const third = await openSpool({ folder })
    expect(third.counts).toMatchObject({ found: 0, pending: 0 })
    expect(third.nextSeq).toBe(4)
  })
})

describe('bounds', () => {
  test('in bytes drop the oldest segment first, and are never exceeded', async () => {
    const folder = await tempFolder()
    const spool = await openSpool({ folder, maxBytes: roomFor(12) })
    await appendAndFlush(spool, 1, 2)
    spool.ack(1)
    await appendAndFlush(spool, 3, 12)
    expect(spool.counts).toMatchObject({ dropped: 0, pending: 11 })
    await appendAndFlush(spool, 13, 13)
    expect(spool.counts).toMatchObject({ dropped: 2, acked: 1, pending: 10, bytes: roomFor(10) })
    spool.ack(2)
    expect(spool.counts.acked).toBe(1)
    expect(await segmentsIn(folder)).toEqual([4, 7, 10, 13].map(segment))
    expect(await drain(spool)).toEqual(texts(...range(4, 13)))
  })

  test('hold for one large flush as for many small ones', async () => {
    const folder = await tempFolder()
    const spool = await openSpool({ folder, maxBytes: roomFor(12) })
    for (const n of range(1, 100)) spool.append(text(n))
    await spool.flush()
    expect(spool.counts).toMatchObject({ dropped: 90, pending: 10, bytes: roomFor(10), stored: 100 })
    expect(await drain(spool)).toEqual(texts(...range(91, 100)))
  })

  test('hold for what an earlier run with larger ones has left', async () => {
    const folder = await folderWith(30)
    const spool = await openSpool({ folder, maxBytes: roomFor(12) })
    await appendAndFlush(spool, 31, 31)
    expect(spool.counts).toMatchObject({ found: 30, dropped: 21, pending: 10 })
  })

  test('in memory drop the oldest record first', async () => {
    const spool = await openSpool({ folder: await tempFolder(), maxMemoryBytes: roomFor(3) + 5 })
    for (const n of range(1, 5)) spool.append(text(n))
    expect(spool.counts).toMatchObject({ appended: 5, dropped: 2, pending: 3 })
    spool.ack(1)
    spool.ack(4)
    spool.append(text(6))
    expect(spool.counts).toMatchObject({ acked: 1, dropped: 2, pending: 3 })
    expect(await drain(spool)).toEqual(texts(3, 5, 6))
  })

  test('drop a record that is longer than a segment, and no other', async () => {
    const spool = await openSpool({ folder: await tempFolder() })
    spool.append(text(1))
    expect(spool.append('x'.repeat(71))).toBe(2)
    spool.append('y'.repeat(70))
    await spool.flush()
    expect(spool.counts).toMatchObject({ dropped: 1, pending: 2, stored: 3 })
    expect(await drain(spool)).toEqual([text(1), 'y'.repeat(70)])
  })

  test('make segments no longer than a fourth of all', async () => {
    const spool = await openSpool({ folder: await tempFolder(), maxBytes: roomFor(8), segmentBytes: 100_000 })
    await appendAndFlush(spool, 1, 9)
    expect(spool.counts).toMatchObject({ dropped: 2, pending: 7 })
  })

  test('make segments no longer than what is read of one', async () => {
    const spool = await openSpool({
      folder: await tempFolder(),
      maxBytes: 2 ** 26,
      segmentBytes: 2 ** 23,
      maxMemoryBytes: 2 ** 22,
    })
    spool.append('x'.repeat(2 ** 20))
    expect(spool.counts.dropped).toBe(1)
  })

  test('are kept by storing nothing when nothing can be deleted', async () => {
    const folder = await tempFolder()
    const spool = await openSpool({ folder, maxBytes: roomFor(12) })
    await appendAndFlush(spool, 1, 12)
    for (const name of await segmentsIn(folder)) await inPlaceOf(join(folder, name))
    await appendAndFlush(spool, 13, 14)
    expect(spool.problem).toContain(`${folder}: can't store records: can't delete old records to make room: `)
    expect(spool.counts).toMatchObject({ dropped: 0, pending: 14, bytes: roomFor(12), stored: 12 })
  })

  test('count a record once, also when its segment is dropped while it waits to be read', async () => {
    const spool = await openSpool({ folder: await folderWith(12), maxBytes: roomFor(12) })
    spool.append(text(13))
    const flushed = spool.flush()
    expect((await spool.next())?.seq).toBe(4)
    await flushed
    expect(spool.counts).toMatchObject({ dropped: 3, corrupt: 0, pending: 10 })
  })

  test('of nothing at all drop everything', async () => {
    const spool = await openSpool({ folder: await tempFolder(), maxBytes: 0 })
    await appendAndFlush(spool, 1, 3)
    expect(spool.counts).toMatchObject({ appended: 3, dropped: 3, pending: 0 })
    expect(spool.problem).toBeUndefined()
  })
})

describe('age', () => {
  test('counts when a record would be handed out', async () => {
    const clock = { ms: 1_000_000 }
    const folder = await tempFolder()
    const spool = await openSpool({ folder, segmentBytes: roomFor(4) }, clock)
    await appendAndFlush(spool, 1, 2)
    clock.ms += 30_000
    await appendAndFlush(spool, 3, 3)
    spool.append(text(4))
    clock.ms += 30_000
    expect(await drain(spool)).toEqual(texts(1, 2, 3, 4))
    clock.ms += 1
    spool.rewind()
    expect(await drain(spool)).toEqual(texts(3, 4))
    expect(spool.counts).toMatchObject({ expired: 2, pending: 2 })
    clock.ms += 30_000
    spool.rewind()
    expect(await drain(spool)).toEqual([])
    expect(spool.counts).toMatchObject({ expired: 4, pending: 0 })
    await vi.waitFor(async () => expect(await segmentsIn(folder)).toEqual([]))
  })

  test('of its newest record removes a segment, when there is a flush', async () => {
    const clock = { ms: 1_000_000 }
    const folder = await tempFolder()
    const spool = await openSpool({ folder }, clock)
    await appendAndFlush(spool, 1, 5)
    spool.ack(1)
    clock.ms += 30_000
    await appendAndFlush(spool, 6, 6)
    clock.ms += 30_001
    await spool.flush()
    expect(await segmentsIn(folder)).toEqual([segment(4)])
    expect(spool.counts).toMatchObject({ acked: 1, expired: 2, pending: 3 })
    expectExact(spool)
  })

  test('keeps a record from being stored', async () => {
    const clock = { ms: 1_000_000 }
    const folder = await tempFolder()
    const spool = await openSpool({ folder }, clock)
    spool.append(text(1))
    clock.ms += 60_001
    spool.append(text(2))
    await spool.flush()
    expect(await segmentsIn(folder)).toEqual([segment(2)])
    expect(spool.counts).toMatchObject({ expired: 1, pending: 1 })
  })

  test('never comes from a clock that is set back, or has gone mad', async () => {
    const clock = { ms: 1_000_000_000 }
    const folder = await tempFolder()
    const spool = await openSpool({ folder }, clock)
    await appendAndFlush(spool, 1, 4)
    for (const ms of [0, -1e15, Number.NaN]) {
      clock.ms = ms
      spool.append(text(5))
      await spool.flush()
      spool.rewind()
      expect((await drain(spool)).slice(0, 4)).toEqual(texts(1, 2, 3, 4))
    }
    expect(spool.counts).toMatchObject({ expired: 0, pending: 7 })
  })
})

describe('the cursor', () => {
  const cursor = (folder: string) => readFile(join(folder, 'cursor'), 'utf8').then((json) => JSON.parse(json).seq)

  test('is written at the end, and saves repetition', async () => {
    const folder = await tempFolder()
    const spool = await openSpool({ folder })
    await appendAndFlush(spool, 1, 3)
    for (const seq of [1, 3]) spool.ack(seq)
    await spool[Symbol.asyncDispose]()
    expect(await cursor(folder)).toBe(1)
    const next = await openSpool({ folder })
    expect(next.counts).toMatchObject({ found: 2, pending: 2 })
    expect(await drain(next)).toEqual(texts(2, 3))
  })

  test('is written by a flush when the front has moved inside a segment, at most every 30 s', async () => {
    const clock = { ms: 1_000_000 }
    const folder = await tempFolder()
    const spool = await openSpool({ folder, maxAgeMs: 1e9, segmentBytes: roomFor(10) }, clock)
    await appendAndFlush(spool, 1, 9)
    expect(await readdir(folder)).toEqual([segment(1)])
    spool.ack(2)
    await spool.flush()
    expect(await readdir(folder)).toEqual([segment(1)])
    spool.ack(1)
    await spool.flush()
    expect(await cursor(folder)).toBe(2)
    spool.ack(3)
    clock.ms += 29_999
    await spool.flush()
    expect(await cursor(folder)).toBe(2)
    clock.ms += 1
    await spool.flush()
    expect(await cursor(folder)).toBe(3)
    spool.ack(4)
    // Set back.
    clock.ms = 5
    await spool.flush()
    expect(await cursor(folder)).toBe(4)
    const { ino } = await stat(join(folder, 'cursor'))
    clock.ms += 60_000
    await spool.flush()
    expect((await stat(join(folder, 'cursor'))).ino).toBe(ino)
  })

  test('is not written for whole segments, which are gone', async () => {
    const folder = await tempFolder()
    const spool = await openSpool({ folder })
    await appendAndFlush(spool, 1, 6)
    for (const seq of range(1, 3)) spool.ack(seq)
    await spool.flush()
    expect(await readdir(folder)).toEqual([segment(4)])
  })

  test('costs only repetition when it is damaged, wherever', async () => {
    const folder = await tempFolder()
    const spool = await openSpool({ folder })
    await appendAndFlush(spool, 1, 30)
    for (const seq of range(1, 11)) spool.ack(seq)
    await spool[Symbol.asyncDispose]()
    const whole = await readFile(join(folder, 'cursor'))
    for (let at = 0; at < whole.length; at++) {
      for (const bits of [1, 2, 4, 8, 9, 16, 32]) {
        const bad = Buffer.from(whole)
        bad[at] = (bad[at] ?? 0) ^ bits
        await writeFile(join(folder, 'cursor'), bad)
        const { counts } = await openSpool({ folder })
        expect([19, 21]).toContain(counts.pending)
      }
    }
  })

  test.each([
    ['empty', ''],
    ['no JSON', '{"seq":'],
    ['a list', '[]'],
    ['null', 'null'],
    ['a negative seq', `{"seq":-1,"crc32":${crc32('-1')}}`],
    ['a fraction', `{"seq":1.5,"crc32":${crc32('1.5')}}`],
    ['a seq beyond all', `{"seq":9007199254740991,"crc32":${crc32('9007199254740991')}}`],
    ['a list of cursors', `[{"seq":3,"crc32":${crc32('3')}}]`],
    ['very long', `{"seq":3,"crc32":${crc32('3')}, "more": "${'x'.repeat(1e6)}"}`],
  ])('that is %s is none', async (_, json) => {
    const folder = await folderWith(4)
    await writeFile(join(folder, 'cursor'), json)
    const spool = await openSpool({ folder })
    expect(await drain(spool)).toEqual(texts(1, 2, 3, 4))
    expect(spool.nextSeq).toBe(5)
  })

  test('that can not be read is replaced before anything is stored', async () => {
    const folder = await tempFolder()
    // A link to itself can't be opened, though another time there may be something else.
    await symlink('cursor', join(folder, 'cursor'))
    const spool = await openSpool({ folder })
    await appendAndFlush(spool, 1, 1)
    expect(await cursor(folder)).toBe(0)
    expect(spool.problem).toBeUndefined()
  })

  test('that is a folder stands in no one’s way', async () => {
    const folder = await folderWith(2)
    await mkdir(join(folder, 'cursor'))
    const spool = await openSpool({ folder })
    await appendAndFlush(spool, 3, 3)
    expect(spool.problem).toBeUndefined()
    expect(await drain(await openSpool({ folder: await crashed(folder) }))).toEqual(texts(1, 2, 3))
    spool.ack(1)
    await spool.flush()
    expect(spool.problem).toContain('cursor')
  })
})

describe('damage', () => {
  test('costs the rest of its segment, and is counted by the gap', async () => {
    const folder = await folderWith(9)
    await damage(join(folder, segment(4)), roomFor(1) + 25)
    const spool = await openSpool({ folder })
    expect(spool.counts).toMatchObject({ found: 9, corrupt: 2, pending: 7 })
    expect(await drain(spool)).toEqual(texts(1, 2, 3, 4, 7, 8, 9))
  })

  test.each([
    ['cut inside a record', roomFor(2) + 7, 1],
    ['emptied', 0, 3],
  ])('of a segment that was %s is counted', async (_, bytes, corrupt) => {
    const folder = await folderWith(9)
    await truncate(join(folder, segment(4)), bytes)
    const spool = await openSpool({ folder })
    expect(spool.counts).toMatchObject({ found: 9, corrupt, pending: 9 - corrupt })
    expect((await drain(spool)).slice(-3)).toEqual(texts(7, 8, 9))
  })

  test('of neighbours is not counted twice', async () => {
    const folder = await folderWith(9)
    await truncate(join(folder, segment(1)), 3)
    await truncate(join(folder, segment(4)), 3)
    const spool = await openSpool({ folder })
    expect(spool.counts).toMatchObject({ found: 9, corrupt: 6, pending: 3 })
  })

  test('of what is done with anyway is none', async () => {
    const folder = await tempFolder()
    const before = await openSpool({ folder })
    await appendAndFlush(before, 1, 6)
    for (const seq of [1, 2]) before.ack(seq)
    await before[Symbol.asyncDispose]()
    await damage(join(folder, segment(1)), 10)
    const spool = await openSpool({ folder })
    expect(spool.counts).toMatchObject({ found: 4, corrupt: 1, pending: 3 })
  })

  test('at the very end counts for one, and is not written behind', async () => {
    const folder = await folderWith(4)
    await appendFile(join(folder, segment(4)), 'torn')
    const spool = await openSpool({ folder })
    expect(spool.counts).toMatchObject({ found: 5, corrupt: 1, pending: 4 })
    await appendAndFlush(spool, 5, 5)
    expect(await segmentsIn(folder)).toEqual([1, 4, 5].map(segment))
    expect(await drain(await openSpool({ folder: await crashed(folder) }))).toEqual(texts(...range(1, 5)))
  })

  test('after the start is exact, and noticed when the segment is read', async () => {
    const folder = await folderWith(9)
    const spool = await openSpool({ folder })
    spool.ack(6)
    await damage(join(folder, segment(4)), 25)
    await rm(join(folder, segment(7)))
    expect(spool.counts.pending).toBe(8)
    expect(await drain(spool)).toEqual(texts(1, 2, 3))
    expect(spool.counts).toMatchObject({ acked: 1, corrupt: 5, pending: 3 })
    await spool.flush()
    expect(await segmentsIn(folder)).toEqual([1].map(segment))
    expect(spool.counts.bytes).toBe(roomFor(3))
  })

  test('behind all that is pending in the segment that is written ends it too', async () => {
    const folder = await tempFolder()
    const spool = await openSpool({ folder })
    await appendAndFlush(spool, 1, 2)
    spool.ack(2)
    await damage(join(folder, segment(1)), roomFor(1) + 25)
    expect(await drain(spool)).toEqual([text(1)])
    await appendAndFlush(spool, 3, 3)
    expect(await drain(await openSpool({ folder: await crashed(folder) }))).toEqual(texts(1, 3))
    expect(spool.counts.corrupt).toBe(0)
  })

  test('takes nothing that is in memory', async () => {
    const folder = await tempFolder()
    const spool = await openSpool({ folder })
    await appendAndFlush(spool, 1, 2)
    expect(await drain(spool)).toEqual(texts(1, 2))
    await appendAndFlush(spool, 3, 3)
    await damage(join(folder, segment(1)), 25)
    expect(await drain(spool)).toEqual([])
    expect(spool.counts).toMatchObject({ corrupt: 1, pending: 2 })
    spool.rewind()
    expect(await drain(spool)).toEqual(texts(1, 2))
  })

  test('is not what acks have left out', async () => {
    const folder = await tempFolder()
    const before = await openSpool({ folder })
    await appendAndFlush(before, 1, 3)
    for (const n of range(4, 6)) before.ack(before.append(text(n)))
    await appendAndFlush(before, 7, 7)
    const spool = await openSpool({ folder: await crashed(folder) })
    expect(spool.counts).toMatchObject({ found: 4, corrupt: 0, pending: 4 })
    expect(await drain(spool)).toEqual(texts(1, 2, 3, 7))
  })

  test('is a seq below that of the segment', async () => {
    const folder = await tempFolder()
    const record = (seq: number) => encodeRecord({ seq, atMs: 1_000_000, payload: text(seq) })
    await writeFile(join(folder, segment(5)), Buffer.concat([3, 4, 5, 6].map(record)))
    const spool = await openSpool({ folder })
    expect(await drain(spool)).toEqual(texts(5, 6))
  })

  test('that may pass leaves the file to the next run', async () => {
    const folder = await tempFolder()
    const spool = await openSpool({ folder })
    await appendAndFlush(spool, 1, 4)
    await rm(join(folder, segment(1)))
    await symlink(segment(1), join(folder, segment(1)))
    expect(await drain(spool)).toEqual([text(4)])
    expect(spool.counts).toMatchObject({ corrupt: 3, pending: 1 })
    await spool.flush()
    expect(await segmentsIn(folder)).toEqual([1, 4].map(segment))
  })

  test('in the segment that is written ends it, once it has been noticed', async () => {
    const folder = await tempFolder()
    const spool = await openSpool({ folder })
    await appendAndFlush(spool, 1, 2)
    await damage(join(folder, segment(1)), roomFor(1) + 25)
    expect(await drain(spool)).toEqual([text(1)])
    await appendAndFlush(spool, 3, 3)
    expect(await drain(spool)).toEqual([text(3)])
    expect(await drain(await openSpool({ folder: await crashed(folder) }))).toEqual(texts(1, 3))
  })

  test('never brings back what was written twice, in whatever order that lies there', async () => {
    const folder = await tempFolder()
    const record = (seq: number) => encodeRecord({ seq, atMs: 1_000_000, payload: text(seq) })
    // A flush of 3 to 5 failed behind 4, and was done again.
    await writeFile(join(folder, segment(1)), Buffer.concat([1, 2, 3, 4].map(record)))
    await writeFile(join(folder, segment(3)), Buffer.concat([3, 4, 5].map(record)))
    const spool = await openSpool({ folder })
    expect(spool.counts).toMatchObject({ found: 5, corrupt: 0, pending: 5 })
    expect(await drain(spool)).toEqual(texts(1, 2, 3, 4, 5))
    for (const seq of [1, 2]) spool.ack(seq)
    await vi.waitFor(async () => expect(await segmentsIn(folder)).toEqual([segment(3)]))
  })
})

describe('what else lies in the folder', () => {
  test('is left alone', async () => {
    const folder = await folderWith(4)
    await mkdir(join(folder, '000.log'))
    await mkdir(join(folder, segment(2)))
    await writeFile(join(folder, segment(2), 'inside'), '')
    await writeFile(join(folder, 'README'), 'not ours')
    await writeFile(join(folder, '5.log'), 'not ours')
    const others = ['000.log', segment(2), '5.log', 'README']
    const spool = await openSpool({ folder, maxBytes: roomFor(12) })
    expect(spool.counts.bytes).toBe(roomFor(4))
    expect(await drain(spool)).toEqual(texts(1, 2, 3, 4))
    await appendAndFlush(spool, 5, 40)
    for (const seq of range(1, 40)) spool.ack(seq)
    await spool[Symbol.asyncDispose]()
    expect((await readdir(folder)).sort()).toEqual([...others, 'cursor'].sort())
    expect(await readdir(join(folder, segment(2)))).toEqual(['inside'])
  })

  test('never takes the name of a new segment', async () => {
    const folder = await folderWith(1)
    await mkdir(join(folder, segment(500)))
    await writeFile(join(folder, segment(400)), '')
    const spool = await openSpool({ folder })
    expect(spool.append(text(1))).toBe(501)
    await spool.flush()
    expect(spool.problem).toBeUndefined()
    expect(await segmentsIn(folder)).toEqual([1, 500, 501].map(segment))
  })

  test('may be a segment that is no file, can not be read, or is far too long', async () => {
    const folder = await folderWith(4)
    await symlink('/dev/zero', join(folder, segment(2)))
    await writeFile(join(folder, segment(5)), Buffer.alloc(5000))
    await truncate(join(folder, segment(4)), 2 ** 40)
    const spool = await openSpool({ folder })
    expect(await drain(spool)).toEqual(texts(1, 2, 3, 4))
    await appendAndFlush(spool, 6, 6)
    expect(spool.problem).toBeUndefined()
    expectExact(spool)
  })
})

describe('a folder that can not be used', () => {
  test('is a problem, and no reason not to work from memory', async () => {
    const folder = join(await tempFolder(), 'spool')
    await writeFile(folder, 'a file')
    const spool = await openSpool({ folder, maxMemoryBytes: roomFor(5) })
    const problem = `${folder}: can't store records: there is something else in place of the folder or a file (EEXIST`
    expect(spool.problem).toContain(problem)
    for (const n of range(1, 7)) spool.append(text(n))
    await spool.flush()
    expect(spool.problem).toContain(problem)
    expect(spool.counts).toMatchObject({ appended: 7, dropped: 2, pending: 5, stored: 0, bytes: 0 })
    expect(await drain(spool)).toEqual(texts(...range(3, 7)))
    await spool[Symbol.asyncDispose]()
    expect(await readFile(folder, 'utf8')).toBe('a file')
  })

  test('is tried again by each flush, and may then hold the records of earlier runs', async () => {
    const earlier = await folderWith(4)
    const folder = join(await tempFolder(), 'spool')
    await writeFile(folder, 'a file')
    const clock = { ms: 1_764_016_140_123 }
    const spool = await openSpool({ folder, maxAgeMs: Number.MAX_VALUE }, clock)
    const seq = spool.append(text(5))
    expect(await drain(spool)).toEqual([text(5)])
    await rm(folder)
    await rename(earlier, folder)
    await spool.flush()
    expect(spool.problem).toBeUndefined()
    expect(spool.counts).toMatchObject({ found: 4, appended: 1, pending: 5, stored: seq })
    expect(await drain(spool)).toEqual(texts(1, 2, 3, 4, 5))
    const next = await openSpool({ folder: await crashed(folder), maxAgeMs: Number.MAX_VALUE }, clock)
    expect(await drain(next)).toEqual(texts(1, 2, 3, 4, 5))
    expect(next.nextSeq).toBe(seq + 1)
  })

  test('is left alone when it turns out to hold newer records', async () => {
    const earlier = await folderWith(4)
    const folder = join(await tempFolder(), 'spool')
    await writeFile(folder, 'a file')
    const spool = await openSpool({ folder }, { ms: 2 })
    spool.append(text(9))
    await rm(folder)
    await rename(earlier, folder)
    await spool.flush()
    expect(spool.problem).toContain('holds newer records than those of this run')
    expect(await segmentsIn(folder)).toEqual([1, 4].map(segment))
    expect(await drain(spool)).toEqual([text(9)])
  })

  test('that disappears is made again', async () => {
    const folder = join(await tempFolder(), 'spool')
    const spool = await openSpool({ folder })
    await rm(folder, { recursive: true })
    await appendAndFlush(spool, 1, 1)
    expect(spool.problem).toBeUndefined()
    await rm(folder, { recursive: true })
    spool.append(text(2))
    await spool.flush()
    expect(spool.problem).toContain('was removed by someone else')
    await spool.flush()
    expect(spool.problem).toBeUndefined()
    expect(await drain(await openSpool({ folder: await crashed(folder) }))).toEqual([text(2)])
  })
})
