import { join } from 'node:path'
import * as v from 'valibot'
import { Spool } from '../lib/spool.ts'
import { HomeAssistantAnnouncer } from './announcer.ts'
import { CommandDesk } from './commands.ts'
import { broadcastCommands, type CommandedDevice, deviceCommands, deviceProperties } from './device-commands.ts'
import type { HomeAssistantDevice } from './home-assistant.ts'
import { MqttLink } from './link.ts'
import { Outbox } from './outbox.ts'
import { OwnBoots } from './own-boots.ts'
import { Publisher } from './publisher.ts'
import { clientIdOf, deviceTopics } from './topics.ts'
import { UpdateHints } from './update-hints.ts'
import { isUpdateEvent } from './update-message.ts'
import type { BrokerSettings, IncomingMessage } from './wire.ts'

export type MqttDeviceOptions = {
  readonly id: string
  readonly boot: string
  /** When this run began, in ms since the epoch. */
  readonly startedMs: number
  readonly baseTopic: string
  /** Where the broker is and who we are; asked at each try. */
  readonly settings: () => Promise<Omit<BrokerSettings, 'clientId' | 'will'>>
  readonly homeAssistant: { readonly enabled: boolean; readonly prefix: string }
  /** Where things are kept that have to survive. */
  readonly folder: string
  /** How many events wait for the broker there, and how they leave. */
  readonly outbox: {
    readonly maxBytes: number
    readonly maxAgeMs: number
    readonly replayRate: number
  }
  readonly commanded: CommandedDevice
  /** Whether hints that there are new models are of use. */
  readonly takesHints: boolean
  /** What `state` tells may have changed. */
  readonly onChange: () => void
  readonly log: { info(fields: object, text: string): void; warn(fields: object, text: string): void }
}

const runSchema = v.object({ boot: v.string(), started: v.string() })

/** Hides a link that flaps for a moment. */
const willDelayS = 10

/** How long a stop may wait for the broker to take the last events; what is left then goes to the disk. */
const lastEventsMs = 500

/** The device as its subscribers know it: what it publishes, what it takes. Says `offline` when it is disposed. */
export class MqttDevice implements AsyncDisposable {
  readonly publish: Publisher
  readonly #announcer: HomeAssistantAnnouncer
  readonly #link: MqttLink
  readonly #outbox: Outbox
  readonly #desk: CommandDesk
  readonly #stop = new AbortController()
  #running: Promise<void> | undefined

  private constructor(spool: Spool, boots: OwnBoots, options: MqttDeviceOptions) {
    const { id, boot, baseTopic, settings, homeAssistant, folder, outbox, commanded, takesHints, onChange, log } =
      options
    const { signal } = this.#stop
    const topics = deviceTopics(baseTopic, id)
    this.#outbox = new Outbox({
      spool,
      replayRate: outbox.replayRate,
      onProblem: (problem) => {
        if (problem === undefined) log.info({}, 'events can be stored again')
        else log.warn({ problem }, 'events are kept in memory only, the newest of them')
        onChange()
      },
    })
    this.#announcer = new HomeAssistantAnnouncer({
      isEnabled: homeAssistant.enabled,
      prefix: homeAssistant.prefix,
      id,
      folder,
      setState: (message) => this.#link.setState(message),
      resendStates: () => this.#link.resendStates(),
      signal,
    })
    this.#desk = new CommandDesk({
      topics,
      commands: deviceCommands(commanded, (jpeg) => this.publish.snapshot(jpeg)),
      properties: deviceProperties(commanded),
      broadcast: broadcastCommands,
      reply: (message) => this.#link.reply(message),
      log,
      signal,
    })
    const hints = new UpdateHints({
      topic: topics.updateHint,
      isEnabled: takesHints,
      onHint: (version) => commanded.updates?.hint(version),
      log,
    })
    this.#link = new MqttLink({
      settings: async () => ({
        ...(await settings()),
        clientId: clientIdOf(id),
        will: { topic: topics.status, payload: 'offline', delayS: willDelayS },
      }),
      statusTopic: topics.status,
      subscriptions: [
        { filter: `${topics.request}+`, tellsRetained: true },
        { filter: `${topics.own}+/set`, tellsRetained: true },
        { filter: `${topics.allRequest}+`, tellsRetained: true },
        { filter: topics.info, wantsRetained: true },
        ...this.#announcer.subscriptions,
        ...hints.subscriptions,
      ],
      onMessage: (message) => {
        if (message.topic === topics.info) this.#lookForRival(message, boots)
        else if (!this.#announcer.take(message) && !hints.take(message)) void this.#desk.take(message)
      },
      eventTopic: topics.event,
      otherTopic: (payload) => (isUpdateEvent(payload) ? topics.updateEvent : undefined),
      events: this.#outbox,
      onChange,
      log,
    })
    this.publish = new Publisher({ link: this.#link, outbox: this.#outbox, topics, boot })
  }

  static async open(options: MqttDeviceOptions): Promise<MqttDevice> {
    const { maxBytes, maxAgeMs } = options.outbox
    const spool = await Spool.open({
      folder: join(options.folder, 'spool'),
      maxBytes,
      maxAgeMs,
      // Does not jump when a board without a clock of its own learns the time: its events would all be too old at once.
      now: () => performance.timeOrigin + performance.now(),
    })
    const device = new MqttDevice(spool, await OwnBoots.open(options.folder, options), options)
    await device.#announcer.begin()
    return device
  }

  /** Begins to look for the broker. Whoever is called by it has to be there by now. */
  start(): void {
    this.#running = this.#link.run(this.#stop.signal)
  }

  /** Tells Home Assistant what there is, if that is wanted. */
  announce(device: HomeAssistantDevice): void {
    this.#announcer.announce(device)
  }

  get isConnected(): boolean {
    return this.#link.isConnected
  }

  /** Its part of the `state` topic. */
  get state() {
    return {
      outbox: { pending: this.#outbox.stored.pending, problem: this.#outbox.problem ?? null },
      mqtt: { problem: this.#link.problem ?? null },
      results_dropped: this.#link.counts.resultsDropped,
    }
  }

  get metrics() {
    const { counts: link } = this.#link
    const { counts: sent, stored } = this.#outbox
    return {
      mqtt_connected: this.isConnected,
      mqtt_connections_total: link.connections,
      mqtt_refused_total: link.refused,
      results_dropped_total: link.resultsDropped,
      events_total: stored.appended,
      events_sent_total: sent.sent + sent.replayed,
      events_replayed_total: sent.replayed,
      events_refused_total: sent.refused,
      events_dropped_total: stored.dropped,
      events_expired_total: stored.expired,
      events_corrupt_total: stored.corrupt,
      events_pending: stored.pending,
      outbox_bytes: stored.bytes,
      commands_total: this.#desk.counts.answered,
      commands_refused_total: this.#desk.counts.refused,
      answers_dropped_total: link.repliesDropped,
    }
  }

  /**
   * Not every broker says when another client takes our session over (Mosquitto 2.0.11 does not), but it leaves its name. One
   * that was kept there before ours is no rival's: we may be here in place of another device.
   */
  #lookForRival({ topic, payload, isRetained }: IncomingMessage, boots: OwnBoots): void {
    const info = v.safeParse(v.pipe(v.string(), v.parseJson(), runSchema), payload.toString('utf8'))
    // An empty one comes from a decommissioning.
    if (!info.success) return
    const { boot, started } = info.output
    // A broker may keep, or restore from its disk, what an earlier run of ours has said.
    if (boots.has({ boot, startedMs: Date.parse(started) }) || (isRetained && !this.#link.hadBefore(topic))) return
    this.#link.noteRival('another client publishes as this device')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.isConnected) await this.#outbox.emptied(AbortSignal.timeout(lastEventsMs))
    this.#stop.abort()
    await this.#running
    await this.#outbox[Symbol.asyncDispose]()
  }
}
