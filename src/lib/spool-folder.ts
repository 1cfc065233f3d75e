import { open, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import * as v from 'valibot'
import { writeFileAtomic } from './atomic-file.ts'
import { errorCode } from './disk-error.ts'
import { SeqRuns } from './seq-runs.ts'
import { firstSeqOf, maxSegmentBytes, maxSeq, readSegment } from './spool-segment.ts'

/** What is known of a segment while it is not loaded; small whatever it holds. */
export type Segment = {
  readonly path: string
  readonly firstSeq: number
  /** Length of the file. */
  bytes: number
  newestMs: number
  /** The seqs of its records that are not done with. */
  readonly pending: SeqRuns
  /** It may hold more than we could read. */
  isUnreadable: boolean
}

export type SpoolFolder = {
  /** Oldest first. */
  readonly segments: Segment[]
  /** The newest segment, when it is whole and can be gone on with. */
  readonly resumable: Segment | undefined
  /** All up to this seq are done with; undefined when that can't be read. */
  readonly cursor: number | undefined
  /** The highest seq of which there is any trace. */
  readonly lastSeq: number
  /** The highest seq of a good record. */
  readonly storedSeq: number
  /** Records lost to damage, by the gaps in seq behind bad places: at most so many. One when nothing follows. */
  readonly lost: number
}

/**
 * Reads a spool's folder, one segment at a time; throws when it can't be listed, and for nothing that is in it.
 *
 * A segment's records end where those of the next begin: what was written twice, because the first time failed, counts
 * where it was written last. So the newest is read first.
 */
export async function scanFolder(folder: string): Promise<SpoolFolder> {
  const named = (await readdir(folder, { withFileTypes: true }))
    .flatMap((entry) => ({ entry, firstSeq: firstSeqOf(entry.name) ?? 0 }))
    .filter(({ firstSeq }) => firstSeq > 0)
    .sort((a, b) => b.firstSeq - a.firstSeq)
  const cursor = await readCursor(join(folder, 'cursor'))
  const done = cursor ?? 0
  const segments: Segment[] = []
  let resumable: Segment | undefined
  let storedSeq = 0
  let lost = 0
  let nextRecord = Number.POSITIVE_INFINITY
  for (const { entry, firstSeq } of named.filter(({ entry }) => entry.isFile())) {
    const path = join(folder, entry.name)
    const { records, bytes, badBytes, error } = await readSegment(path)
    const own = records.filter(({ seq }) => seq >= firstSeq && seq < nextRecord)
    const pending = new SeqRuns()
    for (const { seq } of own) if (seq > done) pending.push(seq)
    const newestMs = own.reduce((newest, { atMs }) => Math.max(newest, atMs), 0)
    const segment = { path, firstSeq, bytes, newestMs, pending, isUnreadable: error !== undefined }
    const lastGood = Math.max(own.at(-1)?.seq ?? firstSeq - 1, done)
    const isDamaged = badBytes > 0 || own.length === 0 || segment.isUnreadable
    const newer = segments.at(-1)
    if (newer !== undefined && isDamaged) lost += Math.max(0, newer.firstSeq - 1 - lastGood)
    // How many a torn tail at the very end held is not known, but it held one.
    if (newer === undefined && badBytes > 0) lost++
    if (newer === undefined && !isDamaged) resumable = segment
    storedSeq = Math.max(storedSeq, own.at(-1)?.seq ?? 0)
    nextRecord = own[0]?.seq ?? nextRecord
    segments.push(segment)
  }
  // The next run may be able to read what we could not: its seqs should not be ours.
  const unread = segments[0]?.isUnreadable ? maxSegmentBytes : 0
  const lastSeq = Math.max(done, storedSeq, named[0]?.firstSeq ?? 0) + unread
  return { segments: segments.reverse(), resumable, cursor, lastSeq, storedSeq, lost }
}

const cursorSchema = v.object({
  seq: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(maxSeq)),
  crc32: v.number(),
})

/** The checksum is there because a digit that flips in the seq would still be JSON, and give up records that are not done. */
export async function writeCursor(folder: string, seq: number): Promise<void> {
  await writeFileAtomic(join(folder, 'cursor'), `${JSON.stringify({ seq, crc32: crc32(String(seq)) })}\n`)
}

/** 0 when there is none or what is there is none. Undefined when it can't be read now: another time it may be. */
async function readCursor(path: string): Promise<number | undefined> {
  try {
    await using file = await open(path, 'r')
    const { buffer, bytesRead } = await file.read(Buffer.alloc(256), 0, 256, 0)
    return parseCursor(buffer.toString('utf8', 0, bytesRead))
  } catch (error) {
    return ['ENOENT', 'EISDIR'].includes(errorCode(error) ?? '') ? 0 : undefined
  }
}

function parseCursor(text: string): number {
  try {
    const { seq, crc32: sum } = v.parse(cursorSchema, JSON.parse(text))
    return sum === crc32(String(seq)) ? seq : 0
  } catch {
    return 0
  }
}
