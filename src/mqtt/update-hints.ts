import * as v from 'valibot'
import type { IncomingMessage, Subscription } from './wire.ts'

/** An operator's word to all devices: the repository of models has a timestamp of this version by now. */
export const updateHintSchema = v.strictObject({
  // As large as metadata lets a version be.
  timestamp: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(2 ** 31 - 1)),
})

const maxHintBytes = 256

export type UpdateHintsOptions = {
  readonly topic: string
  /** Where there is nowhere to look, nobody listens. */
  readonly isEnabled: boolean
  readonly onHint: (version: number) => void
  readonly log: { warn(fields: object, text: string): void }
}

/** Takes hints from the broker. Anyone there may give them, so they carry no trust: all that they can do is to have us look. */
export class UpdateHints {
  readonly #options: UpdateHintsOptions
  #hasComplained = false

  constructor(options: UpdateHintsOptions) {
    this.#options = options
  }

  get subscriptions(): Subscription[] {
    const { isEnabled, topic } = this.#options
    return isEnabled ? [{ filter: topic, wantsRetained: true }] : []
  }

  /** True when the message was meant for us. */
  take({ topic, payload }: IncomingMessage): boolean {
    if (topic !== this.#options.topic) return false
    const hint = readHint(payload)
    if (hint !== undefined) this.#options.onHint(hint)
    else if (payload.length > 0) this.#complain(payload)
    return true
  }

  #complain(payload: Buffer): void {
    if (this.#hasComplained) return
    this.#hasComplained = true
    const found = payload.toString('utf8', 0, 100).replaceAll(/\p{C}/gu, '?')
    this.#options.log.warn({ topic: this.#options.topic, found }, 'not an update hint; others like it are not told')
  }
}

function readHint(payload: Buffer): number | undefined {
  if (payload.length > maxHintBytes) return undefined
  const hint = v.safeParse(v.pipe(v.string(), v.parseJson(), updateHintSchema), payload.toString('utf8'))
  return hint.success ? hint.output.timestamp : undefined
}
