import { rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { Spool } from '../../../src/lib/spool.ts'
import { headerBytes } from '../../../src/lib/spool-segment.ts'
import { Outbox } from '../../../src/mqtt/outbox.ts'
import { tempFolder } from '../../support/temp-folder.ts'

const flushMs = 5000

/** An event that takes 1 KiB, there and on the disk. */
const kilobyte = 'x'.repeat(1024 - headerBytes)

/** An outbox whose 5 s go by when the test says so. */
async function openOutbox() {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
  const folder = join(await tempFolder(), 'spool')
  const spool = await Spool.open({ folder, maxBytes: 1024 * 1024, maxAgeMs: 1e9 })
  const outbox = new Outbox({ spool, replayRate: 10_000 })
  onTestFinished(async () => {
    await outbox[Symbol.asyncDispose]()
    vi.useRealTimers()
  })
  return {
    folder,
    spool,
    outbox,
    /** The first seq of these events. */
    add(count: number): number {
      const first = spool.nextSeq
      for (let i = 0; i < count; i++) outbox.add(kilobyte)
      return first
    },
    settle(from: number, to: number): void {
      for (let seq = from; seq <= to; seq++) outbox.settle(seq, 'done')
    },
    tick: () => vi.advanceTimersByTime(flushMs),
    /** The highest seq on the disk, once all is done there that was asked for. */
    async stored(): Promise<number> {
      await spool.flush(0)
      return outbox.stored.stored
    },
  }
}

describe('events go to the disk', () => {
  test('when the broker has not taken them for 5 to 10 s', async () => {
    const { add, tick, stored } = await openOutbox()
    add(1)
    tick()
    expect(await stored()).toBe(0)
    add(1)
    tick()
    expect(await stored()).toBe(1)
    tick()
    expect(await stored()).toBe(2)
  })

  test('when 32 KiB wait in memory', async () => {
    const { add, stored } = await openOutbox()
    add(31)
    expect(await stored()).toBe(0)
    add(1)
    expect(await stored()).toBe(32)
    add(31)
    expect(await stored()).toBe(32)
    add(1)
    expect(await stored()).toBe(64)
  })

  test('when 32 KiB wait in memory, however many 5 s they came in', async () => {
    const { add, tick, stored, spool } = await openOutbox()
    add(31)
    tick()
    expect(await stored()).toBe(0)
    add(1)
    expect(await stored()).toBe(32)
    add(20)
    tick()
    add(11)
    expect(await stored()).toBe(32)
    tick()
    expect(await stored()).toBe(52)
    expect(spool.waitingBytes).toBe(11 * 1024)
    add(20)
    expect(await stored()).toBe(52)
    add(1)
    expect(await stored()).toBe(84)
  })

  test('when more than that came at once', async () => {
    const { add, stored, spool } = await openOutbox()
    add(300)
    await expect.poll(() => spool.waitingBytes, { interval: 1 }).toBe(0)
    expect(await stored()).toBe(300)
  })

  test('not for what the broker has taken, however much that is', async () => {
    const { add, settle, stored } = await openOutbox()
    for (let round = 0; round < 10; round++) {
      const first = add(20)
      settle(first, first + 19)
    }
    add(31)
    expect(await stored()).toBe(0)
    add(1)
    expect(await stored()).toBe(232)
  })
})

test('a disk that makes trouble is tried every 5 s, not with each event', async () => {
  const { folder, add, tick, stored, outbox } = await openOutbox()
  await rm(folder, { recursive: true })
  await writeFile(folder, 'a file')
  add(32)
  expect(await stored()).toBe(0)
  expect(outbox.problem).toContain('there is something else in place of the folder')
  await rm(folder)
  add(32)
  // Whoever tried now would have made the folder long before these are through.
  for (let turn = 0; turn < 50; turn++) await expect(stat(folder)).rejects.toThrow('ENOENT')
  tick()
  tick()
  expect(await stored()).toBe(64)
  expect(outbox.problem).toBe(undefined)
})
