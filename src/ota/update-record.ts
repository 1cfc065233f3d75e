import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { open, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import * as v from 'valibot'
import { makeFolderDurably, syncFolder } from '../lib/atomic-file.ts'
import { describeDiskError, errorCode } from '../lib/disk-error.ts'
import { OtaError } from './ota-error.ts'

const count = v.pipe(v.number(), v.integer(), v.minValue(0))
const word = v.pipe(v.string(), v.minLength(1), v.maxLength(100))
const sha256 = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/))

/** A model by its manifest, which names all its other files by their digests. */
const modelSchema = v.object({ name: word, version: word, length: count, sha256 })

/** What has to outlive the process, and the power. Fields that a later version adds are left out when it is read. */
const recordSchema = v.object({
  format: v.literal(1),
  seq: count,
  /** The model in charge, null for the one that the device came with; and the one before. */
  active: v.nullable(modelSchema),
  previous: v.nullable(v.union([modelSchema, v.literal('factory')])),
  /** What is being tried, and how far that is: proved beside the active model, or in charge on probation. */
  candidate: v.nullable(v.object({ ...modelSchema.entries, rollbackIndex: count })),
  stage: v.picklist(['idle', 'proving', 'trial']),
  /** Proofs and starts in charge that have begun and of which nobody knows yet that they ended well. */
  tries: count,
  /** Of these, those that a new start of the board ended. */
  powerLosses: count,
  /** The start of the board in which the newest of them began. */
  bootId: v.string(),
  /** What the active model was like just before the candidate took over. */
  baseline: v.nullable(
    v.object({
      p50Ms: v.nullable(v.number()),
      p95Ms: v.nullable(v.number()),
      commonest: v.number(),
      isConnected: v.boolean(),
    }),
  ),
  /** Models that have failed here, by the digests of their manifests, with the outcome's code; the newest last. */
  bad: v.array(v.tuple([sha256, word])),
  /** No model with a lower rollback index is installed any more. */
  floor: count,
  /** Not before it, in ms since 1970: a time that was signed, and past, once. */
  timeFloorMs: v.number(),
  paused: v.boolean(),
  /** Beginnings with this candidate, but for those that came to an orderly end. */
  writes: count,
  last: v.nullable(
    v.object({
      model: v.object({ name: word, version: word }),
      outcome: v.picklist(['committed', 'rolled_back', 'refused', 'failed', 'cancelled']),
      code: word,
      reason: v.string(),
      ts: v.string(),
    }),
  ),
})

export type ModelRef = v.InferOutput<typeof modelSchema>
export type UpdateRecord = v.InferOutput<typeof recordSchema>

export const freshRecord: UpdateRecord = {
  format: 1,
  seq: 0,
  active: null,
  previous: null,
  candidate: null,
  stage: 'idle',
  tries: 0,
  powerLosses: 0,
  bootId: '',
  baseline: null,
  bad: [],
  floor: 0,
  timeFloorMs: 0,
  paused: false,
  writes: 0,
  last: null,
}

const recordBytes = 4096
const digestLength = 64
const maxReason = 300

/**
 * The record in two files of 4 KiB that are there from the beginning and written in turns, in place: it can be written
 * when the disk is full, and a write that is cut short leaves the other one.
 */
export class RecordFiles {
  readonly #folder: string
  #record: UpdateRecord
  /** Which file the record is in. */
  #at: number
  #writing: Promise<void> = Promise.resolve()

  private constructor(folder: string, record: UpdateRecord, at: number) {
    this.#folder = folder
    this.#record = record
    this.#at = at
  }

  /** `isLost`: there were files, and none of them was any good. Throws an OtaError `store_failed`. */
  static async open(folder: string): Promise<{ readonly files: RecordFiles; readonly isLost: boolean }> {
    try {
      await makeFolderDurably(folder)
      const found = await Promise.all([0, 1].map((at) => readRecord(pathOf(folder, at))))
      const best = (found[1]?.record?.seq ?? -1) > (found[0]?.record?.seq ?? -1) ? 1 : 0
      const record = found[best]?.record
      const files = new RecordFiles(folder, record ?? freshRecord, record === undefined ? 1 : best)
      await settle(folder, found).catch((error: unknown) => {
        // A disk that takes nothing is no reason to go without a record that it gives.
        if (record === undefined) throw error
      })
      return { files, isLost: record === undefined && found.some((file) => file?.isThere) }
    } catch (error) {
      throw failure(folder, error)
    }
  }

  get record(): UpdateRecord {
    return this.#record
  }

  /** One write after the other. On the disk when it resolves; throws an OtaError `store_failed`, and the record is as it was. */
  write(change: (record: UpdateRecord) => Partial<UpdateRecord>): Promise<void> {
    const written = this.#writing.then(() => this.#write(change(this.#record)))
    this.#writing = written.catch(() => {})
    return written
  }

  /** The same, and then in the other file as well, so that the loss of either costs nothing; that this failed is told to nobody. */
  async writeTwice(change: (record: UpdateRecord) => Partial<UpdateRecord>): Promise<void> {
    await this.write(change)
    await this.write(() => ({})).catch(() => {})
  }

  async #write(changes: Partial<UpdateRecord>): Promise<void> {
    const next = { ...this.#record, ...changes, seq: this.#record.seq + 1 }
    const at = 1 - this.#at
    const path = pathOf(this.#folder, at)
    try {
      await using file = await open(path, constants.O_RDWR | constants.O_NOFOLLOW)
      const bytes = encode(next)
      const { bytesWritten } = await file.write(bytes, 0, bytes.length, 0)
      if (bytesWritten !== bytes.length) throw new Error(`${bytesWritten} of ${bytes.length} bytes were written`)
      await file.sync()
    } catch (error) {
      throw failure(path, error)
    }
    this.#record = next
    this.#at = at
  }
}

const pathOf = (folder: string, at: number) => join(folder, `record.${at}`)

type Found = { readonly isThere: boolean; readonly isWhole: boolean; readonly record?: UpdateRecord }

async function readRecord(path: string): Promise<Found> {
  try {
    await using file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
    const stats = await file.stat()
    if (!stats.isFile() || stats.size !== recordBytes) return { isThere: true, isWhole: false }
    const { buffer } = await file.read(Buffer.alloc(recordBytes), 0, recordBytes, 0)
    const record = decode(buffer)
    const isBlank = buffer.every((byte) => byte === 0)
    return { isThere: !isBlank, isWhole: true, ...(record === undefined ? {} : { record }) }
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return { isThere: false, isWhole: false }
    // A link, a device: something in the way, which `reserve` takes away; or a place on the disk that has gone bad.
    if (['ELOOP', 'ENXIO', 'EISDIR', 'EIO'].includes(errorCode(error) ?? '')) return { isThere: true, isWhole: false }
    throw error
  }
}

/** Both files are there, and on the disk as they were read: a process that was killed may have left what is not. */
async function settle(folder: string, found: readonly Found[]): Promise<void> {
  for (const [at, { isWhole }] of found.entries()) {
    if (!isWhole) await reserve(pathOf(folder, at))
    await using file = await open(pathOf(folder, at), constants.O_RDONLY | constants.O_NOFOLLOW)
    await file.sync()
  }
  await syncFolder(folder)
  await syncFolder(dirname(folder))
}

/** Makes the file with all its room on the disk. */
async function reserve(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true })
  await using file = await open(path, 'wx', 0o600)
  await file.write(Buffer.alloc(recordBytes), 0, recordBytes, 0)
  await file.sync()
}

function encode(record: UpdateRecord): Buffer {
  const last = record.last === null ? null : { ...record.last, reason: record.last.reason.slice(0, maxReason) }
  // The oldest failures are forgotten when there are too many for the room.
  for (let bad = record.bad; ; bad = bad.slice(1)) {
    const json = JSON.stringify({ ...record, last, bad })
    const bytes = Buffer.alloc(recordBytes, ' ')
    const length = Buffer.byteLength(json)
    if (digestLength + length > recordBytes) {
      if (bad.length === 0) throw new Error('the record is longer than 4 KiB')
      continue
    }
    bytes.write(json, digestLength)
    bytes.write(digestOf(bytes), 0)
    return bytes
  }
}

function decode(bytes: Buffer): UpdateRecord | undefined {
  if (bytes.toString('latin1', 0, digestLength) !== digestOf(bytes)) return undefined
  const json = v.safeParse(v.pipe(v.string(), v.parseJson(), recordSchema), bytes.toString('utf8', digestLength))
  return json.success ? json.output : undefined
}

const digestOf = (bytes: Buffer) => createHash('sha256').update(bytes.subarray(digestLength)).digest('hex')

function failure(path: string, error: unknown): OtaError {
  return new OtaError('store_failed', path, describeDiskError(error), { cause: error })
}
