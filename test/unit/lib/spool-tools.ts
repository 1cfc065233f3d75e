import { cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { expect, onTestFinished } from 'vitest'
import { Spool, type SpoolOptions } from '../../../src/lib/spool.ts'
import { headerBytes } from '../../../src/lib/spool-segment.ts'
import { tempFolder } from '../../support/temp-folder.ts'

/** Room for `count` records with a payload of `payloadBytes`. */
export const roomFor = (count: number, payloadBytes = 10) => count * (headerBytes + payloadBytes)

/** A payload of 10 bytes. */
export const text = (n: number) => `record ${String(n).padStart(3, '0')}`

/** A spool whose clock is in the hands of the test; closed when that is over. */
export async function openSpool(options: Partial<SpoolOptions> & { folder: string }, clock = { ms: 1_000_000 }) {
  const spool = await Spool.open({
    maxBytes: roomFor(1000),
    maxAgeMs: 60_000,
    segmentBytes: roomFor(3),
    now: () => clock.ms,
    ...options,
  })
  onTestFinished(() => spool[Symbol.asyncDispose]())
  return spool
}

/** What a crash at this moment would leave for the next run. */
export async function crashed(folder: string): Promise<string> {
  const copy = await tempFolder()
  await cp(folder, copy, { recursive: true })
  return copy
}

/** A spool with records 1 to `count` on the disk, three in a segment, and nothing acked; its folder after a crash. */
export async function folderWith(count: number): Promise<string> {
  const folder = await tempFolder()
  const spool = await openSpool({ folder })
  await appendAndFlush(spool, 1, count)
  return await crashed(folder)
}

/** Appends records `from` to `to`, each with a flush of its own. */
export async function appendAndFlush(spool: Spool, from: number, to: number): Promise<void> {
  for (let n = from; n <= to; n++) {
    spool.append(text(n))
    await spool.flush()
  }
}

/** All that is handed out from now on. */
export async function drain(spool: Spool): Promise<string[]> {
  const payloads: string[] = []
  for (let record = await spool.next(); record !== undefined; record = await spool.next()) payloads.push(record.payload)
  expectExact(spool)
  return payloads
}

export const texts = (...numbers: number[]) => numbers.map(text)
export const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i)

export function expectExact({ counts }: Spool): void {
  const { found, appended, acked, dropped, expired, corrupt, pending } = counts
  expect(acked + dropped + expired + corrupt + pending, JSON.stringify(counts)).toBe(found + appended)
}

export const segmentsIn = async (folder: string) =>
  (await readdir(folder)).filter((name) => name.endsWith('.log')).sort()
export const segment = (firstSeq: number) => `${String(firstSeq).padStart(16, '0')}.log`

/** Changes one byte of a file. */
export async function damage(path: string, at: number): Promise<void> {
  const bytes = await readFile(path)
  bytes[at] = (bytes[at] ?? 0) ^ 0x20
  await writeFile(path, bytes)
}

/** Lets others do their work for so many turns of the event loop. */
export async function turnsOfTheLoop(turns: number): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve))
}

/** Puts a folder in place of a file, which can then not be deleted. */
export async function inPlaceOf(path: string): Promise<void> {
  await rm(path)
  await mkdir(path)
}
