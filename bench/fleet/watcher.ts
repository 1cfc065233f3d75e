import { readFile } from 'node:fs/promises'
import { connectAsync, type MqttClient } from 'mqtt'
import * as v from 'valibot'
import { Doorbell } from '../../src/lib/doorbell.ts'
import type { Broker } from './broker.ts'

/** The broker tells each second, unless it is too busy for that. */
const tickLimitMs = 5000

const eventSchema = v.object({ event_id: v.string(), seq: v.number(), ts: v.string(), replayed: v.boolean() })
const updateSchema = v.object({ metadata: v.nullable(v.object({ timestamp: v.nullable(v.number()) })) })
const hintSchema = v.object({ timestamp: v.number() })

/**
 * The one subscriber of all that the fleet says, as an archive would be: its session survives a restart of the broker. Times
 * are in ms since the epoch.
 */
export class Watcher implements Disposable {
  readonly #client: MqttClient
  readonly #seen = new Set<string>()
  readonly #looks = new Map<string, number>()
  readonly #system = new Map<string, number>()
  readonly #ticks = new Doorbell()
  /** From the capture time of an event's frame to its arrival here, in ms; of events that are not replayed. */
  latenciesMs: number[] = []
  readonly events = { replayed: 0, twice: 0 }
  /** When devices told of a version of the repository's timestamp for the first time. */
  readonly looksAtMs = new Map<number, number[]>()
  /** The newest nudge. */
  hint: { readonly version: number; readonly atMs: number } | undefined

  private constructor(client: MqttClient) {
    this.#client = client
    client.on('message', (topic, payload) => this.#take(topic, payload))
    // It tries again by itself, and the run ends when nothing comes.
    client.on('error', () => {})
  }

  static async start({ url, caPath }: Broker): Promise<Watcher> {
    const client = await connectAsync(url, {
      clientId: 'fleet-watcher',
      protocolVersion: 5,
      clean: false,
      properties: { sessionExpiryInterval: 3600, receiveMaximum: 65_535 },
      reconnectPeriod: 100,
      ...(caPath === undefined ? {} : { ca: await readFile(caPath) }),
    })
    const watcher = new Watcher(client)
    await client.subscribeAsync(['sightd/#', '$SYS/broker/#'], { qos: 1 })
    return watcher
  }

  /** Event messages that have arrived, each counted once. */
  get arrived(): number {
    return this.#seen.size
  }

  /** A number of the broker's own statistics below `$SYS/broker/`, once a second; 0 while it has not told. */
  system(name: string): number {
    return this.#system.get(name) ?? 0
  }

  /** Waits for the broker's next statistics; resolves to when they came. */
  async tick(): Promise<number> {
    await this.#ticks.moreThan(this.#ticks.rings, AbortSignal.timeout(tickLimitMs))
    return Date.now()
  }

  [Symbol.dispose](): void {
    this.#client.end(true)
  }

  #take(topic: string, payload: Buffer): void {
    const [base, device = '', ...rest] = topic.split('/')
    const kind = rest.join('/')
    if (base === '$SYS') this.#takeSystem(topic.slice('$SYS/broker/'.length), payload)
    else if (device === 'update' && kind === 'hint') this.#takeHint(payload)
    else if (kind === 'event') this.#takeEvent(device, payload)
    else if (kind === 'update') this.#takeUpdate(device, payload)
  }

  #takeSystem(name: string, payload: Buffer): void {
    this.#system.set(name, Number(payload))
    if (name === 'publish/messages/received') this.#ticks.ring()
  }

  #takeEvent(device: string, payload: Buffer): void {
    const { event_id: id, seq, ts, replayed } = v.parse(eventSchema, JSON.parse(payload.toString()))
    const key = `${device} ${id} ${seq}`
    if (this.#seen.has(key)) this.events.twice++
    this.#seen.add(key)
    if (replayed) this.events.replayed++
    else this.latenciesMs.push(Date.now() - Date.parse(ts))
  }

  #takeUpdate(device: string, payload: Buffer): void {
    const version = v.parse(updateSchema, JSON.parse(payload.toString())).metadata?.timestamp ?? 0
    const before = this.#looks.get(device) ?? 0
    this.#looks.set(device, version)
    for (let news = before + 1; news <= version; news++) {
      const times = this.looksAtMs.get(news) ?? []
      times.push(Date.now())
      this.looksAtMs.set(news, times)
    }
  }

  #takeHint(payload: Buffer): void {
    if (payload.length === 0) return
    const { timestamp } = v.parse(hintSchema, JSON.parse(payload.toString()))
    this.hint = { version: timestamp, atMs: Date.now() }
  }
}
