import { constants } from 'node:fs'
import { type FileHandle, open, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { crc32 } from 'node:zlib'
import { syncFolder } from './atomic-file.ts'

export type SpoolRecord = {
  /** Goes up by 1 with each record appended; by more where a run begins that can't tell how far the one before came. */
  readonly seq: number
  /** When it was appended: Unix time, whole milliseconds. */
  readonly atMs: number
  readonly payload: string
}

/**
 * A record on disk, numbers with the lowest byte first: payload length (4 bytes), CRC-32 of all that follows (4), seq (6),
 * atMs (6), payload (UTF-8). A segment is a file of them, seqs ascending, named by the seq of the first.
 */
export const headerBytes = 20

/** No segment is made longer, and no more than this is read of a file, whatever its length. */
export const maxSegmentBytes = 1024 * 1024

/** Far below what six bytes and a double hold, so that it can be counted on from any seq found on a disk. */
export const maxSeq = 2 ** 47

const maxAtMs = 2 ** 48 - 1

/** A time as a record can hold it; what is no time at all counts as the oldest. */
export function recordTime(ms: number): number {
  return Math.min(Math.max(Math.trunc(ms) || 0, 0), maxAtMs)
}

export function encodeRecord({ seq, atMs, payload }: SpoolRecord): Buffer {
  const text = Buffer.from(payload)
  const bytes = Buffer.allocUnsafe(headerBytes + text.length)
  bytes.writeUInt32LE(text.length, 0)
  bytes.writeUIntLE(seq, 8, 6)
  bytes.writeUIntLE(atMs, 14, 6)
  text.copy(bytes, headerBytes)
  bytes.writeUInt32LE(crc32(bytes.subarray(8)), 4)
  return bytes
}

/** The records up to the first that is torn, damaged or out of order, and the bytes that they take. */
export function decodeRecords(bytes: Buffer): { records: SpoolRecord[]; goodBytes: number } {
  const records: SpoolRecord[] = []
  let at = 0
  for (let lastSeq = 0; at + headerBytes <= bytes.length; ) {
    const end = at + headerBytes + bytes.readUInt32LE(at)
    const seq = bytes.readUIntLE(at + 8, 6)
    if (end > bytes.length || seq <= lastSeq || seq > maxSeq) break
    if (crc32(bytes.subarray(at + 8, end)) !== bytes.readUInt32LE(at + 4)) break
    const payload = bytes.toString('utf8', at + headerBytes, end)
    records.push({ seq, atMs: bytes.readUIntLE(at + 14, 6), payload })
    lastSeq = seq
    at = end
  }
  return { records, goodBytes: at }
}

export function segmentName(firstSeq: number): string {
  return `${String(firstSeq).padStart(16, '0')}.log`
}

/** The first seq of a segment of that name; undefined when no segment is named so. */
export function firstSeqOf(name: string): number | undefined {
  const seq = /^\d{16}\.log$/.test(name) ? Number.parseInt(name, 10) : 0
  return seq > 0 && seq <= maxSeq ? seq : undefined
}

export type SegmentContent = {
  readonly records: SpoolRecord[]
  /** Length of the file. */
  readonly bytes: number
  /** Bytes behind the last good record. */
  readonly badBytes: number
  /** What kept it, or the rest of it, from being read. */
  readonly error: unknown
}

/** Reads what can be read of a segment; never throws. */
export async function readSegment(path: string): Promise<SegmentContent> {
  let bytes = 0
  let content = Buffer.alloc(0)
  let read = 0
  let error: unknown
  try {
    bytes = (await stat(path)).size
    content = Buffer.allocUnsafe(Math.min(bytes, maxSegmentBytes))
    await using file = await open(path, 'r')
    while (read < content.length) {
      const { bytesRead } = await file.read(content, read, content.length - read, read)
      if (bytesRead === 0) break
      read += bytesRead
    }
  } catch (reason) {
    // A bad spot on the card, for instance: what came before it is good.
    error = reason
  }
  const { records, goodBytes } = decodeRecords(content.subarray(0, read))
  return { records, bytes, badBytes: bytes - goodBytes, error }
}

/** Appends to one segment. */
export class SegmentWriter implements AsyncDisposable {
  readonly #path: string
  readonly #file: FileHandle
  #isNameStored = false

  private constructor(path: string, file: FileHandle) {
    this.#path = path
    this.#file = file
  }

  /** Begins a new file; throws when there is anything of that name. */
  static async create(path: string): Promise<SegmentWriter> {
    return new SegmentWriter(path, await open(path, 'ax', 0o600))
  }

  /** Goes on with a file; throws when it is not there. */
  static async resume(path: string): Promise<SegmentWriter> {
    return new SegmentWriter(path, await open(path, constants.O_WRONLY | constants.O_APPEND))
  }

  /**
   * What it has resolved for survives a loss of power. When it throws, none, some or all of the bytes may be in the file,
   * which should then not be written any more: a kernel that failed to sync a page may call it clean the next time.
   */
  async append(bytes: Buffer): Promise<void> {
    await this.#file.appendFile(bytes)
    await this.#file.datasync()
    if (!this.#isNameStored) await syncFolder(dirname(this.#path))
    this.#isNameStored = true
    // A file that someone has removed can be written and synced all the same, for nobody.
    if ((await this.#file.stat()).nlink === 0) throw new Error(`${this.#path} was removed by someone else`)
  }

  /** Cuts the file to that length: gives back the room of a failed append. */
  async cut(bytes: number): Promise<void> {
    await this.#file.truncate(bytes)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close()
  }
}
