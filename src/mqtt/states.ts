import type { OutgoingMessage } from './wire.ts'

/** The newest message of each retained topic, and which of them the broker is to be sent, in order. */
export class States {
  readonly #newest = new Map<string, OutgoingMessage>()
  readonly #due = new Set<string>()
  /** Topics of which the broker has taken the newest message. */
  readonly #taken = new Set<string>()
  #takenBefore: ReadonlySet<string> = new Set()

  /** False when it says what was said last. */
  set(message: OutgoingMessage): boolean {
    const { topic, payload } = message
    if (this.#newest.get(topic)?.payload === payload) return false
    this.#newest.set(topic, { ...message, isRetained: true })
    this.#taken.delete(topic)
    this.#due.add(topic)
    return true
  }

  /** Whether the broker had taken the newest message of a topic before this connection. */
  hadBefore(topic: string): boolean {
    return this.#takenBefore.has(topic)
  }

  /** Whether the broker has taken the newest message of a topic. */
  has(topic: string): boolean {
    return this.#taken.has(topic)
  }

  /** A connection begins. */
  noteConnection(): void {
    this.#takenBefore = new Set(this.#taken)
  }

  /** All are due, and then that one; but no pictures that the broker has, and keeps: on a slow network they would hold up all else. */
  renew(last: OutgoingMessage): void {
    this.#newest.delete(last.topic)
    this.#newest.set(last.topic, { ...last, isRetained: true })
    this.#due.clear()
    for (const [topic, { contentType }] of this.#newest)
      if (contentType !== 'image/jpeg' || !this.#taken.has(topic)) this.#due.add(topic)
  }

  /** All are due again, that one before the others. */
  resend(first: string): void {
    this.#due.clear()
    for (const topic of [first, ...this.#newest.keys()]) this.#due.add(topic)
  }

  /** It is due again, if it is one of ours. */
  again(topic: string): void {
    if (this.#newest.has(topic)) this.#due.add(topic)
  }

  /** The next message that is to be sent; undefined when none is due. */
  next(): OutgoingMessage | undefined {
    for (const topic of this.#due) {
      this.#due.delete(topic)
      const message = this.#newest.get(topic)
      if (message !== undefined) return message
    }
    return undefined
  }

  /** The broker has taken a message; a newer one may be on its way. */
  noteTaken(message: OutgoingMessage): void {
    if (this.#newest.get(message.topic) === message) this.#taken.add(message.topic)
  }
}
