import { setTimeout as delay } from 'node:timers/promises'
import type { IncomingMessage } from './wire.ts'

/** A broker sends what it keeps at once after it has granted a subscription; a pause shows that this was all. */
const pauseMs = 300
const usualLimitMs = 1000

/** More topics than a device ever had. */
const usualMaxTopics = 1000

/** No payload of interest is longer. */
const maxPayloadBytes = 16

/** What a broker keeps below the topics that are subscribed to, collected from the messages that come. */
export class RetainedTopics {
  /** With the beginning of what is kept there. */
  readonly topics = new Map<string, string>()
  readonly #limitMs: number
  readonly #maxTopics: number
  #newestMs = 0

  /** Others than those of one device may be more, and take longer. */
  constructor({ limitMs = usualLimitMs, maxTopics = usualMaxTopics } = {}) {
    this.#limitMs = limitMs
    this.#maxTopics = maxTopics
  }

  take({ topic, payload, isRetained }: IncomingMessage): void {
    if (!isRetained || this.topics.size >= this.#maxTopics) return
    this.topics.set(topic, payload.toString('utf8', 0, maxPayloadBytes))
    this.#newestMs = performance.now()
  }

  /** Resolves once no more come; call it when the subscription is granted. */
  async complete(signal: AbortSignal): Promise<void> {
    const startMs = performance.now()
    for (;;) {
      const now = performance.now()
      const restMs = Math.min(Math.max(startMs, this.#newestMs) + pauseMs, startMs + this.#limitMs) - now
      if (restMs <= 0 || signal.aborted) return
      await delay(restMs, undefined, { signal }).catch(() => {})
    }
  }
}
