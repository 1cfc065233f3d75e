import type { EventOptions } from '../core/event-options.ts'
import { emptyView, type SceneEvent, sameView, type View } from '../core/scene.ts'
import type { VisionResult } from '../core/vision-protocol.ts'
import { EventEngine } from './events/event-engine.ts'

export type EventStreamOptions = {
  readonly makeId: (startMs: number) => string
  readonly onEvent: (event: SceneEvent) => void
  /** What is in view has changed: labels, counts or zones; a score alone is no change. */
  readonly onView: (view: View, atMs: number) => void
}

/** Follows what is in view, under rules that may change: what is open then ends as interrupted, and begins anew. */
export class EventStream {
  readonly #options: EventStreamOptions
  #engine: EventEngine | undefined
  #rules = ''
  #shown: View | undefined

  constructor(options: EventStreamOptions) {
    this.#options = options
  }

  /** Sets the rules; `threshold` is the score from which a find counts. */
  configure(options: EventOptions, threshold: number): void {
    const rules = JSON.stringify([options, threshold])
    if (rules === this.#rules) return
    const now = Date.now()
    this.interrupt(now)
    this.#rules = rules
    this.#engine = new EventEngine({ options, threshold, makeId: this.#options.makeId })
    // The zones may be others now.
    this.#tell([], now)
  }

  note({ finding, frame }: VisionResult): void {
    if (this.#engine === undefined) return
    this.#tell(this.#engine.note(finding, frame.capturedAtMs), frame.capturedAtMs)
  }

  /** Nobody can tell what is in view: camera, model or inference has stopped, or not begun. */
  interrupt(atMs: number): void {
    this.#tell(this.#engine?.interrupt(atMs) ?? [], atMs)
  }

  #tell(events: readonly SceneEvent[], atMs: number): void {
    for (const event of events) this.#options.onEvent(event)
    const view = this.#engine?.view ?? emptyView
    if (this.#shown !== undefined && sameView(this.#shown, view)) return
    this.#shown = view
    this.#options.onView(view, atMs)
  }
}
