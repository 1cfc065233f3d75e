import { setTimeout as delay } from 'node:timers/promises'
import { Doorbell } from '../lib/doorbell.ts'
import type { Spool } from '../lib/spool.ts'
import type { EventSource, FinalDelivery } from './event-sender.ts'

export type OutboxOptions = {
  readonly spool: Spool
  /** At most this many events per second from the time before the connection; whoever is new goes behind them. */
  readonly replayRate: number
  /** The disk has begun or ceased to make trouble. */
  readonly onProblem?: (problem: string | undefined) => void
}

/** What was made so long ago and has not been acknowledged goes to the disk. */
const flushMs = 5000

/** Or when so much waits in memory. */
const flushBytes = 32 * 1024

/**
 * Events on their way to the broker, in order, kept until it has acknowledged them: in memory first, on disk when the
 * broker takes longer than a few seconds, bounded in bytes and age there. What was made before the connection over which
 * it is sent says `"replayed": true`.
 */
export class Outbox implements EventSource, AsyncDisposable {
  readonly #spool: Spool
  readonly #intervalMs: number
  readonly #onProblem: (problem: string | undefined) => void
  #toldProblem: string | undefined
  readonly #timer: NodeJS.Timeout
  readonly #added = new Doorbell()
  readonly #settled = new Doorbell()
  #isRelieving = false
  /** What was made before the last tick. */
  #dueSeq = 0
  /** Events from here on were made while this connection was up. */
  #liveFrom = 0
  #nextReplayMs = 0
  readonly counts = { sent: 0, replayed: 0, refused: 0 }

  constructor({ spool, replayRate, onProblem = () => {} }: OutboxOptions) {
    this.#spool = spool
    this.#onProblem = onProblem
    this.#intervalMs = 1000 / replayRate
    // What is younger than a tick may yet be acknowledged: on a slow link each tick would write to the card for nothing.
    this.#timer = setInterval(() => {
      void this.#flush(this.#dueSeq)
      this.#dueSeq = this.#spool.nextSeq - 1
    }, flushMs)
  }

  get stored(): Spool['counts'] {
    return this.#spool.counts
  }

  /** Why events can't be kept on disk, in words. */
  get problem(): string | undefined {
    return this.#spool.problem
  }

  /** Takes one event, a JSON object. */
  add(payload: string): void {
    this.#spool.append(payload)
    if (this.#spool.waitingBytes >= flushBytes) void this.#relieve()
    this.#added.ring()
  }

  onConnected(): void {
    this.rewind()
  }

  rewind(): void {
    this.#spool.rewind()
    this.#liveFrom = this.#spool.nextSeq
    this.#added.ring()
  }

  async next(signal: AbortSignal): Promise<{ seq: number; payload: string } | undefined> {
    while (!signal.aborted) {
      const { rings } = this.#added
      const record = await this.#spool.next()
      if (record === undefined) {
        await this.#added.moreThan(rings, signal)
        continue
      }
      const { seq, payload } = record
      if (seq >= this.#liveFrom) return { seq, payload }
      await this.#pace(signal)
      // It was made with `"replayed":false` as its last field.
      return { seq, payload: JSON.stringify({ ...JSON.parse(payload), replayed: true }) }
    }
    return undefined
  }

  /** Resolves when everything has been settled, or `signal` aborts. */
  async emptied(signal: AbortSignal): Promise<void> {
    for (let { rings } = this.#settled; this.stored.pending > 0 && !signal.aborted; { rings } = this.#settled)
      await this.#settled.moreThan(rings, signal)
  }

  settle(seq: number, delivery: FinalDelivery): void {
    this.#spool.ack(seq)
    this.#settled.ring()
    if (delivery !== 'done') this.counts.refused++
    else if (seq < this.#liveFrom) this.counts.replayed++
    else this.counts.sent++
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer)
    await this.#spool[Symbol.asyncDispose]()
  }

  /** Once at a time, lest each event that comes meanwhile be a write of its own; what can't be stored waits for a tick. */
  async #relieve(): Promise<void> {
    if (this.#isRelieving || this.problem !== undefined) return
    this.#isRelieving = true
    for (let stored = -1; this.#spool.waitingBytes >= flushBytes && stored < this.stored.stored; ) {
      stored = this.stored.stored
      await this.#flush()
    }
    this.#isRelieving = false
  }

  async #flush(upToSeq?: number): Promise<void> {
    await this.#spool.flush(upToSeq)
    // It may have learned of records that could not be read before.
    this.#added.ring()
    const { problem } = this.#spool
    if (problem === this.#toldProblem) return
    this.#toldProblem = problem
    this.#onProblem(problem)
  }

  /** A subscriber that takes in slowly, or a broker's queue for it, should not be flooded (Mosquitto keeps 1000 for one). */
  async #pace(signal: AbortSignal): Promise<void> {
    const now = performance.now()
    const waitMs = this.#nextReplayMs - now
    this.#nextReplayMs = Math.max(now, this.#nextReplayMs) + this.#intervalMs
    // Timers have a grain of a millisecond or more: short waits are saved up.
    if (waitMs > 10) await delay(waitMs, undefined, { signal }).catch(() => {})
  }
}
