import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Spool, type SpoolRecord } from '../../../src/lib/spool.ts'
import { decodeRecords, firstSeqOf, segmentName } from '../../../src/lib/spool-segment.ts'
import { expectExact, roomFor, turnsOfTheLoop } from './spool-tools.ts'

type Command =
  | { readonly type: 'append' | 'next' | 'ackInOrder'; readonly count: number }
  | { readonly type: 'ack'; readonly which: readonly number[] }
  | { readonly type: 'flush' | 'rewind' | 'drain' | 'end' | 'crash' }
  | { readonly type: 'clock'; readonly ms: number }
  | { readonly type: 'crashInFlush'; readonly turns: number }
  | Fault
type Fault =
  | { readonly type: 'flip'; readonly file: number; readonly at: number; readonly bits: number }
  | { readonly type: 'cut'; readonly file: number; readonly at: number }
  | { readonly type: 'remove'; readonly file: number }

const few = fc.integer({ min: 1, max: 8 })
const index = fc.nat(50)
const of = <T extends string>(type: T) => fc.constant(type)

const work: fc.Arbitrary<Command> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ type: of('append'), count: few }) },
  { weight: 5, arbitrary: fc.record({ type: of('next'), count: few }) },
  { weight: 4, arbitrary: fc.record({ type: of('ack'), which: fc.array(index, { maxLength: 8 }) }) },
  { weight: 4, arbitrary: fc.record({ type: of('ackInOrder'), count: few }) },
  { weight: 6, arbitrary: fc.record({ type: of('flush') }) },
  { weight: 1, arbitrary: fc.record({ type: of('rewind') }) },
  { weight: 1, arbitrary: fc.record({ type: of('drain') }) },
  { weight: 2, arbitrary: fc.record({ type: of('clock'), ms: fc.integer({ min: -3000, max: 4000 }) }) },
  { weight: 1, arbitrary: fc.record({ type: of('end') }) },
  { weight: 2, arbitrary: fc.record({ type: of('crash') }) },
  { weight: 3, arbitrary: fc.record({ type: of('crashInFlush'), turns: fc.nat(15) }) },
)
const fault: fc.Arbitrary<Fault> = fc.oneof(
  fc.record({ type: of('flip'), file: index, at: fc.nat(), bits: fc.integer({ min: 1, max: 255 }) }),
  fc.record({ type: of('cut'), file: index, at: fc.nat() }),
  fc.record({ type: of('remove'), file: index }),
)

/** What the test knows of a record, whose payload begins with its number. */
type Known = {
  readonly n: number
  readonly atMs: number
  /** In this run, once it has been appended or handed out. */
  seq?: number
  isStored: boolean
  isAcked: boolean
  /** Damage, age or the bound may have taken it. */
  mayBeGone: boolean
}

const maxAgeMs = 10_000

/**
 * Runs a spool through commands, on a real folder. After each the counts must add up; what is handed out must be in order
 * and not acked; and what was stored must be found again, unless there is a reason in `Known`.
 */
async function live(root: string, maxRecords: number, commands: readonly Command[]): Promise<void> {
  const known: Known[] = []
  const spools: Spool[] = []
  /** Segments with damage in this run: what is written behind it is lost too. */
  const damaged = new Set<string>()
  let folder = join(root, '0')
  let nowMs = 1_000_000
  let openedMs = nowMs
  let handedOut: Known[] = []
  let lastN = -1
  let dropped = 0
  let mayBeTorn = false
  let mayBeProblem = false

  const open = async (): Promise<Spool> => {
    const maxBytes = roomFor(maxRecords, 16)
    openedMs = nowMs
    const opened = await Spool.open({ folder, maxBytes, maxAgeMs, segmentBytes: roomFor(4, 16), now: () => nowMs })
    spools.push(opened)
    return opened
  }
  let spool = await open()

  const take = ({ seq, atMs, payload }: SpoolRecord): Known => {
    const record = known[Number.parseInt(payload, 10)]
    if (record === undefined) throw new Error(`a record that was never appended: ${payload}`)
    expect(record.n, 'the order').toBeGreaterThan(lastN)
    expect(record.atMs).toBe(atMs)
    // Records of an earlier run get old from when this one began.
    expect(nowMs - Math.max(atMs, openedMs), 'the age').toBeLessThanOrEqual(maxAgeMs)
    expect(record.isAcked && record.seq !== undefined, 'acked in this run').toBe(false)
    lastN = record.n
    record.seq ??= seq
    expect(record.seq).toBe(seq)
    handedOut.push(record)
    return record
  }
  const drain = async (): Promise<Known[]> => {
    spool.rewind()
    lastN = -1
    handedOut = []
    const records: Known[] = []
    for (let record = await spool.next(); record !== undefined; record = await spool.next()) records.push(take(record))
    expect(spool.counts.pending).toBe(records.length)
    return records
  }
  const mustBeAmong = (records: readonly Known[], wanted: (record: Known) => boolean) => {
    const missing = known.filter((record) => wanted(record) && !record.isAcked && !record.mayBeGone)
    expect(
      missing.filter((record) => !records.includes(record)),
      'lost',
    ).toEqual([])
  }
  const ack = (record: Known) => {
    const before = spool.counts.acked
    spool.ack(record.seq ?? Number.NaN)
    const isCounted = spool.counts.acked > before
    if (!isCounted) expect(record.isAcked || record.mayBeGone, 'an ack that did not count').toBe(true)
    record.isAcked = true
  }
  const segmentOf = (seq: number) => {
    const firsts = readdirSync(folder).flatMap((name) => firstSeqOf(name) ?? [])
    return segmentName(Math.max(...firsts.filter((first) => first <= seq)))
  }
  const noteStored = () => {
    const { stored } = spool.counts
    for (const record of known) {
      if (record.isStored || record.isAcked || record.seq === undefined || record.seq > stored) continue
      record.isStored = true
      if (damaged.has(segmentOf(record.seq))) record.mayBeGone = true
    }
  }
  /** The bound takes the oldest first; which those are is not certain when others may be gone. */
  const noteDropped = () => {
    for (const record of known) {
      if (dropped === spool.counts.dropped) return
      if (record.isAcked || record.seq === undefined) continue
      if (!record.mayBeGone) dropped++
      record.mayBeGone = true
    }
    dropped = spool.counts.dropped
  }
  /** What a crash leaves; the run that is over goes on with the old folder, which no one looks at any more. */
  const crash = () => {
    const copy = join(root, String(spools.length))
    mkdirSync(copy)
    for (const name of readdirSync(folder)) {
      try {
        copyFileSync(join(folder, name), join(copy, name))
      } catch {
        // Deleted just now.
      }
    }
    folder = copy
  }
  const reopen = async () => {
    for (const record of known) delete record.seq
    damaged.clear()
    dropped = 0
    mayBeProblem = false
    spool = await open()
    expect(spool.problem).toBeUndefined()
    const { found, corrupt, pending } = spool.counts
    expect(found).toBe(pending + corrupt)
    if (!mayBeTorn) expect(corrupt, 'damage without a cause').toBe(0)
    mustBeAmong(await drain(), ({ isStored }) => isStored)
  }
  /** A record that was acked, and still is there after a crash, is pending again. */
  const revive = () => {
    for (const record of handedOut) record.isAcked = false
  }
  const harm = (doIt: Fault) => {
    const names = readdirSync(folder)
    const name = names[doIt.file % names.length]
    if (name === undefined) return
    const path = join(folder, name)
    const bytes = readFileSync(path)
    const payloads =
      name === 'cursor' ? [] : decodeRecords(bytes).records.map(({ payload }) => Number.parseInt(payload, 10))
    for (const record of known) record.mayBeGone ||= payloads.includes(record.n)
    if (name !== 'cursor') damaged.add(name)
    mayBeTorn = true
    mayBeProblem = true
    if (doIt.type === 'remove') rmSync(path)
    if (doIt.type === 'cut') truncateSync(path, doIt.at % (bytes.length + 1))
    if (doIt.type === 'flip' && bytes.length > 0) {
      const at = doIt.at % bytes.length
      bytes[at] = (bytes[at] ?? 0) ^ doIt.bits
      writeFileSync(path, bytes)
    }
  }

  for (const step of commands) {
    switch (step.type) {
      case 'append':
        for (let i = 0; i < step.count; i++) {
          const n = known.length
          const seq = spool.append(`${n} ${'x'.repeat(n % 13)}`)
          known.push({ n, atMs: nowMs, seq, isStored: false, isAcked: false, mayBeGone: false })
        }
        break
      case 'next':
        for (let i = 0; i < step.count; i++) {
          const record = await spool.next()
          if (record !== undefined) take(record)
        }
        break
      case 'ack':
        for (const which of step.which) {
          const record = handedOut[which % handedOut.length]
          if (record !== undefined) ack(record)
        }
        break
      case 'ackInOrder':
        for (const record of handedOut.splice(0, step.count)) ack(record)
        break
      case 'rewind':
        spool.rewind()
        lastN = -1
        handedOut = []
        break
      case 'drain':
        mustBeAmong(await drain(), ({ seq }) => seq !== undefined)
        break
      case 'clock':
        nowMs += step.ms
        for (const record of known) record.mayBeGone ||= nowMs - record.atMs > maxAgeMs
        break
      case 'flush':
        await spool.flush()
        if (!mayBeProblem) expect(spool.problem).toBeUndefined()
        noteStored()
        noteDropped()
        if (spool.problem === undefined)
          for (const { seq, isStored, isAcked, mayBeGone } of known)
            if (seq !== undefined) expect(isStored || isAcked || mayBeGone, 'not stored by a flush').toBe(true)
        break
      case 'end':
        await spool[Symbol.asyncDispose]()
        noteStored()
        noteDropped()
        await reopen()
        revive()
        break
      case 'crash':
        crash()
        await reopen()
        revive()
        break
      case 'crashInFlush': {
        const flushed = spool.flush()
        await turnsOfTheLoop(step.turns)
        noteStored()
        crash()
        // It may have dropped a segment and not have counted it yet.
        await flushed
        noteDropped()
        mayBeTorn = true
        await reopen()
        revive()
        break
      }
      default:
        harm(step)
    }
    expectExact(spool)
    noteDropped()
  }
  await Promise.all(spools.map((one) => one[Symbol.asyncDispose]()))
}

const lives = (commands: fc.Arbitrary<Command>, runs: number) =>
  fc.assert(
    fc.asyncProperty(
      fc.constantFrom(16, 40, 1000),
      fc.array(commands, { minLength: 1, maxLength: 60, size: 'max' }),
      async (maxRecords, steps) => {
        const root = await mkdtemp(join(tmpdir(), 'sightd-test-'))
        try {
          await live(root, maxRecords, steps)
        } finally {
          await rm(root, { recursive: true, force: true, maxRetries: 3 })
        }
      },
    ),
    { numRuns: runs },
  )

const minutes = 60_000

test('loses nothing that it stored, whenever it crashes', { timeout: 3 * minutes }, () => lives(work, 60))

test('loses only what was damaged, whatever the damage', { timeout: 3 * minutes }, () =>
  lives(fc.oneof({ weight: 8, arbitrary: work }, { weight: 1, arbitrary: fault }), 100),
)
