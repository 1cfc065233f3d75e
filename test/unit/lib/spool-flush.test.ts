import { describe, expect, test } from 'vitest'
import { tempFolder } from '../../support/temp-folder.ts'
import {
  appendAndFlush,
  crashed,
  drain,
  folderWith,
  openSpool,
  range,
  roomFor,
  segment,
  segmentsIn,
  text,
  texts,
} from './spool-tools.ts'

describe('a flush up to a seq', () => {
  test('stores what is up to it, and leaves the younger ones in memory', async () => {
    const folder = await tempFolder()
    const spool = await openSpool({ folder })
    for (const n of range(1, 3)) spool.append(text(n))
    await spool.flush(2)
    expect(spool.counts).toMatchObject({ stored: 2, pending: 3, bytes: roomFor(2) })
    expect(await drain(await openSpool({ folder: await crashed(folder) }))).toEqual(texts(1, 2))
    expect(await drain(spool)).toEqual(texts(1, 2, 3))
    await spool.flush()
    expect(spool.counts).toMatchObject({ stored: 3, pending: 3, bytes: roomFor(3) })
  })

  test('takes nothing back of what another one was asked for', async () => {
    const spool = await openSpool({ folder: await tempFolder() })
    for (const n of range(1, 5)) spool.append(text(n))
    await Promise.all([spool.flush(4), spool.flush(1)])
    expect(spool.counts.stored).toBe(4)
  })

  test('writes nothing where all up to it is acked', async () => {
    const folder = await tempFolder()
    const spool = await openSpool({ folder })
    for (const n of range(1, 3)) spool.append(text(n))
    for (const seq of [1, 2]) spool.ack(seq)
    await spool.flush(2)
    expect(await segmentsIn(folder)).toEqual([])
  })

  test('gives its room in memory back, and no more', async () => {
    const spool = await openSpool({ folder: await tempFolder(), maxMemoryBytes: roomFor(3) })
    for (const n of range(1, 3)) spool.append(text(n))
    await spool.flush(2)
    expect(spool.waitingBytes).toBe(roomFor(1))
    for (const n of range(4, 5)) spool.append(text(n))
    expect(spool.counts.dropped).toBe(0)
    expect(spool.waitingBytes).toBe(roomFor(3))
    spool.append(text(6))
    expect(spool.counts).toMatchObject({ dropped: 1, pending: 5 })
    expect(await drain(spool)).toEqual(texts(1, 2, 4, 5, 6))
    await spool.flush()
    expect(spool.waitingBytes).toBe(0)
    spool.rewind()
    expect(await drain(spool)).toEqual(texts(1, 2, 4, 5, 6))
  })
})

describe('what an earlier run has left', () => {
  test('gets old from the start of this one on: nobody knows what the clock before was worth', async () => {
    const folder = await folderWith(4)
    const clock = { ms: 1_000_000_000 }
    const spool = await openSpool({ folder, maxAgeMs: 60_000 }, clock)
    await spool.flush()
    expect(await segmentsIn(folder)).toEqual([1, 4].map(segment))
    clock.ms += 60_000
    expect(await drain(spool)).toEqual(texts(1, 2, 3, 4))
    await appendAndFlush(spool, 5, 5)
    clock.ms += 1
    spool.rewind()
    expect(await drain(spool)).toEqual([text(5)])
    expect(spool.counts).toMatchObject({ expired: 4, pending: 1 })
  })
})
