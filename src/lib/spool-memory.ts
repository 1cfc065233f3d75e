import { headerBytes, type SpoolRecord } from './spool-segment.ts'

/** The records of a spool that are not on the disk, oldest first. */
export class SpoolMemory {
  readonly #records = new Map<number, SpoolRecord>()
  #bytes = 0

  get size(): number {
    return this.#records.size
  }

  get bytes(): number {
    return this.#bytes
  }

  get firstSeq(): number | undefined {
    return this.#records.keys().next().value
  }

  push(record: SpoolRecord): void {
    this.#records.set(record.seq, record)
    this.#bytes += recordBytes(record)
  }

  /** True when it was there. */
  delete(seq: number): boolean {
    const record = this.#records.get(seq)
    if (record === undefined) return false
    this.#bytes -= recordBytes(record)
    return this.#records.delete(seq)
  }

  /** The first record above `seq`; none has a seq above `lastSeq`. */
  after(seq: number, lastSeq: number): SpoolRecord | undefined {
    for (let at = Math.max(seq + 1, this.firstSeq ?? lastSeq + 1); at <= lastSeq; at++) {
      const record = this.#records.get(at)
      if (record !== undefined) return record
    }
    return undefined
  }

  /** Deletes the oldest records until the others fit into `maxBytes`, and says how many. */
  dropBeyond(maxBytes: number): number {
    const { size } = this
    for (const seq of this.#records.keys()) {
      if (this.#bytes <= maxBytes) break
      this.delete(seq)
    }
    return size - this.size
  }

  /** Deletes the records for which that is so, and says how many. */
  dropWhere(isSo: (record: SpoolRecord) => boolean): number {
    const { size } = this
    for (const record of this.#records.values()) if (isSo(record)) this.delete(record.seq)
    return size - this.size
  }

  /** The oldest records up to `lastSeq`, as many as fit into `maxBytes`. */
  batch(maxBytes: number, lastSeq: number): SpoolRecord[] {
    const batch: SpoolRecord[] = []
    let bytes = 0
    for (const record of this.#records.values()) {
      bytes += recordBytes(record)
      if (bytes > maxBytes || record.seq > lastSeq) break
      batch.push(record)
    }
    return batch
  }
}

/** What a record takes on disk, and about what it takes in memory. */
export function recordBytes({ payload }: SpoolRecord): number {
  return headerBytes + Buffer.byteLength(payload)
}
