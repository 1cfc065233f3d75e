import { once } from 'node:events'
import { onTestFinished } from 'vitest'
import type { EventSource } from '../../src/mqtt/event-sender.ts'
import { type LinkOptions, MqttLink } from '../../src/mqtt/link.ts'
import type { BrokerSettings, IncomingMessage } from '../../src/mqtt/wire.ts'

type Line = { readonly text: string; readonly [field: string]: unknown }

/** Counts what changes and lets a test wait until it fits. */
export class Watch {
  #waiting = new Set<() => void>()

  changed(): void {
    for (const wake of [...this.#waiting]) wake()
  }

  /** Resolves when `fits` does; the test's own time-out is the limit. */
  async until(fits: () => boolean): Promise<void> {
    while (!fits())
      await new Promise<void>((resolve) => {
        const wake = () => {
          this.#waiting.delete(wake)
          resolve()
        }
        this.#waiting.add(wake)
      })
  }
}

/** Events numbered from 0, handed out from memory until they are settled; refuses nothing. */
export class MemoryEvents implements EventSource {
  readonly #watch: Watch
  readonly #payloads: string[]
  readonly settled: { readonly seq: number; readonly delivery: string }[] = []
  #next = 0

  constructor(payloads: string[], watch: Watch) {
    this.#payloads = payloads
    this.#watch = watch
  }

  rewind(): void {
    this.onConnected()
  }

  onConnected(): void {
    const done = new Set(this.settled.map(({ seq }) => seq))
    this.#next = this.#payloads.findIndex((_, seq) => !done.has(seq))
    if (this.#next < 0) this.#next = this.#payloads.length
  }

  async next(signal: AbortSignal) {
    while (this.settled.some(({ seq }) => seq === this.#next)) this.#next++
    const payload = this.#payloads[this.#next]
    if (payload !== undefined) return { seq: this.#next++, payload }
    if (!signal.aborted) await once(signal, 'abort')
    return undefined
  }

  settle(seq: number, delivery: string): void {
    this.settled.push({ seq, delivery })
    this.#watch.changed()
  }
}

/** A real link that runs until the test is over; fast to try again. */
export function startLink(
  settings: Partial<BrokerSettings> & { readonly url: string },
  { payloads = [], ...options }: Partial<LinkOptions> & { readonly payloads?: string[] } = {},
) {
  const stop = new AbortController()
  const watch = new Watch()
  const lines: Line[] = []
  const received: IncomingMessage[] = []
  const note = (fields: object, text: string) => {
    lines.push({ ...fields, text })
    watch.changed()
  }
  const events = new MemoryEvents(payloads, watch)
  const link = new MqttLink({
    settings: async () => ({ clientId: 'sightd-porch', ...settings }),
    statusTopic: 'sightd/porch/status',
    subscriptions: [{ filter: 'sightd/porch/request/+' }],
    onMessage: (message) => {
      received.push(message)
      watch.changed()
    },
    eventTopic: 'sightd/porch/event',
    events,
    onChange: () => watch.changed(),
    log: { info: note, warn: note },
    retry: { firstMs: 20, lastMs: 200 },
    forbidden: { firstMs: 50, lastMs: 200 },
    ...options,
  })
  const ended = link.run(stop.signal)
  const end = async () => {
    stop.abort()
    await ended
  }
  onTestFinished(end)
  return {
    link,
    lines,
    received,
    events,
    end,
    until: (fits: () => boolean) => watch.until(fits),
    connected: () => watch.until(() => link.isConnected),
    line: (text: string) => watch.until(() => lines.some((line) => line.text.includes(text))),
  }
}
