import { writeFileSync } from 'node:fs'
import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as v from 'valibot'
import { describeError } from '../core/errors.ts'

/** How an earlier run ended, when it did not end in good order. */
export type Crash = {
  /** When it ended, or, where nobody knows, when it had begun; RFC 3339. */
  readonly ts: string
  readonly reason: string
  /** Its last log lines, oldest first, where it could still write them down. */
  readonly log: readonly string[]
}

const crashSchema = v.object({ ts: v.pipe(v.string(), v.isoTimestamp()), reason: v.string(), log: v.array(v.string()) })
const markerSchema = v.object({ started: v.pipe(v.string(), v.isoTimestamp()), bootId: v.string() })

const maxLines = 50
const maxLineLength = 500

/** What systemd says of an ending ($SERVICE_RESULT, systemd.exec(5)), in words. */
const results: Readonly<Record<string, string>> = {
  watchdog: 'killed by the watchdog of the service: nothing got finished any more',
  'oom-kill': 'killed by the kernel: the board was out of memory',
  timeout: 'killed by systemd: it did not start, or stop, in time',
}

/**
 * Notices that the run before ended without an end in good order, and why: the journal of many boards is gone after a
 * restart. A run leaves a marker that its own end takes away; one that throws writes down what and its last log lines; of one
 * that was killed systemd leaves a word (ExecStopPost= in sightd.service).
 */
export class CrashRecord {
  readonly #folder: string
  readonly #lines: string[] = []
  #isTold = false
  /** Of the run before; undefined when that ended in good order. */
  readonly crash: Crash | undefined

  private constructor(folder: string, crash: Crash | undefined) {
    this.#folder = folder
    this.crash = crash
  }

  /** Nothing here is worth a start that fails: what can't be read or written is left out. */
  static async open(folder: string, bootId: string): Promise<CrashRecord> {
    const path = (name: string) => join(folder, name)
    const [marker, written, result] = await Promise.all([
      readJson(path('running.json'), markerSchema),
      readJson(path('crash.json'), crashSchema),
      readFile(path('last-exit'), 'utf8').catch(() => ''),
    ])
    // What was written and never told is about a run before the one that was killed, if that began later.
    const isOlder = written !== undefined && marker !== undefined && marker.started > written.ts
    const guessed = marker === undefined ? undefined : guess(marker, result, bootId)
    const crash = isOlder ? guessed : (written ?? guessed)
    if (crash !== undefined) await writeFile(path('crash.json'), JSON.stringify(crash), { mode: 0o600 }).catch(() => {})
    await rm(path('last-exit'), { force: true }).catch(() => {})
    await writeFile(path('running.json'), JSON.stringify({ started: new Date().toISOString(), bootId }), {
      mode: 0o600,
    }).catch(() => {})
    return new CrashRecord(folder, crash)
  }

  /** Keeps a log line in mind. */
  note(record: string): void {
    this.#lines.push(record.trimEnd().slice(0, maxLineLength))
    if (this.#lines.length > maxLines) this.#lines.shift()
  }

  /** At once, since the process is about to end. */
  write(error: unknown): void {
    const crash: Crash = { ts: new Date().toISOString(), reason: describeError(error), log: this.#lines }
    try {
      writeFileSync(join(this.#folder, 'crash.json'), JSON.stringify(crash), { mode: 0o600 })
    } catch {
      // The disk may be why.
    }
  }

  /** Someone has heard of the crash: it is not told again, and lies there for a person. */
  async told(): Promise<void> {
    if (this.#isTold) return
    this.#isTold = true
    await rename(join(this.#folder, 'crash.json'), join(this.#folder, 'last-crash.json')).catch(() => {})
  }

  /** An end in good order. */
  async close(): Promise<void> {
    await rm(join(this.#folder, 'running.json'), { force: true }).catch(() => {})
  }
}

function guess({ started, bootId: then }: v.InferOutput<typeof markerSchema>, result: string, now: string): Crash {
  const [word = '', , how = ''] = result.trim().split(' ')
  const known = results[word] ?? (how === '' ? undefined : `ended by ${how} (${word})`)
  const lost = 'the power was lost, or the board was started anew, while it ran'
  return { ts: started, reason: known ?? (then === now ? 'killed' : lost), log: [] }
}

async function readJson<T>(path: string, schema: v.GenericSchema<unknown, T>): Promise<T | undefined> {
  const text = await readFile(path, 'utf8').catch(() => '')
  const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), schema), text)
  return parsed.success ? parsed.output : undefined
}
