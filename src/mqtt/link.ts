import { connect, type IClientOptions, type IClientPublishOptions, type MqttClient } from 'mqtt'
import { describeError } from '../core/errors.ts'
import { backoffDelays } from '../lib/backoff.ts'
import { certificateEndMs } from './certificate.ts'
import { type BrokerProbe, explainFailure, type LoginFailure } from './probe.ts'

/** What the link asks of a log. */
type LinkLog = { info(fields: object, text: string): void; warn(fields: object, text: string): void }

export type LinkOptions = {
  readonly url: string
  readonly clientId: string
  readonly username: string | undefined
  readonly password: string | undefined
  /** Says `online` while we are connected; its last will says `offline`. */
  readonly statusTopic: string
  readonly log: LinkLog
}

/** More than this waiting in the socket means that the network is slower than we are: results are dropped, not piled up. */
const maxSocketBacklogBytes = 256 * 1024

/** CONNACK codes for a broker that doesn't speak our version: MQTT 3's and MQTT 5's. */
const unsupportedVersion = [1, 132]

const connectionClosed = 'the connection closed'
const newVersion = 'the broker speaks MQTT 3.1.1 only'

/** How long a clean goodbye may take. */
const goodbyeMs = 1000

/**
 * The connection to the broker, tried for ever. Nothing is published while it is away: states are kept, the newest of
 * each topic, and sent at the next connection; results are dropped and counted. The only door to mqtt.js.
 */
export class MqttLink {
  readonly #client: MqttClient
  readonly #options: LinkOptions
  /** Newest payload of each retained topic, in the order in which they are sent at a connection. */
  readonly #states = new Map<string, string>()
  #delays = backoffDelays({ firstMs: 1000, lastMs: 60_000 })
  #lastProblem: string | undefined
  #isLeaving = false
  droppedResults = 0

  constructor(options: LinkOptions) {
    this.#options = options
    const { url, clientId, username, password, statusTopic } = options
    this.#client = connect(url, {
      clientId,
      ...(username === undefined ? {} : { username }),
      ...(password === undefined ? {} : { password }),
      protocolVersion: 5,
      clean: false,
      properties: { sessionExpiryInterval: 3600 },
      keepalive: 30,
      connectTimeout: 15_000,
      // A refused login is an outage like any other: someone may be mending it.
      reconnectOnConnackError: true,
      queueQoSZero: false,
      will: {
        topic: statusTopic,
        payload: Buffer.from('offline'),
        qos: 1,
        retain: true,
        properties: { willDelayInterval: 10 },
      },
    })
    this.#client.on('connect', () => this.#greet())
    this.#client.on('close', () => this.#prepareRetry())
    this.#client.on('error', (error) => this.#complain(error))
  }

  get isConnected(): boolean {
    return this.#client.connected
  }

  /** Publishes a retained state now, or its newest value at the next connection. */
  setState(topic: string, payload: string): void {
    this.#states.set(topic, payload)
    if (this.isConnected) this.#publish(topic, payload, { qos: 1, retain: true })
  }

  /** Publishes a result if that can be done at once; else it is dropped and counted. */
  sendResult(topic: string, payload: string): void {
    const backlog = this.#client.stream?.writableLength ?? 0
    if (this.isConnected && backlog < maxSocketBacklogBytes)
      this.#publish(topic, payload, { qos: 0, properties: { messageExpiryInterval: 30 } })
    else this.droppedResults++
  }

  /** Says goodbye (`offline`, then DISCONNECT), or just leaves when the broker doesn't answer. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isLeaving = true
    const isForced = !this.isConnected
    const goodbye = async () => {
      if (!isForced) await this.#client.publishAsync(this.#options.statusTopic, 'offline', { qos: 1, retain: true })
      await this.#client.endAsync(isForced)
    }
    const timeout = Promise.withResolvers<void>()
    const timer = setTimeout(timeout.resolve, goodbyeMs)
    await Promise.race([goodbye().catch(() => {}), timeout.promise])
    clearTimeout(timer)
    this.#client.end(true)
  }

  #greet(): void {
    this.#delays = backoffDelays({ firstMs: 1000, lastMs: 60_000 })
    this.#lastProblem = undefined
    this.#options.log.info({ url: this.#options.url, resultsDropped: this.droppedResults }, 'broker connected')
    for (const [topic, payload] of this.#states) this.#publish(topic, payload, { qos: 1, retain: true })
    this.#publish(this.#options.statusTopic, 'online', { qos: 1, retain: true })
  }

  /** mqtt.js reads `reconnectPeriod` after this event, so the back-off is ours. */
  #prepareRetry(): void {
    const { options } = this.#client
    const isNewVersion = this.#lastProblem === newVersion
    options.reconnectPeriod = isNewVersion ? 1 : this.#delays.next().value
    this.#lastProblem = isNewVersion ? undefined : this.#lastProblem
    if (!isNewVersion) this.#complain(new Error(connectionClosed))
  }

  /** Logs the first problem of an outage, and each other kind once. */
  #complain(error: Error & { code?: number | string }): void {
    if (this.#isLeaving) return
    const problem = describeError(error)
    const isRefusedVersion = typeof error.code === 'number' && unsupportedVersion.includes(error.code)
    if (isRefusedVersion && this.#client.options.protocolVersion === 5) {
      fallBackTo311(this.#client.options)
      this.#lastProblem = newVersion
      return
    }
    // A connection that closes after a named problem is no news.
    if (this.#lastProblem === problem || (this.#lastProblem !== undefined && problem === connectionClosed)) return
    this.#lastProblem = problem
    this.#options.log.warn(
      { url: this.#options.url, problem },
      'broker not reachable; results are dropped, trying again',
    )
  }

  #publish(topic: string, payload: string, options: IClientPublishOptions): void {
    // The callback may never come (QoS 0 on a dying socket), so nothing hangs on it; an error is followed by `close`.
    this.#client.publish(
      topic,
      payload,
      this.#client.options.protocolVersion === 5 ? options : { ...options, properties: {} },
      () => {},
    )
  }
}

/** MQTT 3.1.1 knows none of the properties, and with `clean: false` its sessions never expire. */
function fallBackTo311(options: IClientOptions): void {
  options.protocolVersion = 4
  options.clean = true
}

type ProbeOptions = Pick<LinkOptions, 'url' | 'clientId' | 'username' | 'password'>

const probeLimitMs = 5000

/** Logs in once as `clientId`, says goodbye, and tells how it went; takes at most `limitMs` and a goodbye. */
export async function probeBroker(options: ProbeOptions, limitMs = probeLimitMs): Promise<BrokerProbe> {
  const isTls = /^(mqtts|wss):/.test(options.url)
  const endsAtMs = performance.now() + limitMs
  const certificateEnd = isTls ? certificateEndMs(options.url, limitMs) : null
  let version: 4 | 5 = 5
  let failure = await tryLogin(options, version, limitMs)
  if (typeof failure?.error?.code === 'number' && unsupportedVersion.includes(failure.error.code)) {
    version = 4
    failure = await tryLogin(options, version, Math.max(0, endsAtMs - performance.now()))
  }
  return {
    ...(failure === undefined
      ? { outcome: 'connected', detail: `MQTT ${version === 5 ? '5' : '3.1.1'}` }
      : explainFailure({ ...failure, isTls, limitMs })),
    certificateEndMs: await certificateEnd,
  }
}

/** Undefined once the broker has accepted us; else how far it came and what was said. */
async function tryLogin(
  { url, clientId, username, password }: ProbeOptions,
  protocolVersion: 4 | 5,
  limitMs: number,
): Promise<LoginFailure | undefined> {
  const { promise, resolve } = Promise.withResolvers<LoginFailure | undefined>()
  const client = connect(url, {
    clientId,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    protocolVersion,
    reconnectPeriod: 0,
  })
  let stage: LoginFailure['stage'] = /^wss?:/.test(url) ? 'unknown' : 'started'
  client.stream.once('connect', () => (stage = 'tcp'))
  client.stream.once('secureConnect', () => (stage = 'tls'))
  client.once('connect', () => resolve(undefined))
  // Stays to the end: an error that nobody listens to would be thrown.
  client.on('error', (error) => resolve({ error, stage, isLate: false }))
  client.once('close', () => resolve({ error: undefined, stage, isLate: false }))
  const timer = setTimeout(() => resolve({ error: undefined, stage, isLate: true }), limitMs)
  const failure = await promise
  clearTimeout(timer)
  await leave(client)
  return failure
}

/** Says goodbye if there is someone to say it to, and has closed the connection when it resolves. */
async function leave(client: MqttClient): Promise<void> {
  const timeout = Promise.withResolvers<void>()
  const timer = setTimeout(timeout.resolve, goodbyeMs)
  await Promise.race([client.endAsync(!client.connected).catch(() => {}), timeout.promise])
  clearTimeout(timer)
  client.end(true)
}
