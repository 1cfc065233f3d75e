import type { SceneEvent } from '../core/scene.ts'
import type { Picture } from './supervisor.ts'

/** A picture is worth asking for again when the score has grown by so much, and not more often than this. */
const betterBy = 0.05
const minIntervalMs = 1000

const none = { score: 0, atMs: 0 }

export type EventPicturesOptions = {
  /** Asks for a picture of what the model saw last: the frame of the event that is just being told. */
  readonly take: () => Promise<Picture>
  readonly publish: (event: SceneEvent, jpeg: Buffer) => void
}

/** Publishes a picture of each event as it begins and whenever it is seen better: the last one is the best. */
export class EventPictures {
  readonly #options: EventPicturesOptions
  /** Score of the best picture of each open event, and when it was taken. */
  readonly #best = new Map<string, { readonly score: number; readonly atMs: number }>()
  #isBusy = false

  constructor(options: EventPicturesOptions) {
    this.#options = options
  }

  async note(event: SceneEvent): Promise<void> {
    const { eventId, type, topScore, atMs } = event
    if (type === 'end') {
      this.#best.delete(eventId)
      return
    }
    if (type === 'new') this.#best.set(eventId, none)
    const best = this.#best.get(eventId) ?? none
    const isBetter = best === none || (topScore >= best.score + betterBy && atMs - best.atMs >= minIntervalMs)
    // One at a time: an event that is seen better still, or goes on, gets its next chance with its next message.
    if (!isBetter || this.#isBusy) return
    this.#isBusy = true
    try {
      const picture = await this.#options.take()
      if ('reason' in picture) return
      // It may have ended meanwhile; its picture is good all the same.
      if (this.#best.has(eventId)) this.#best.set(eventId, { score: topScore, atMs })
      this.#options.publish(event, picture.jpeg)
    } finally {
      this.#isBusy = false
    }
  }
}
