import { appendFile, mkdir, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  decodeRecords,
  encodeRecord,
  firstSeqOf,
  headerBytes,
  maxSegmentBytes,
  maxSeq,
  readSegment,
  recordTime,
  SegmentWriter,
  type SpoolRecord,
  segmentName,
} from '../../../src/lib/spool-segment.ts'
import { tempFolder } from '../../support/temp-folder.ts'

const records = fc
  .array(
    fc.record({
      step: fc.integer({ min: 1, max: 1000 }),
      atMs: fc.oneof(fc.nat(), fc.constantFrom(0, 1_764_016_140_123, 2 ** 48 - 1)),
      payload: fc.string({ unit: 'grapheme', maxLength: 60 }),
    }),
    { maxLength: 12 },
  )
  .map((steps) => {
    let seq = 0
    return steps.map(({ step, ...rest }): SpoolRecord => {
      seq += step
      return { seq, ...rest }
    })
  })

const encoded = (some: readonly SpoolRecord[]) => Buffer.concat(some.map(encodeRecord))
/** How many records lie in the first `bytes` bytes. */
const wholeIn = (some: readonly SpoolRecord[], bytes: number) =>
  some.filter((_, i) => encoded(some.slice(0, i + 1)).length <= bytes).length

describe('records', () => {
  test('lie on the disk as they are described', () => {
    expect(encodeRecord({ seq: 0x0102, atMs: 1_764_016_140_123, payload: 'ä' }).toString('hex')).toBe(
      // Checksum by Python's zlib.crc32.
      '02000000' + '2debf4b8' + '020100000000' + '5b2f8eb79a01' + 'c3a4',
    )
  })

  test('come back as they were', () => {
    fc.assert(
      fc.property(records, (some) => {
        const bytes = encoded(some)
        expect(decodeRecords(bytes)).toEqual({ records: some, goodBytes: bytes.length })
      }),
    )
  })

  test('of a torn segment are those that are whole', () => {
    fc.assert(
      fc.property(records, fc.nat(), (some, cut) => {
        const bytes = encoded(some)
        const torn = bytes.subarray(0, cut % (bytes.length + 1))
        const whole = some.slice(0, wholeIn(some, torn.length))
        expect(decodeRecords(torn)).toEqual({ records: whole, goodBytes: encoded(whole).length })
      }),
    )
  })

  test('of a damaged segment are those before the damage', () => {
    fc.assert(
      fc.property(records, fc.nat(), fc.integer({ min: 1, max: 255 }), (some, at, bits) => {
        fc.pre(some.length > 0)
        const bytes = encoded(some)
        const place = at % bytes.length
        bytes[place] = (bytes[place] ?? 0) ^ bits
        expect(decodeRecords(bytes).records).toEqual(some.slice(0, wholeIn(some, place)))
      }),
    )
  })

  test('are found in no noise, and looking for them ends', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (noise) => {
        expect(decodeRecords(Buffer.from(noise))).toEqual({ records: [], goodBytes: 0 })
      }),
    )
  })

  test.each([
    ['zeros, as a file system leaves them', Buffer.alloc(4096)],
    ['a length beyond the file', Buffer.concat([Buffer.from('ffffffff', 'hex'), Buffer.alloc(100)])],
    ['a seq of 0', encodeRecord({ seq: 0, atMs: 0, payload: 'x' })],
    ['a seq beyond all that is counted', encodeRecord({ seq: maxSeq + 1, atMs: 0, payload: 'x' })],
    ['the seq before', encodeRecord({ seq: 6, atMs: 0, payload: 'x' })],
    ['the same seq again', encodeRecord({ seq: 7, atMs: 0, payload: 'x' })],
  ])('end at %s', (_, bad) => {
    const good = { seq: 7, atMs: 5, payload: 'good' }
    const bytes = Buffer.concat([encodeRecord(good), bad, encodeRecord({ ...good, seq: 9 })])
    expect(decodeRecords(bytes)).toEqual({ records: [good], goodBytes: headerBytes + 4 })
  })
})

test.each([
  [1.9, 1],
  [-5, 0],
  [Number.NaN, 0],
  [Number.POSITIVE_INFINITY, 2 ** 48 - 1],
  [1_764_016_140_123, 1_764_016_140_123],
])('the time %s is stored as %s', (ms, stored) => {
  expect(recordTime(ms)).toBe(stored)
  expect(decodeRecords(encodeRecord({ seq: 1, atMs: recordTime(ms), payload: '' })).records[0]?.atMs).toBe(stored)
})

describe('names of segments', () => {
  test('give back the seq, and sort like it', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: maxSeq }), fc.integer({ min: 1, max: maxSeq }), (a, b) => {
        expect(firstSeqOf(segmentName(a))).toBe(a)
        expect(segmentName(a) < segmentName(b)).toBe(a < b)
      }),
    )
  })

  test.each([
    '000.log',
    'cursor',
    '0000000000000000.log',
    '9999999999999999.log',
    '0000000000000001.log.new',
    '-000000000000001.log',
    ' 000000000000001.log',
  ])('%j is none', (name) => expect(firstSeqOf(name)).toBeUndefined())
})

describe('readSegment', () => {
  const three = [1, 2, 3].map((seq) => ({ seq, atMs: seq, payload: `record ${seq}` }))

  test('reads records and says what is behind them', async () => {
    const path = join(await tempFolder(), 'segment')
    await writeFile(path, Buffer.concat([encoded(three), Buffer.from('torn')]))
    expect(await readSegment(path)).toEqual({
      records: three,
      bytes: encoded(three).length + 4,
      badBytes: 4,
      error: undefined,
    })
  })

  test('reads no more than a segment can have', async () => {
    const path = join(await tempFolder(), 'segment')
    await writeFile(path, encoded(three))
    await truncate(path, 2 ** 40)
    const { records: found, bytes, badBytes } = await readSegment(path)
    expect(found).toEqual(three)
    expect([bytes, badBytes]).toEqual([2 ** 40, 2 ** 40 - encoded(three).length])
    const large = { seq: 1, atMs: 0, payload: 'x'.repeat(maxSegmentBytes - headerBytes) }
    await writeFile(path, encodeRecord(large))
    expect((await readSegment(path)).records).toEqual([large])
    await writeFile(path, encodeRecord({ ...large, payload: `${large.payload}x` }))
    expect((await readSegment(path)).records).toEqual([])
  })

  test('says what kept it from reading', async () => {
    const folder = await tempFolder()
    const nothing = { records: [], badBytes: expect.any(Number) }
    expect(await readSegment(join(folder, 'none'))).toMatchObject({ ...nothing, error: { code: 'ENOENT' } })
    await mkdir(join(folder, 'folder'))
    expect(await readSegment(join(folder, 'folder'))).toMatchObject({ ...nothing, error: { code: 'EISDIR' } })
    await symlink('loop', join(folder, 'loop'))
    expect(await readSegment(join(folder, 'loop'))).toMatchObject({ ...nothing, error: { code: 'ELOOP' } })
  })
})

describe('SegmentWriter', () => {
  const bytes = Buffer.from('some bytes')

  test('begins a file of its own, and goes on with one', async () => {
    const path = join(await tempFolder(), 'segment')
    {
      await using writer = await SegmentWriter.create(path)
      await writer.append(bytes)
      await writer.append(bytes)
    }
    await expect(SegmentWriter.create(path)).rejects.toMatchObject({ code: 'EEXIST' })
    {
      await using writer = await SegmentWriter.resume(path)
      await writer.append(bytes)
      await writer.cut(12)
    }
    expect(await readFile(path, 'utf8')).toBe('some bytesso')
    await rm(path)
    await expect(SegmentWriter.resume(path)).rejects.toMatchObject({ code: 'ENOENT' })
  })

  test('appends behind what is there, even when someone else made it longer', async () => {
    const path = join(await tempFolder(), 'segment')
    await using writer = await SegmentWriter.create(path)
    await appendFile(path, 'more ')
    await writer.append(bytes)
    expect(await readFile(path, 'utf8')).toBe('more some bytes')
  })

  test('does not take a file for stored that someone has removed', async () => {
    const path = join(await tempFolder(), 'segment')
    await using writer = await SegmentWriter.create(path)
    await writer.append(bytes)
    await rm(path)
    await expect(writer.append(bytes)).rejects.toThrow(`${path} was removed by someone else`)
  })
})
