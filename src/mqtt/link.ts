import { setTimeout as delay } from 'node:timers/promises'
import { describeError } from '../core/errors.ts'
import { type Backoff, backoffDelays } from '../lib/backoff.ts'
import { Doorbell } from '../lib/doorbell.ts'
import { BrokerError, troubleWords } from './broker-error.ts'
import { type Connection, openConnection } from './client.ts'
import { type EventSource, sendEvents } from './event-sender.ts'
import { States } from './states.ts'
import type { BrokerSettings, Delivery, IncomingMessage, OutgoingMessage, Subscription } from './wire.ts'

/** What the link asks of a log. */
type LinkLog = { info(fields: object, text: string): void; warn(fields: object, text: string): void }

export type LinkOptions = {
  /** Asked at each try, so that secrets may change. */
  readonly settings: () => Promise<BrokerSettings>
  /** Says `online` while we are connected, `offline` at the end; the settings' last will speaks for us otherwise. */
  readonly statusTopic: string
  readonly subscriptions: readonly Subscription[]
  readonly onMessage: (message: IncomingMessage) => void
  readonly eventTopic: string
  /** Where an event goes instead, if not there; a broker that forbids that topic doesn't hold up the others. */
  readonly otherTopic?: (payload: string) => string | undefined
  readonly events: EventSource
  /** `problem` or `isConnected` has changed. */
  readonly onChange: () => void
  readonly log: LinkLog
  readonly retry?: Backoff
  /** How long to wait while the broker does not allow the topic of events. */
  readonly forbidden?: Backoff
  /** A connection that lasts so long shows that trouble is over, with another client of our id too. */
  readonly goodConnectionMs?: number
}

/**
 * A broker that restarts drops its whole fleet at one moment, and pays most for logins. So the first tries are spread wide,
 * but short enough that a link that flaps is back before its last will counts.
 */
export const reconnectBackoff: Backoff = { firstMs: 2000, lastMs: 60_000, firstRangeMs: [500, 5000] }

/** Answers to commands that wait for the broker to take them; more than a session of commands makes. */
const maxReplies = 64

/** How long the last word may take. */
const goodbyeMs = 1000

const usualGoodConnectionMs = 60_000

/**
 * While another client has our id, taking turns quickly would only make noise. It waits as long as we do: less than a good
 * connection lasts, or that would show nothing.
 */
const rivalWait = (goodConnectionMs: number) => goodConnectionMs * (0.4 + 0.4 * Math.random())

/**
 * The device's connection to its broker, tried for ever. States are kept, the newest of each topic, and sent at each
 * connection; events come from a source that forgets only what is settled; results are dropped and counted when they
 * can't be sent at once. Nothing is handed to mqtt.js while there is no connection.
 */
export class MqttLink {
  readonly #options: LinkOptions
  readonly #states = new States()
  readonly #replies: OutgoingMessage[] = []
  /** Topics that the broker refuses, and whether someone can allow them. */
  readonly #denied = new Map<string, Delivery>()
  #connection: Connection | undefined
  readonly #answered = new Doorbell()
  #url: string | undefined
  #outage: string | undefined
  #rival: string | undefined
  #proof: NodeJS.Timeout | undefined
  readonly counts = { connections: 0, resultsDropped: 0, repliesDropped: 0, refused: 0 }

  constructor(options: LinkOptions) {
    this.#options = options
  }

  get isConnected(): boolean {
    return this.#connection !== undefined
  }

  /** What keeps messages from the broker, in words; undefined while all is well. */
  get problem(): string | undefined {
    const denied = this.#denied.size === 0 ? undefined : `the broker refuses ${[...this.#denied.keys()].join(', ')}`
    return this.#rival ?? this.#outage ?? denied
  }

  /** Publishes a retained state now, or its newest value at the next connection. */
  setState(message: OutgoingMessage): void {
    if (this.#states.set(message)) this.#pump()
  }

  /** Sends every state again, `online` first, for a subscriber that has just come up. */
  resendStates(): void {
    if (this.#connection === undefined) return
    this.#states.resend(this.#options.statusTopic)
    this.#pump()
  }

  /** Whether the broker has taken our newest state of a topic. */
  has(topic: string): boolean {
    return this.#states.has(topic)
  }

  /** Whether the broker had taken our newest state of a topic before this connection. */
  hadBefore(topic: string): boolean {
    return this.#states.hadBefore(topic)
  }

  /** Publishes if that can be done at once; else it is dropped and counted. */
  sendResult(message: OutgoingMessage): void {
    if (this.#connection?.publishNow(message) !== true) this.counts.resultsDropped++
  }

  /**
   * Publishes with QoS 1, at the next connection if there is none: requests that waited in our session come before we are
   * through with a login. When too many wait, it is dropped and counted.
   */
  reply(message: OutgoingMessage): void {
    if (this.#replies.length >= maxReplies) {
      this.counts.repliesDropped++
      return
    }
    this.#replies.push(message)
    this.#pump()
  }

  /** Another client has logged in with our id, and will again: connections get rare until one lasts. */
  noteRival(why: string): void {
    if (this.isConnected) this.#awaitProof()
    if (this.#rival !== undefined) return
    this.#rival = `${why}: two devices with the same id?`
    this.#options.log.warn({ problem: this.#rival }, 'another client has our id at the broker')
    this.#options.onChange()
  }

  /** Keeps a connection until `signal` aborts, then says `offline` and leaves. */
  async run(signal: AbortSignal): Promise<void> {
    const { retry = reconnectBackoff, goodConnectionMs = usualGoodConnectionMs } = this.#options
    let delays = backoffDelays(retry)
    while (!signal.aborted) {
      const startMs = performance.now()
      const trouble = await this.#connectOnce(signal)
      if (trouble === undefined) return
      this.#complain(trouble)
      if (trouble instanceof BrokerError && trouble.isTakenOver) this.noteRival(trouble.message)
      if (performance.now() - startMs > goodConnectionMs) delays = backoffDelays(retry)
      const waitMs = this.#rival === undefined ? delays.next().value : rivalWait(goodConnectionMs)
      await delay(waitMs, undefined, { signal }).catch(() => {})
    }
  }

  /** One connection from start to end; why it ended, or undefined when it was told to stop. */
  async #connectOnce(signal: AbortSignal): Promise<Error | undefined> {
    const { settings, subscriptions, onMessage, statusTopic, eventTopic, events, log, onChange } = this.#options
    let connection: Connection
    this.#states.noteConnection()
    try {
      const broker = await settings()
      this.#url = broker.url
      connection = await openConnection(broker, { onMessage, signal })
    } catch (error) {
      if (error instanceof Error) return signal.aborted ? undefined : error
      throw error
    }
    const over = new AbortController()
    const closed = connection.closed.finally(() => over.abort())
    const aborted = new Promise<undefined>((resolve) => {
      if (signal.aborted) resolve(undefined)
      signal.addEventListener('abort', () => resolve(undefined), { signal: over.signal })
    })
    const refused = await Promise.race([connection.subscribe(subscriptions), aborted])
    if (over.signal.aborted) return closed
    this.#denied.clear()
    for (const filter of refused ?? []) this.#deny(filter, 'refused', 'it may not be subscribed to')
    this.#connection = connection
    this.#outage = undefined
    this.counts.connections++
    log.info(
      { url: this.#url, mqtt: connection.version, resultsDropped: this.counts.resultsDropped },
      'broker connected',
    )
    // `online` comes last: whoever waits for it finds everything else in place.
    this.#states.renew({ topic: statusTopic, payload: 'online' })
    events.onConnected()
    this.#pump()
    onChange()
    this.#awaitProof()
    const sending = sendEvents(
      events,
      {
        room: (until) => this.#room(connection, until),
        publish: async (payload) => {
          const topic = this.#options.otherTopic?.(payload) ?? eventTopic
          const delivery = await this.#publish(connection, { topic, payload, contentType: 'application/json' })
          return delivery === 'forbidden' && topic !== eventTopic ? 'refused' : delivery
        },
        backoff: this.#options.forbidden,
      },
      AbortSignal.any([over.signal, signal]),
    )
    const ending = await Promise.race([closed, aborted])
    clearTimeout(this.#proof)
    this.#connection = undefined
    if (ending === undefined) {
      await this.#sayGoodbye(connection)
    }
    await sending
    onChange()
    return ending
  }

  /** Another client of our id would have thrown us out by then. */
  #awaitProof(): void {
    clearTimeout(this.#proof)
    this.#proof = setTimeout(() => {
      if (this.#rival === undefined) return
      this.#rival = undefined
      this.#options.onChange()
    }, this.#options.goodConnectionMs ?? usualGoodConnectionMs)
  }

  async #sayGoodbye(connection: Connection): Promise<void> {
    const late = AbortSignal.timeout(goodbyeMs)
    await this.#room(connection, late)
    const isLate = new Promise((resolve) => late.addEventListener('abort', resolve))
    await Promise.race([
      connection.publish({ topic: this.#options.statusTopic, payload: 'offline', isRetained: true }),
      isLate,
    ])
    await connection.leave()
  }

  /** States and answers go before events: they take what room there is first. */
  #pump(): void {
    const connection = this.#connection
    while (connection?.hasRoom) {
      const message = this.#states.next() ?? this.#replies.shift()
      if (message === undefined) break
      void this.#publish(connection, message)
    }
    this.#answered.ring()
  }

  async #publish(connection: Connection, message: OutgoingMessage): Promise<Delivery> {
    const { delivery, reason } = await connection.publish(message)
    if (delivery === 'done' && this.#denied.get(message.topic) === 'forbidden') this.#forgive()
    if (delivery === 'done') this.#states.noteTaken(message)
    if (delivery === 'refused' || delivery === 'forbidden' || delivery === 'too_large') {
      this.counts.refused++
      this.#deny(message.topic, delivery, reason ?? 'a message is longer than it takes')
    }
    this.#pump()
    return delivery
  }

  /** Resolves when one more message may be in flight, or `signal` aborts. */
  async #room(connection: Connection, signal: AbortSignal): Promise<void> {
    for (let { rings } = this.#answered; !connection.hasRoom && !signal.aborted; { rings } = this.#answered)
      await this.#answered.moreThan(rings, signal)
  }

  /** The broker allows again what it forbade: perhaps the rest of it too. */
  #forgive(): void {
    for (const [topic, delivery] of this.#denied) {
      if (delivery !== 'forbidden') continue
      this.#denied.delete(topic)
      this.#states.again(topic)
    }
    this.#options.onChange()
  }

  /** Says each topic's trouble once a connection. */
  #deny(topic: string, delivery: Delivery, why: string): void {
    if (this.#denied.has(topic)) return
    this.#denied.set(topic, delivery)
    this.#options.log.warn({ topic, why }, 'the broker refuses a topic; the rest goes on')
    this.#options.onChange()
  }

  /** Logs the first problem of an outage, and each other kind once. */
  #complain(error: Error): void {
    const problem = describeError(error)
    if (this.#outage === problem) return
    this.#outage = problem
    const what = error instanceof BrokerError ? troubleWords[error.trouble] : troubleWords.silent
    this.#options.log.warn({ url: this.#url, problem }, `${what}; events are kept, results dropped; trying again`)
  }
}
