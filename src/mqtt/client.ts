import { Socket } from 'node:net'
import { connect, type MqttClient, ReasonCodes } from 'mqtt'
import { BrokerError, explainFailure } from './broker-error.ts'
import { clientOptions, loginLimitMs, maxIncomingBytes, maxInFlight } from './client-options.ts'
import type { BrokerSettings, Delivery, IncomingMessage, OutgoingMessage, Subscription } from './wire.ts'

/** The only door to mqtt.js. One connection from login to end; whoever wants another opens another. */

/**
 * mqtt.js keeps the bytes of each packet length that it ever wrote (mqtt-packet's `varByteIntCache`), and Node cuts small
 * buffers out of pools of 64 KiB: those few bytes would hold on to a whole pool each, tens of MiB over months.
 */
Buffer.poolSize = 1024

/** CONNACK codes for a broker that doesn't speak our version: MQTT 3's and MQTT 5's. */
const unsupportedVersion = [1, 132]

/** PUBACK codes that mean "not now": server busy, quota exceeded. */
const notNow = [137, 151]

/** Those that someone can mend: not authorized, banned, administrative action. */
const notAllowed = [135, 138, 152]

/** More than this waiting in the socket means that the network is slower than we are. */
const maxBacklogBytes = 256 * 1024

/** A read brings no more at once. */
const maxChunkBytes = 128 * 1024

/** A broker that leaves a message unanswered for so long, on a link that lives, is asked anew. */
const usualAnswerLimitMs = 30_000

/** A network that is slower is none. A picture on a slow one takes long, which is no reason to begin it anew. */
const minBytesPerS = 2048

/** So much is gone before a ping is missed, even there. */
const pingableBytes = 16 * 1024

const goodbyeMs = 1000

type LoginOptions = {
  /** Called for each message, and has to return at once: mqtt.js acknowledges after it. */
  readonly onMessage?: (message: IncomingMessage) => void
  /** Ends the try. */
  readonly signal?: AbortSignal
}

/** Logs in with MQTT 5, or 3.1.1 where the broker knows no better. Throws a BrokerError that says what went wrong. */
export async function openConnection(settings: BrokerSettings, options: LoginOptions = {}): Promise<Connection> {
  try {
    return await login(settings, 5, options)
  } catch (error) {
    if (!(error instanceof BrokerError) || !unsupportedVersion.includes(Number(error.reasonCode))) throw error
    return await login(settings, 4, options)
  }
}

async function login(
  settings: BrokerSettings,
  version: 4 | 5,
  { onMessage = () => {}, signal }: LoginOptions,
): Promise<Connection> {
  const { url, limitMs = loginLimitMs } = settings
  const client = connect(url, clientOptions(settings, version))
  // Else a small message waits for the acknowledgement of the one before it (Nagle), which the other end may hold back for
  // 40 ms: an answer to a command behind a result, a result behind a state.
  if (client.stream instanceof Socket) client.stream.setNoDelay(true)
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const isTls = /^(mqtts|wss):/.test(url)
  let stage: 'started' | 'tcp' | 'tls' | 'unknown' = /^wss?:/.test(url) ? 'unknown' : 'started'
  const fail = (error: (Error & { code?: number | string }) | undefined, isLate = false) =>
    reject(explainFailure({ error, stage, isLate, isTls, limitMs }))
  client.stream.once('connect', () => (stage = 'tcp'))
  client.stream.once('secureConnect', () => (stage = 'tls'))
  // Messages kept for our session may come in the same packet as the broker's yes, before anyone awaits it.
  const connection = new Connection(client, version, settings.answerLimitMs)
  client.on('message', (topic, payload, { retain, properties }) =>
    onMessage({
      topic,
      payload,
      isRetained: retain,
      expiryS: properties?.messageExpiryInterval,
      responseTopic: properties?.responseTopic,
      correlationData: properties?.correlationData,
    }),
  )
  client.once('connect', () => resolve())
  client.on('error', fail)
  client.once('close', () => fail(undefined))
  const timer = setTimeout(() => fail(undefined, true), limitMs)
  const stop = () => reject(new BrokerError('silent', 'told to stop'))
  signal?.addEventListener('abort', stop)
  if (signal?.aborted) stop()
  try {
    await promise
    return connection
  } catch (error) {
    client.end(true)
    throw error
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', stop)
  }
}

/** A connection that is logged in, until `closed`. */
export class Connection {
  readonly version: 4 | 5
  /** Resolves once it is over, with why in words. */
  readonly closed: Promise<BrokerError>
  readonly #client: MqttClient
  readonly #answerLimitMs: number
  /** Of each message in flight: what is to be done when the connection goes. */
  readonly #unanswered = new Set<() => void>()
  #unansweredBytes = 0
  #answers = 0
  #watchdog: NodeJS.Timeout | undefined
  #nurse: NodeJS.Timeout | undefined
  #isOpen = true

  constructor(client: MqttClient, version: 4 | 5, answerLimitMs = usualAnswerLimitMs) {
    this.#client = client
    this.#answerLimitMs = answerLimitMs
    this.version = version
    let why: BrokerError | undefined
    client.on('disconnect', ({ reasonCode = 0 }) => {
      const words = `the broker ended the connection: ${reasonWords.get(reasonCode) ?? `reason ${reasonCode}`}`
      why ??= new BrokerError('refused', words, reasonCode)
    })
    // Stays to the end: an error that nobody listens to would be thrown.
    client.on('error', (error) => (why ??= new BrokerError('silent', error.message)))
    // MQTT 3.1.1 can't tell the broker what is too long for us; mqtt.js would keep all of it.
    let unparsed = 0
    client.stream.on('data', (chunk: Uint8Array) => {
      unparsed += chunk.length
      if (unparsed > maxIncomingBytes + maxChunkBytes)
        this.destroy(`a message of more than ${maxIncomingBytes} bytes came`)
    })
    client.on('packetreceive', () => (unparsed = 0))
    this.closed = new Promise((resolve) => {
      client.once('close', () => {
        this.#isOpen = false
        this.#rest()
        for (const lose of this.#unanswered) lose()
        resolve(why ?? new BrokerError('silent', 'the connection closed'))
        client.end(true)
      })
    })
  }

  /** Whether one more message may be in flight. */
  get hasRoom(): boolean {
    return (
      this.#isOpen &&
      this.#unanswered.size < Math.min(maxInFlight, this.#client.serverProperties?.receiveMaximum ?? maxInFlight)
    )
  }

  /** Sends with QoS 1; resolves when the broker has answered or the connection is gone. Not without `hasRoom`. */
  async publish(message: OutgoingMessage): Promise<{ readonly delivery: Delivery; readonly reason?: string }> {
    if (!this.#isOpen) return { delivery: 'lost' }
    if (this.#isTooLarge(message)) return { delivery: 'too_large' }
    const answered = Promise.withResolvers<Error | undefined>()
    // Not a race with `closed`: each race would leave something behind on it for as long as the connection lasts.
    const lose = () => answered.resolve(new Error('the connection is gone'))
    this.#unanswered.add(lose)
    this.#unansweredBytes += message.payload.length
    if (this.#unanswered.size === 1 || message.payload.length > pingableBytes) this.#watch()
    this.#send(message, 1, (error) => answered.resolve(error ?? undefined))
    const answer = await answered.promise
    this.#unanswered.delete(lose)
    this.#unansweredBytes -= message.payload.length
    this.#answers++
    if (this.#unanswered.size === 0) this.#rest()
    if (answer === undefined) return { delivery: 'done' }
    const code = 'code' in answer && typeof answer.code === 'number' ? answer.code : undefined
    if (!this.#isOpen || code === undefined) return { delivery: 'lost' }
    if (notNow.includes(code)) {
      this.destroy(answer.message)
      return { delivery: 'lost' }
    }
    return { delivery: notAllowed.includes(code) ? 'forbidden' : 'refused', reason: answer.message }
  }

  /** While something is unanswered: ends the connection when no answer comes for longer than the slowest network takes. */
  #watch(): void {
    this.#rest()
    const before = this.#answers
    const bytes = this.#unansweredBytes + this.#client.stream.writableLength
    // A ping waits behind what is on its way: until that had its time, its answer is not missed.
    if (bytes > pingableBytes)
      this.#nurse = setInterval(() => this.#client.reschedulePing(true), (1000 * this.#client.keepalive) / 3)
    this.#watchdog = setTimeout(
      () => {
        if (this.#unanswered.size === 0) return this.#rest()
        if (this.#answers === before) this.destroy(`no answer came for ${this.#answerLimitMs / 1000} s or longer`)
        else this.#watch()
      },
      this.#answerLimitMs + (1000 * bytes) / minBytesPerS,
    )
  }

  #rest(): void {
    clearTimeout(this.#watchdog)
    clearInterval(this.#nurse)
  }

  /** Sends with QoS 0 if the network keeps up and the broker takes messages of that length; else false. */
  publishNow(message: OutgoingMessage): boolean {
    if (!this.#isOpen || this.#client.stream.writableLength >= maxBacklogBytes || this.#isTooLarge(message))
      return false
    // Its callback may never come (a dying socket), so nothing hangs on it.
    this.#send(message, 0, () => {})
    return true
  }

  /** Subscribes with QoS 1, not to our own messages; resolves to the filters that the broker refused. */
  async subscribe(subscriptions: readonly Subscription[]): Promise<string[]> {
    const request = Object.fromEntries(
      subscriptions.map(({ filter, wantsRetained = false, tellsRetained = false }) => [
        filter,
        { qos: 1 as const, nl: true, rap: tellsRetained, rh: wantsRetained ? 0 : 2 },
      ]),
    )
    const granted = Promise.withResolvers<number[] | undefined>()
    this.#client.subscribe(request, (_, __, packet) => granted.resolve(packet?.granted.map(Number)))
    const timer = setTimeout(
      () => this.destroy(`no answer to a subscription within ${this.#answerLimitMs / 1000} s`),
      this.#answerLimitMs,
    )
    const codes = await Promise.race([granted.promise, this.closed.then(() => undefined)])
    clearTimeout(timer)
    return subscriptions.filter((_, i) => (codes?.[i] ?? 0) >= 128).map(({ filter }) => filter)
  }

  /** Says goodbye, so that the broker forgets the last will. */
  async leave(): Promise<void> {
    const timer = setTimeout(() => this.destroy('left'), goodbyeMs)
    this.#client.end(false)
    await this.closed
    clearTimeout(timer)
  }

  /** Ends it without a word: the last will is published. */
  destroy(why: string): void {
    // Listened to above: it becomes the reason of `closed`.
    if (this.#isOpen) this.#client.emit('error', new Error(why))
    this.#client.stream.destroy()
  }

  #send(
    { topic, payload, isRetained = false, ...message }: OutgoingMessage,
    qos: 0 | 1,
    onSent: (error?: Error) => void,
  ): void {
    const { expiryS, contentType, correlationData, userProperties } = message
    const properties = {
      ...(expiryS === undefined ? {} : { messageExpiryInterval: expiryS }),
      ...(contentType === undefined ? {} : { contentType }),
      ...(correlationData === undefined ? {} : { correlationData }),
      ...(userProperties === undefined ? {} : { userProperties }),
    }
    this.#client.publish(
      topic,
      payload,
      { qos, retain: isRetained, ...(this.version === 5 ? { properties } : {}) },
      onSent,
    )
  }

  /** A packet over the broker's limit would end the connection. */
  #isTooLarge({ topic, payload, correlationData, userProperties = {} }: OutgoingMessage): boolean {
    const limit = this.#client.serverProperties?.maximumPacketSize
    if (limit === undefined) return false
    const texts = [topic, payload, correlationData ?? '', ...Object.entries(userProperties).flat()]
    return texts.reduce((sum, text) => sum + Buffer.byteLength(text), packetOverhead) > limit
  }
}

/** Names of the reason codes (MQTT 5.0 section 2.4). */
const reasonWords = new Map(Object.entries(ReasonCodes).map(([code, words]) => [Number(code), words]))

/** More than fixed header, packet identifier and the lengths and marks of properties ever take. */
const packetOverhead = 100
