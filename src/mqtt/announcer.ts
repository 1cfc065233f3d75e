import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import * as v from 'valibot'
import { writeFileAtomic } from '../lib/atomic-file.ts'
import {
  type Discovery,
  discoveryPayload,
  discoveryTopic,
  type HomeAssistantDevice,
  removalPayload,
} from './home-assistant.ts'
import type { IncomingMessage, OutgoingMessage, Subscription } from './wire.ts'

export type AnnouncerOptions = {
  readonly isEnabled: boolean
  readonly prefix: string
  readonly id: string
  /** Where it is written down that there is an announcement, so that it can be taken back after a restart. */
  readonly folder: string
  readonly setState: (message: OutgoingMessage) => void
  readonly resendStates: () => void
  readonly maxDelayMs?: number
  readonly signal: AbortSignal
}

/** Home Assistant has started and asks for everything anew; a houseful of devices should not answer at once. */
const maxResendDelayMs = 5000

const fileName = 'announced.json'
const recordSchema = v.strictObject({ topic: v.pipe(v.string(), v.minLength(1), v.maxLength(300)) })

/**
 * Announces the device to Home Assistant while that is wanted, and takes back what an earlier announcement had too much, or
 * all of it. Where nothing was ever announced, nothing is touched: the broker may not even let us.
 */
export class HomeAssistantAnnouncer {
  readonly #options: AnnouncerOptions
  readonly #topic: string
  #announced: Discovery | undefined

  constructor(options: AnnouncerOptions) {
    this.#options = options
    this.#topic = discoveryTopic(options.prefix, options.id)
  }

  /** Takes back what an earlier run announced elsewhere, or when that is not wanted any more. Resolves when it is noted. */
  async begin(): Promise<void> {
    const { isEnabled, folder, setState } = this.#options
    const path = join(folder, fileName)
    const before = await readTopic(path)
    if (before !== undefined && (!isEnabled || before !== this.#topic)) setState({ topic: before, payload: '' })
    // A folder that can't be written to is told of elsewhere; then it takes `sightd decommission` to take it back.
    if (isEnabled && before !== this.#topic)
      await writeFileAtomic(path, JSON.stringify({ topic: this.#topic })).catch(() => {})
  }

  get subscriptions(): Subscription[] {
    const { isEnabled, prefix } = this.#options
    return isEnabled ? [{ filter: `${prefix}/status` }, { filter: this.#topic, wantsRetained: true }] : []
  }

  /** Announces the device as it is now. */
  announce(device: HomeAssistantDevice): void {
    if (!this.#options.isEnabled) return
    const before = this.#announced
    this.#announced = discoveryPayload(device)
    this.#publish(this.#announced, before === undefined ? '' : JSON.stringify(before))
  }

  /** True when the message was meant for us. */
  take({ topic, payload, isRetained }: IncomingMessage): boolean {
    if (topic === `${this.#options.prefix}/status`) {
      // A retained one tells nothing new: at a connection everything is sent anyway.
      if (!isRetained && payload.toString('utf8', 0, 16) === 'online') void this.#resend()
      return true
    }
    if (topic !== this.#topic) return false
    // What the broker still has of an earlier run.
    if (isRetained && this.#announced !== undefined) this.#publish(this.#announced, payload.toString('utf8'))
    return true
  }

  async #resend(): Promise<void> {
    const { resendStates, maxDelayMs = maxResendDelayMs, signal } = this.#options
    await delay(Math.random() * maxDelayMs, undefined, { signal }).catch(() => {})
    if (!signal.aborted) resendStates()
  }

  /** Entities of `previous` that are no more stay named, without content, until the next start: that removes them. */
  #publish(next: Discovery, previous: string): void {
    this.#options.setState({ topic: this.#topic, payload: JSON.stringify(removalPayload(previous, next) ?? next) })
  }
}

async function readTopic(path: string): Promise<string | undefined> {
  const text = await readFile(path, 'utf8').catch(() => '')
  const record = v.safeParse(v.pipe(v.string(), v.parseJson(), recordSchema), text)
  return record.success ? record.output.topic : undefined
}
