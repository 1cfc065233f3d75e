import { mkdir, readFile, rm, stat, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { freshRecord, RecordFiles, type UpdateRecord } from '../../../src/ota/update-record.ts'
import { tempFolder } from '../../support/temp-folder.ts'
import { pathsIn, reopened, sealed, written } from '../../support/written-record.ts'

describe('a record', () => {
  test('begins with nothing, in two files that have all their room', async () => {
    const { folder, files } = await written(0)
    expect(files.record).toEqual(freshRecord)
    for (const path of pathsIn(folder)) expect(await stat(path)).toMatchObject({ size: 4096, mode: 0o100_600 })
    expect(await reopened(folder)).toMatchObject({ record: freshRecord, isLost: false })
  })

  test.each([1, 2, 3, 4])('written %i times: the newest is found', async (times) => {
    const { folder, files } = await written(times)
    expect(files.record).toEqual({ ...freshRecord, floor: times, seq: times })
    expect(await reopened(folder)).toMatchObject({ record: files.record, isLost: false })
  })

  test('writes in turns, in place: no other file, and no block more', async () => {
    const { folder, files } = await written(2)
    const before = await Promise.all(pathsIn(folder).map((path) => stat(path)))
    const contents = async () => Promise.all(pathsIn(folder).map((path) => readFile(path, 'latin1')))
    for (let i = 0; i < 4; i++) {
      const old = await contents()
      await files.write(() => ({ paused: i % 2 === 0 }))
      const now = await contents()
      expect(now.map((text, at) => text === old[at])).toEqual(i % 2 === 0 ? [false, true] : [true, false])
    }
    for (const [at, path] of pathsIn(folder).entries()) {
      const { ino, size, blocks } = await stat(path)
      expect({ ino, size, blocks }).toEqual({ ino: before[at]?.ino, size: 4096, blocks: before[at]?.blocks })
    }
  })

  test('many writes at once are made one after the other', async () => {
    const { folder, files } = await written(0)
    await Promise.all(Array.from({ length: 20 }, () => files.write(({ writes }) => ({ writes: writes + 1 }))))
    expect((await reopened(folder)).record).toMatchObject({ writes: 20, seq: 20 })
  })

  test('stays as it is when it can not be written, and is written again later', async () => {
    const { folder, files } = await written(2)
    const { record } = files
    const [next = ''] = pathsIn(folder)
    await unlink(next)
    await mkdir(next)
    const failing = files.write(() => ({ floor: 9 }))
    const after = files.write(() => ({ floor: 10 }))
    await expect(failing).rejects.toMatchObject({ reason: 'store_failed', what: next })
    await expect(after).rejects.toMatchObject({ reason: 'store_failed' })
    expect(files.record).toBe(record)
    await rm(next, { recursive: true })
    await writeFile(next, Buffer.alloc(4096))
    expect((await reopened(folder)).record).toEqual(record)
    await files.write(() => ({ floor: 11 }))
    expect((await reopened(folder)).record).toMatchObject({ floor: 11, seq: 3 })
  })

  test('says in words why it can not be opened', async () => {
    const path = join(await tempFolder(), 'ota')
    await writeFile(path, '')
    await expect(RecordFiles.open(path)).rejects.toMatchObject({
      reason: 'store_failed',
      message: expect.stringMatching(/something else in place of the folder/),
    })
  })
})

const slug = fc.stringMatching(/^[a-z0-9][a-z0-9._-]{0,63}$/)
const sha256 = fc.stringMatching(/^[0-9a-f]{64}$/)
const number = fc.double({ min: 0, noNaN: true, noDefaultInfinity: true })
const count = fc.nat()
const text = fc.string({ unit: 'binary', maxLength: 3000 })
const code = fc.constantFrom('rolled_back_by_command', 'golden_mismatch', 'died')
const model = fc.record({ name: slug, version: slug, length: count, sha256 })
const orNull = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { freq: 8 })

const anyRecord: fc.Arbitrary<Omit<UpdateRecord, 'seq'>> = fc.record({
  format: fc.constant(1),
  active: orNull(model),
  previous: orNull(fc.oneof(model, fc.constant('factory' as const))),
  candidate: orNull(fc.tuple(model, count).map(([model, rollbackIndex]) => ({ ...model, rollbackIndex }))),
  stage: fc.constantFrom('idle', 'proving', 'trial'),
  tries: count,
  powerLosses: count,
  bootId: fc.uuid(),
  baseline: orNull(
    fc.record({ p50Ms: orNull(number), p95Ms: orNull(number), commonest: number, isConnected: fc.boolean() }),
  ),
  bad: fc.array(fc.tuple(sha256, code), { maxLength: 60, size: 'max' }),
  floor: count,
  timeFloorMs: number,
  paused: fc.boolean(),
  writes: count,
  last: orNull(
    fc.record({
      model: fc.record({ name: slug, version: slug }),
      outcome: fc.constantFrom('committed', 'rolled_back', 'refused', 'failed', 'cancelled'),
      code,
      reason: text,
      ts: fc.constant('2026-11-25T08:00:00.000Z'),
    }),
  ),
})

/** Every word as long as it can be, in characters that take most room. */
const longest = (() => {
  const model = { name: 'n'.repeat(64), version: 'v'.repeat(64), length: 2 ** 31, sha256: 'f'.repeat(64) }
  const number = 12345.678901234567
  return {
    ...freshRecord,
    active: model,
    previous: model,
    candidate: { ...model, rollbackIndex: 2 ** 31 - 1 },
    stage: 'proving' as const,
    bootId: 'a'.repeat(36),
    baseline: { p50Ms: number, p95Ms: number, commonest: number, isConnected: false },
    bad: Array.from({ length: 40 }, (_, i): [string, string] => [
      String(i).padStart(64, '0'),
      'rolled_back_by_command',
    ]),
    last: {
      model: { name: model.name, version: model.version },
      outcome: 'rolled_back' as const,
      code: 'rolled_back_by_command',
      reason: '\u0001'.repeat(1000),
      ts: '2026-11-25T08:00:00.000Z',
    },
  }
})()

describe('a record of whatever there is to tell', () => {
  test('is never longer than 4 KiB: the oldest failures are forgotten, and a long reason is cut', async () => {
    const { folder, files } = await written(0)
    await fc.assert(
      fc.asyncProperty(anyRecord, async (record) => {
        await files.write(() => record)
        for (const path of pathsIn(folder)) expect((await stat(path)).size).toBe(4096)
        const { record: found } = await reopened(folder)
        const { bad, last, ...rest } = found
        expect({ ...record, seq: found.seq }).toMatchObject(rest)
        expect(bad).toEqual(record.bad.slice(record.bad.length - bad.length))
        // The room is for no fewer than these, whatever else there is to tell.
        expect(bad.length).toBeGreaterThanOrEqual(Math.min(record.bad.length, 8))
        const { reason = '' } = record.last ?? {}
        expect(last).toEqual(record.last === null ? null : { ...record.last, reason: reason.slice(0, 300) })
      }),
      { numRuns: 200, examples: [[longest]] },
    )
  })

  test('row 67: what a later version adds is left out, and what it says otherwise is not taken', async () => {
    const { folder } = await written(2)
    const [older = '', newer = ''] = pathsIn(folder)
    await writeFile(newer, sealed({ ...freshRecord, seq: 7, floor: 3, regions: ['a'], last: null }))
    expect(await reopened(folder)).toMatchObject({ record: { ...freshRecord, seq: 7, floor: 3 }, isLost: false })
    expect((await reopened(folder)).record).not.toHaveProperty('regions')
    for (const change of [{ format: 2 }, { stage: 'canary' }, { floor: 'high' }]) {
      await writeFile(newer, sealed({ ...freshRecord, seq: 8, ...change }))
      expect((await reopened(folder)).record).toMatchObject({ seq: 1, floor: 1 })
    }
    await writeFile(older, sealed({ ...freshRecord, format: 2 }))
    expect(await reopened(folder)).toMatchObject({ record: freshRecord, isLost: true })
  })
})
