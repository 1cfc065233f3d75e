import { describeDiskError } from './disk-error.ts'
import { SpoolDisk, type SpoolLosses } from './spool-disk.ts'
import { recordBytes, SpoolMemory } from './spool-memory.ts'
import { maxSegmentBytes, recordTime, type SpoolRecord } from './spool-segment.ts'

export type { SpoolRecord } from './spool-segment.ts'

export type SpoolOptions = {
  readonly folder: string
  /** Of all segments together. */
  readonly maxBytes: number
  readonly maxAgeMs: number
  /** 256 KiB; never more than a fourth of `maxBytes` or 1 MiB. A record that doesn't fit into a segment is dropped. */
  readonly segmentBytes?: number
  /** 1 MiB, of records that are not on the disk. */
  readonly maxMemoryBytes?: number
  /** Unix time in milliseconds. */
  readonly now?: () => number
}

/** Records; at any moment found + appended = acked + dropped + expired + corrupt + pending. */
export type SpoolCounts = Readonly<SpoolLosses> & {
  /** On the disk at the start and not known to be done with; those lost to damage before that are among them. */
  readonly found: number
  /** In this run. */
  readonly appended: number
  readonly acked: number
  readonly pending: number
  /** On disk, all segments. */
  readonly bytes: number
  /** The highest seq that is on the disk: synced in this run, or found at the start. 0 for none. */
  readonly stored: number
}

/** The cursor is written no more often, since SD cards wear. */
const cursorIntervalMs = 30_000

const defaultSegmentBytes = 256 * 1024
const defaultMemoryBytes = 1024 * 1024

/**
 * A bounded first-in-first-out log of small texts that outlives the process. Records are appended to memory; `flush` puts
 * those that are still not acked on the disk, so that a reader who keeps up costs no writes. Delivery is at least once.
 *
 * A crash, of the process or of the power, at any moment:
 * - What was appended since the last `flush` that succeeded is lost; what it stored comes again, in order, until acked.
 * - Acked records come again when their segment still held one un-acked, and they lie above the cursor. Acked in order,
 *   that is at most one segment's records, and with `flush` called often at most the acks of the last 30 s and one flush
 *   interval. Acked out of order it is at most every record of each segment with one un-acked that is above the oldest
 *   un-acked one. Nothing comes again of a segment whose deletion, which follows its last ack, has been done; nor of
 *   records acked before the flush that would have stored them. After `Symbol.asyncDispose` only what was acked out of
 *   order comes again.
 * - Seqs of records that never got to the disk may be given again, to others.
 *
 * A cursor that is lost or damaged costs only such repetitions. A segment is lost from its first bad byte on.
 */
export class Spool implements AsyncDisposable {
  readonly #maxAgeMs: number
  readonly #segmentBytes: number
  readonly #maxMemoryBytes: number
  readonly #folder: string
  readonly #now: () => number
  readonly #openedAtMs: number
  readonly #memory = new SpoolMemory()
  readonly #disk: SpoolDisk
  readonly #counts = { found: 0, appended: 0, acked: 0, dropped: 0, expired: 0, corrupt: 0, stored: 0 }
  #firstSeq = Number.POSITIVE_INFINITY
  #lastSeq = 0
  /** The seq last handed out; every seq above is still to be handed out. */
  #position = 0
  #cursorAtMs = Number.NEGATIVE_INFINITY
  #problem: string | undefined
  #isClosed = false
  /** All work on the disk, one after the other; never rejects. */
  #disks: Promise<unknown> = Promise.resolve()
  #nextFlush: Promise<void> | undefined
  /** What is asked to be on the disk. */
  #flushSeq = 0

  private constructor({ folder, maxBytes, maxAgeMs, segmentBytes, maxMemoryBytes, now }: SpoolOptions) {
    this.#folder = folder
    this.#maxAgeMs = maxAgeMs
    this.#segmentBytes = Math.min(segmentBytes ?? defaultSegmentBytes, maxSegmentBytes, Math.floor(maxBytes / 4))
    this.#maxMemoryBytes = maxMemoryBytes ?? defaultMemoryBytes
    this.#now = now ?? Date.now
    this.#openedAtMs = this.#now()
    this.#disk = new SpoolDisk({ folder, maxBytes, segmentBytes: this.#segmentBytes }, this.#counts)
  }

  /** Never throws for what is on the disk: a folder that can't be used is a `problem`, and tried again by `flush`. */
  static async open(options: SpoolOptions): Promise<Spool> {
    const spool = new Spool(options)
    try {
      await spool.#scan()
    } catch (error) {
      spool.#problem = spool.#describe(error)
      // Above all that the folder may turn out to hold, which was counted up from 1.
      spool.#lastSeq = recordTime(spool.#now())
    }
    spool.#firstSeq = spool.nextSeq
    return spool
  }

  /** Why records can't be stored just now, in words. */
  get problem(): string | undefined {
    return this.#problem
  }

  get counts(): SpoolCounts {
    return { ...this.#counts, pending: this.#memory.size + this.#disk.pending, bytes: this.#disk.bytes }
  }

  /** Of the records that are in memory only. */
  get waitingBytes(): number {
    return this.#memory.bytes
  }

  /** The seq of the record that is appended next. */
  get nextSeq(): number {
    return this.#lastSeq + 1
  }

  /** Takes a record into memory and returns its seq: one above the last. */
  append(payload: string): number {
    const seq = ++this.#lastSeq
    // A lone surrogate would not come back from the disk as it went.
    const record = { seq, atMs: recordTime(this.#now()), payload: payload.toWellFormed() }
    this.#counts.appended++
    if (recordBytes(record) <= this.#segmentBytes) this.#memory.push(record)
    else this.#counts.dropped++
    this.#counts.dropped += this.#memory.dropBeyond(this.#maxMemoryBytes)
    return seq
  }

  /** The first un-acked record after the one last handed out; undefined when there is none now. */
  async next(): Promise<SpoolRecord | undefined> {
    // Between the choice of a record and its being handed out nothing waits, so that acks and rewinds count at once.
    for (;;) {
      const found = this.#disk.after(this.#position) ?? this.#memory.after(this.#position, this.#lastSeq)
      if (found === undefined) {
        // Nor will there be anything below what is appended next: no need to look there again.
        this.#position = this.#lastSeq
        return undefined
      }
      if (!('payload' in found)) {
        if (await this.#onDisk(() => this.#disk.load(found))) continue
        return undefined
      }
      if (!this.#isExpired(found.atMs)) {
        this.#position = found.seq
        return found
      }
      if (this.#settle(found.seq)) this.#counts.expired++
    }
  }

  /** Hands out all that is not acked once more, from the oldest on. */
  rewind(): void {
    this.#position = 0
  }

  /** A record is done with. One that is not pending any more, or never was, is none of our business. */
  ack(seq: number): void {
    if (this.#settle(seq)) this.#counts.acked++
  }

  /**
   * Stores what is un-acked up to a seq, as far as that can be done; `problem` tells. Calls share a run that has not
   * begun: what was appended before a call has had its turn when that resolves. Never rejects.
   */
  flush(upToSeq = this.#lastSeq): Promise<void> {
    this.#flushSeq = Math.max(this.#flushSeq, upToSeq)
    this.#nextFlush ??= this.#onDisk(async () => {
      this.#nextFlush = undefined
      if (!this.#isClosed) await this.#flushNow()
    })
    return this.#nextFlush
  }

  /** Flushes, and remembers what is done with; from then on nothing is written any more. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.flush()
    await this.#onDisk(async () => {
      if (this.#isClosed) return
      this.#isClosed = true
      try {
        if (this.#disk.isScanned && this.#front !== this.#disk.cursor) await this.#disk.saveCursor(this.#front)
        await this.#disk.close()
      } catch (error) {
        this.#problem = this.#describe(error)
      }
    })
  }

  async #flushNow(): Promise<void> {
    try {
      if (!this.#disk.isScanned) await this.#scan()
      await this.#tidy()
      this.#counts.expired += this.#memory.dropWhere(({ atMs }) => this.#isExpired(atMs))
      const isProven = await this.#store()
      // Without a record to try it with, only the cursor can tell that the disk works again.
      if (this.#isCursorDue || (this.#problem !== undefined && !isProven)) await this.#saveCursor()
      this.#problem = undefined
    } catch (error) {
      this.#problem = this.#describe(error)
    }
  }

  /** Moves from memory to disk what was there when it began; true when there was something. */
  async #store(): Promise<boolean> {
    const lastSeq = this.#flushSeq
    for (let isProven = false; ; isProven = true) {
      const batch = this.#memory.batch(this.#segmentBytes, lastSeq)
      const [first] = batch
      const last = batch.at(-1)
      if (first === undefined || last === undefined) return isProven
      // A cursor that we could not read may be far ahead: it would give up these records when it can be read again.
      if (this.#disk.cursor === undefined) await this.#saveCursor()
      const segment = await this.#disk.store(batch, first.seq)
      // Those acked in the meantime are done with.
      for (const { seq } of batch) if (this.#memory.delete(seq)) segment.pending.push(seq)
      this.#counts.stored = last.seq
      if (segment.pending.size === 0) await this.#tidy()
    }
  }

  async #scan(): Promise<void> {
    const { lastSeq, storedSeq, found } = await this.#disk.scan(this.#firstSeq)
    this.#lastSeq = Math.max(this.#lastSeq, lastSeq)
    this.#counts.stored = storedSeq
    this.#counts.found = found
    // They are older than all that was handed out.
    this.rewind()
  }

  async #tidy(): Promise<void> {
    await this.#disk.tidy((atMs) => this.#isExpired(atMs))
  }

  async #saveCursor(): Promise<void> {
    this.#cursorAtMs = this.#now()
    await this.#disk.saveCursor(this.#front)
  }

  /** All up to this seq are done with. */
  get #front(): number {
    const oldest = this.#disk.front?.pending.after(0) ?? this.#memory.firstSeq ?? this.nextSeq
    return oldest - 1
  }

  /** The clock may have been set back: then it is due as well. */
  get #isCursorDue(): boolean {
    const { front, cursor } = this.#disk
    const isInside = front !== undefined && this.#front >= front.firstSeq && this.#front !== cursor
    return isInside && Math.abs(this.#now() - this.#cursorAtMs) >= cursorIntervalMs
  }

  /** Takes a record out, wherever it is; false when it is not pending. */
  #settle(seq: number): boolean {
    if (this.#memory.delete(seq)) return true
    const segment = this.#disk.settle(seq)
    if (segment?.pending.size === 0 && !this.#isClosed) void this.#onDisk(() => this.#tidy())
    return segment !== undefined
  }

  /** Never so for a time ahead of the clock. Of an earlier run nobody knows what its clock was worth: its records get old from now on. */
  #isExpired(atMs: number): boolean {
    return this.#now() - Math.max(atMs, this.#openedAtMs) > this.#maxAgeMs
  }

  #onDisk<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#disks.then(work)
    this.#disks = done.catch(() => {})
    return done
  }

  #describe(error: unknown): string {
    return `${this.#folder}: can't store records: ${describeDiskError(error)}`
  }
}
