import { setTimeout as delay } from 'node:timers/promises'
import { backoffDelays } from '../lib/backoff.ts'
import type { Delivery } from './wire.ts'

/** What there is no trying again after. */
export type FinalDelivery = 'done' | 'refused' | 'too_large'

/** Where the link gets what must not be lost; the outbox. */
export type EventSource = {
  /** The connection has changed: what was not settled is handed out again. */
  onConnected(): void
  /** What was not settled is to be handed out again. */
  rewind(): void
  /** The next event, as soon as there is one and it is due; undefined when `signal` aborts first. */
  next(signal: AbortSignal): Promise<{ readonly seq: number; readonly payload: string } | undefined>
  /** The broker has it, or will never take it. */
  settle(seq: number, delivery: FinalDelivery): void
}

export type SenderOptions = {
  /** Resolves when one more message may be in flight, or the signal aborts. */
  readonly room: (signal: AbortSignal) => Promise<void>
  readonly publish: (payload: string) => Promise<Delivery>
  /** How long to wait while the broker does not allow the topic. */
  readonly backoff?: { readonly firstMs: number; readonly lastMs: number } | undefined
}

const forbiddenBackoff = { firstMs: 5000, lastMs: 300_000 }

/** Sends events over one connection until `signal` aborts. What the broker forbids is kept: its ACL may be being edited. */
export async function sendEvents(
  events: EventSource,
  { room, publish, backoff = forbiddenBackoff }: SenderOptions,
  signal: AbortSignal,
): Promise<void> {
  let delays = backoffDelays(backoff)
  let held = new AbortController()
  let isProbing = false
  while (!signal.aborted) {
    const going = AbortSignal.any([signal, held.signal])
    const event = await events.next(going)
    if (event !== undefined) await room(going)
    if (held.signal.aborted) {
      await delay(delays.next().value, undefined, { signal }).catch(() => {})
      held = new AbortController()
      isProbing = true
      events.rewind()
      continue
    }
    if (event === undefined || signal.aborted) continue
    const { seq, payload } = event
    const hold = held
    const answered = publish(payload).then((delivery) => {
      if (delivery === 'forbidden') hold.abort()
      else if (delivery !== 'lost') events.settle(seq, delivery)
      if (delivery !== 'done') return
      delays = backoffDelays(backoff)
      isProbing = false
    })
    // The first alone, so that they come in order once they may come.
    if (isProbing) await answered
  }
}
