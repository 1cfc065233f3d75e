import { join } from 'node:path'
import { makeFolderDurably, removeDurably } from './atomic-file.ts'
import { errorCode, isShortage } from './disk-error.ts'
import { SeqRuns } from './seq-runs.ts'
import { type Segment, scanFolder, writeCursor } from './spool-folder.ts'
import { encodeRecord, readSegment, SegmentWriter, type SpoolRecord, segmentName } from './spool-segment.ts'

/** What became of records that were not done with. */
export type SpoolLosses = {
  /** Beyond the bounds, oldest first. */
  dropped: number
  /** Older than `maxAgeMs`. */
  expired: number
  /** Lost to damage. For damage from before the start it is a guess by the gaps in seq, which acks may have made. */
  corrupt: number
}

/**
 * The segments of a spool. What is async here must be called one at a time; the rest may be called in between.
 * Losses are counted in the object given.
 */
export class SpoolDisk {
  readonly #folder: string
  readonly #maxBytes: number
  readonly #segmentBytes: number
  readonly #losses: SpoolLosses
  /** Oldest first: by their first seqs, and by all that is in them. */
  #segments: Segment[] = []
  #writer: { readonly segment: Segment; readonly file: SegmentWriter } | undefined
  #resumable: Segment | undefined
  /** The one segment that is in memory. */
  #loaded: { readonly segment: Segment; readonly records: ReadonlyMap<number, SpoolRecord> } | undefined
  #isScanned = false
  #cursor: number | undefined

  constructor(options: { folder: string; maxBytes: number; segmentBytes: number }, losses: SpoolLosses) {
    this.#folder = options.folder
    this.#maxBytes = options.maxBytes
    this.#segmentBytes = options.segmentBytes
    this.#losses = losses
  }

  /** False while the folder can't be read. */
  get isScanned(): boolean {
    return this.#isScanned
  }

  get bytes(): number {
    return this.#segments.reduce((sum, { bytes }) => sum + bytes, 0)
  }

  get pending(): number {
    return this.#segments.reduce((sum, { pending }) => sum + pending.size, 0)
  }

  /** The seq in the cursor file; undefined when it is not known. */
  get cursor(): number | undefined {
    return this.#cursor
  }

  /** The oldest segment with records that are not done with. */
  get front(): Segment | undefined {
    return this.#segments.find(({ pending }) => pending.size > 0)
  }

  /** The first pending record above `seq`, or the segment that has to be loaded to have it. */
  after(seq: number): SpoolRecord | Segment | undefined {
    for (const segment of this.#segments) {
      const next = segment.pending.after(seq)
      if (next === undefined) continue
      return (this.#loaded?.segment === segment ? this.#loaded.records.get(next) : undefined) ?? segment
    }
    return undefined
  }

  /** Takes a record out of the pending ones and returns the segment that it was in; undefined when it is none of them. */
  settle(seq: number): Segment | undefined {
    const segment = this.#segments.findLast(({ firstSeq }) => firstSeq <= seq)
    return segment?.pending.delete(seq) ? segment : undefined
  }

  /** Makes the folder and takes in what is there; throws when it can't, or when there are seqs from `belowSeq` on. */
  async scan(belowSeq: number): Promise<{ lastSeq: number; storedSeq: number; found: number }> {
    await makeFolderDurably(this.#folder)
    const { segments, resumable, cursor, lastSeq, storedSeq, lost } = await scanFolder(this.#folder)
    if (lastSeq >= belowSeq) throw new Error(`${this.#folder} holds newer records than those of this run`)
    this.#segments = segments
    this.#resumable = resumable
    this.#cursor = cursor
    this.#isScanned = true
    this.#losses.corrupt += lost
    return { lastSeq, storedSeq, found: this.pending + lost }
  }

  /** Brings a segment into memory, in place of another. False when that can't be done just now. */
  async load(segment: Segment): Promise<boolean> {
    if (!this.#segments.includes(segment)) return true
    const content = await readSegment(segment.path)
    if (isShortage(content.error)) return false
    // Those that were in memory before are not lost, whatever has happened to the file.
    const records = new Map(this.#loaded?.segment === segment ? this.#loaded.records : [])
    for (const record of content.records) records.set(record.seq, record)
    this.#loaded = { segment, records }
    // One that is gone needs no keeping.
    segment.isUnreadable ||= content.error !== undefined && errorCode(content.error) !== 'ENOENT'
    const lost = [...segment.pending].filter((seq) => !records.has(seq))
    for (const seq of lost) segment.pending.delete(seq)
    this.#losses.corrupt += lost.length
    // Nothing that is written behind a bad place can be read.
    if (lost.length > 0 || content.badBytes > 0) await this.#giveUp(segment)
    return true
  }

  /**
   * Stores records, which must fit into a segment; throws when they are not on the disk for sure. They are not pending
   * here until the caller says so.
   */
  async store(records: readonly SpoolRecord[], firstSeq: number): Promise<Segment> {
    const bytes = Buffer.concat(records.map(encodeRecord))
    await this.#makeRoom(bytes.length)
    const { segment, file } = await this.#writerFor(bytes.length, firstSeq)
    try {
      await file.append(bytes)
    } catch (error) {
      await file.cut(segment.bytes).catch(() => {
        segment.bytes += bytes.length
      })
      await this.#giveUp(segment)
      throw error
    }
    segment.bytes += bytes.length
    segment.newestMs = records.reduce((newest, { atMs }) => Math.max(newest, atMs), segment.newestMs)
    return segment
  }

  /** Deletes segments of which all is done with, or expired. One that can't be deleted stays, and is tried again. */
  async tidy(isExpired: (atMs: number) => boolean): Promise<void> {
    for (const segment of [...this.#segments])
      if (isEmpty(segment) || (!segment.isUnreadable && isExpired(segment.newestMs)))
        await this.#remove(segment, 'expired').catch(() => {})
  }

  async saveCursor(seq: number): Promise<void> {
    await writeCursor(this.#folder, seq)
    this.#cursor = seq
  }

  async close(): Promise<void> {
    const { file } = this.#writer ?? {}
    this.#writer = undefined
    await file?.[Symbol.asyncDispose]()
  }

  async #makeRoom(bytes: number): Promise<void> {
    let cause: unknown
    for (const segment of [...this.#segments]) {
      if (this.bytes + bytes <= this.#maxBytes) return
      await this.#remove(segment, 'dropped').catch((error: unknown) => {
        cause = error
      })
    }
    if (this.bytes + bytes > this.#maxBytes) throw new Error(`can't delete old records to make room`, { cause })
  }

  async #remove(segment: Segment, loss: 'dropped' | 'expired'): Promise<void> {
    await this.#giveUp(segment)
    await removeDurably(segment.path)
    this.#losses[loss] += segment.pending.size
    this.#segments = this.#segments.filter((other) => other !== segment)
    if (this.#loaded?.segment === segment) this.#loaded = undefined
  }

  async #writerFor(bytes: number, firstSeq: number): Promise<{ segment: Segment; file: SegmentWriter }> {
    const fits = (segment: Segment) => segment.bytes + bytes <= this.#segmentBytes
    if (this.#writer !== undefined && fits(this.#writer.segment)) return this.#writer
    await this.close()
    const resumable = this.#resumable
    this.#resumable = undefined
    if (resumable !== undefined && fits(resumable)) {
      this.#writer = { segment: resumable, file: await SegmentWriter.resume(resumable.path) }
      return this.#writer
    }
    // Someone may have removed the folder.
    await makeFolderDurably(this.#folder)
    const path = join(this.#folder, segmentName(firstSeq))
    const file = await SegmentWriter.create(path)
    const segment = { path, firstSeq, bytes: 0, newestMs: 0, pending: new SeqRuns(), isUnreadable: false }
    this.#segments.push(segment)
    this.#writer = { segment, file }
    return this.#writer
  }

  /** Writes no more to that segment, if it is the one that is written. */
  async #giveUp(segment: Segment): Promise<void> {
    if (this.#resumable === segment) this.#resumable = undefined
    if (this.#writer?.segment === segment) await this.close().catch(() => {})
  }
}

function isEmpty({ pending, isUnreadable }: Segment): boolean {
  return pending.size === 0 && !isUnreadable
}
