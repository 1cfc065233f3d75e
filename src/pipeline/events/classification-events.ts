import type { Prediction } from '../../core/prediction.ts'
import type { SceneEvent, View } from '../../core/scene.ts'
import { ClassifiedLabel } from './classified-label.ts'
import { Cooldown } from './cooldown.ts'
import { LabelRules } from './label-rules.ts'
import { type EventSetup, OpenEvent } from './open-event.ts'
import type { ResultTime } from './result-clock.ts'
import { viewOf } from './view.ts'

/**
 * Makes events of what a classifier says of the whole frame. At most one label is held at a time:
 *
 * - A label wins a result when it is the best of all and reaches its threshold. If the best one is not wanted, none
 *   wins.
 * - It is held from the win that makes `confirm_hits` of the last `confirm_of` results.
 * - While it is held, a result shows it if its score, at whichever rank, reaches `keep_ratio` of its threshold. When it
 *   wasn't shown for `leave_s`, it has left.
 * - Another label takes over when it is confirmed and the held one won none of the last `confirm_hits` results: two
 *   labels that win by turns make one event.
 */
export class ClassificationEvents {
  readonly #setup: EventSetup
  readonly #rules: LabelRules
  readonly #cooldown: Cooldown
  /** Those that won lately, and the one that is held. */
  readonly #labels = new Map<string, ClassifiedLabel>()
  #held: ClassifiedLabel | undefined

  constructor(setup: EventSetup) {
    this.#setup = setup
    this.#rules = new LabelRules(setup.options, setup.threshold)
    this.#cooldown = new Cooldown(setup.options.cooldown_s * 1000)
  }

  note(predictions: readonly Prediction[], time: ResultTime): SceneEvent[] {
    const winner = this.#noteLabels(predictions, time)
    const held = this.#held
    const successor = winner !== undefined && this.#mayBegin(winner, time) ? winner : undefined
    const { confirm_hits, update_interval_s } = this.#setup.options
    // Never by itself, since it won this result then.
    const isBeaten = successor !== undefined && held?.wins.count(confirm_hits) === 0
    if (held !== undefined && !this.#hasLeft(held, time) && !isBeaten) {
      const update = held.event?.update(time, update_interval_s * 1000)
      return update === undefined ? [] : [update]
    }
    return [...this.#end('left', time.atMs, time.steadyMs), ...(successor ? [this.#begin(successor, time)] : [])]
  }

  /** Ends the event: nobody looks any more. `steadyMs` of the last result. */
  interrupt(atMs: number, steadyMs: number): SceneEvent[] {
    const ended = this.#end('interrupted', atMs, steadyMs)
    this.#labels.clear()
    return ended
  }

  get view(): View {
    return viewOf(this.#held === undefined ? [] : [this.#held], Object.keys(this.#setup.options.zones))
  }

  get openEvents(): number {
    return this.#held === undefined ? 0 : 1
  }

  /** Tells each label what the result says of it, and gives the one that won. */
  #noteLabels(predictions: readonly Prediction[], time: ResultTime): ClassifiedLabel | undefined {
    const winner = predictions.slice(0, 1).find((best) => this.#isWin(best))
    for (const known of this.#labels.values()) {
      const { label, wins } = known
      const isWin = label === winner?.label
      known.note(
        known === this.#held ? this.#keptScore(label, predictions) : isWin ? winner.score : undefined,
        isWin,
        time,
      )
      if (known !== this.#held && wins.count() === 0) this.#labels.delete(label)
    }
    if (winner === undefined) return undefined
    const known = this.#labels.get(winner.label) ?? new ClassifiedLabel(winner, time, this.#setup.options.confirm_of)
    this.#labels.set(winner.label, known)
    return known
  }

  #isWin({ label, score }: Prediction): boolean {
    return this.#rules.isWanted(label) && score >= this.#rules.enterScore(label)
  }

  #keptScore(label: string, predictions: readonly Prediction[]): number | undefined {
    return predictions.find((one) => one.label === label && one.score >= this.#rules.keepScore(label))?.score
  }

  #hasLeft(held: ClassifiedLabel, time: ResultTime): boolean {
    const unseenMs = held.unseenMs(time)
    return unseenMs > 0 && unseenMs >= this.#setup.options.leave_s * 1000
  }

  #mayBegin({ label, wins }: ClassifiedLabel, { steadyMs }: ResultTime): boolean {
    return wins.count() >= this.#setup.options.confirm_hits && !this.#cooldown.isOn(label, steadyMs)
  }

  #begin(label: ClassifiedLabel, time: ResultTime): SceneEvent {
    this.#held = label
    label.event = new OpenEvent(this.#setup.makeId(label.sightings.startMs), label)
    return label.event.begin(time)
  }

  #end(reason: 'left' | 'interrupted', atMs: number, steadyMs: number): SceneEvent[] {
    const held = this.#held
    if (held?.event === undefined) return []
    this.#held = undefined
    this.#labels.delete(held.label)
    this.#cooldown.start(held.label, steadyMs)
    return [held.event.end(atMs, reason)]
  }
}
