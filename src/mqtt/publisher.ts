import type { Metrics } from '../core/metrics.ts'
import { atLeast } from '../core/prediction.ts'
import type { SceneEvent, View } from '../core/scene.ts'
import type { UpdateOutcome, UpdateStatus } from '../core/update-status.ts'
import type { VisionModel, VisionResult } from '../core/vision-protocol.ts'
import { round } from '../lib/round.ts'
import { currentMessage, eventMessage } from './event-message.ts'
import type { MqttLink } from './link.ts'
import {
  crashSchema,
  currentSchema,
  encodeMessage,
  eventSchema,
  type Info,
  infoSchema,
  metricsSchema,
  resultSchema,
  type State,
  stateSchema,
  updateEventSchema,
  updateSchema,
} from './messages.ts'
import type { Outbox } from './outbox.ts'
import { resultMessage } from './result-message.ts'
import type { Topics } from './topics.ts'
import { UpdateNews, updateEventMessage, updateMessage } from './update-message.ts'

export type PublisherOptions = {
  readonly link: MqttLink
  readonly outbox: Outbox
  readonly topics: Topics
  readonly boot: string
}

const json = { contentType: 'application/json' }

/** What nobody wants any more after these times, in seconds. */
const resultExpiryS = 30
const metricsExpiryS = 120

/** Says in messages what the device has to say; each topic's rule of when is here. */
export class Publisher {
  readonly #link: MqttLink
  readonly #outbox: Outbox
  readonly #topics: Topics
  readonly #boot: string
  #stateKey = ''
  /** The rate that counts as the one told: another does when it has about doubled or halved. */
  #toldFps = 0
  readonly #updateNews = new UpdateNews()
  #seq = 0
  #nextResultMs = 0

  constructor({ link, outbox, topics, boot }: PublisherOptions) {
    this.#link = link
    this.#outbox = outbox
    this.#topics = topics
    this.#boot = boot
  }

  info(info: Info): void {
    this.#retain(this.#topics.info, encodeMessage(infoSchema, info))
  }

  /**
   * On change; with `isHeartbeat`, in any case. Numbers that never stand still count only when they become something else: a
   * rate that has about doubled or halved, the first event or result that waits or is lost.
   */
  state(state: Omit<State, 'v' | 'ts'>, isHeartbeat = false): void {
    const { fps, outbox, results_dropped: dropped, ...lasting } = state
    const change = (fps + 0.1) / (this.#toldFps + 0.1)
    if (change > 2 || change < 0.5) this.#toldFps = fps
    const rough = [this.#toldFps, outbox.pending > 0, outbox.problem, dropped > 0]
    const key = JSON.stringify([lasting, rough])
    if (key === this.#stateKey && !isHeartbeat) return
    this.#stateKey = key
    const message = { v: 1 as const, ts: new Date().toISOString(), ...state, fps: round(fps, 1) }
    this.#retain(this.#topics.state, encodeMessage(stateSchema, message))
  }

  current(view: View, atMs: number): void {
    this.#retain(this.#topics.current, encodeMessage(currentSchema, currentMessage(view, atMs)))
  }

  /** On change; to be called each second too, for what counts on (percents) and is told no more often than that. */
  update(status: UpdateStatus, model: VisionModel | undefined): void {
    const message = updateMessage(status, model, Date.now())
    if (!this.#updateNews.isNews(message, performance.now())) return
    this.#retain(this.#topics.update, encodeMessage(updateSchema, message))
  }

  /** Kept until the broker has it, as events are. */
  updateOutcome(outcome: UpdateOutcome): void {
    this.#outbox.add(encodeMessage(updateEventSchema, updateEventMessage(outcome, this.#boot)))
  }

  crash(crash: { readonly ts: string; readonly reason: string; readonly log: readonly string[] }): void {
    this.#retain(this.#topics.crash, encodeMessage(crashSchema, { v: 1, ...crash, log: [...crash.log] }))
  }

  /** Whether the broker has it. */
  get isCrashTold(): boolean {
    return this.#link.has(this.#topics.crash)
  }

  event(event: SceneEvent, model: VisionModel | undefined): void {
    this.#outbox.add(encodeMessage(eventSchema, eventMessage(event, model, this.#boot)))
  }

  /** At most `perSecond` of them, with what scores at least `threshold`. */
  result(result: VisionResult, model: VisionModel, threshold: number, perSecond: number): void {
    const now = performance.now()
    if (perSecond === 0 || now < this.#nextResultMs) return
    this.#nextResultMs = now + 1000 / perSecond
    const message = resultMessage(
      { ...result, finding: atLeast(result.finding, threshold) },
      model,
      this.#boot,
      this.#seq++,
    )
    this.#link.sendResult({
      topic: this.#topics.result,
      payload: encodeMessage(resultSchema, message),
      expiryS: resultExpiryS,
      ...json,
    })
  }

  metrics(metrics: Metrics): void {
    const payload = encodeMessage(metricsSchema, { v: 1, ts: new Date().toISOString(), ...metrics })
    this.#link.sendResult({ topic: this.#topics.metrics, payload, expiryS: metricsExpiryS, ...json })
  }

  snapshot(jpeg: Buffer): void {
    this.#link.setState({ topic: this.#topics.snapshot, payload: jpeg, contentType: 'image/jpeg' })
  }

  eventSnapshot({ eventId, label, topScore, atMs }: SceneEvent, jpeg: Buffer): void {
    this.#link.setState({
      topic: this.#topics.eventSnapshot,
      payload: jpeg,
      contentType: 'image/jpeg',
      userProperties: { event_id: eventId, label, score: topScore.toFixed(4), ts: new Date(atMs).toISOString() },
    })
  }

  /** Takes away what the broker still has of pictures that may not be shown (any more). */
  allowPictures(allowed: { readonly snapshot: boolean; readonly eventSnapshot: boolean }): void {
    if (!allowed.snapshot) this.#link.setState({ topic: this.#topics.snapshot, payload: '' })
    if (!allowed.eventSnapshot) this.#link.setState({ topic: this.#topics.eventSnapshot, payload: '' })
  }

  #retain(topic: string, payload: string): void {
    this.#link.setState({ topic, payload, ...json })
  }
}
