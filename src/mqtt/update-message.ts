import * as v from 'valibot'
import type { UpdateOutcome, UpdateStatus } from '../core/update-status.ts'
import { round } from '../lib/round.ts'
import { type UpdateEventMessage, type UpdateMessage, updateEventSchema } from './messages.ts'

/** In which phases a person would say that the device is being updated. */
const busyPhases: readonly string[] = ['download', 'self_test', 'shadow', 'trial'] satisfies UpdateStatus['phase'][]

/** Numbers that count on are told this often at most. */
const countingMs = 1000

type RunningModel = { readonly name: string; readonly version: string }

/** How updates stand, as subscribers get it. `model` is the one that runs; while none does, the one that should counts. */
export function updateMessage(status: UpdateStatus, model: RunningModel | undefined, atMs: number): UpdateMessage {
  const { candidate, shadow } = status
  const installed = model ?? status.active
  const percent = status.percent === null ? null : Math.floor(status.percent)
  const isBusy = busyPhases.includes(status.phase)
  return {
    v: 1,
    ts: new Date(atMs).toISOString(),
    installed_version: installed?.version ?? null,
    latest_version: (candidate ?? installed)?.version ?? null,
    title: installed?.name ?? null,
    in_progress: isBusy,
    update_percentage: isBusy ? percent : null,
    ...status,
    percent,
    shadow: shadow && {
      frames: shadow.frames,
      agreement: round(shadow.agreement, 4),
      active_ms: round(shadow.active_ms, 1),
      candidate_ms: round(shadow.candidate_ms, 1),
    },
  }
}

/** How an update ended, as subscribers get it, not replayed yet. */
export function updateEventMessage(outcome: UpdateOutcome, boot: string): UpdateEventMessage {
  return { v: 1, type: 'outcome', boot, ...outcome, replayed: false }
}

/** Whether what the outbox kept is one of these. */
export function isUpdateEvent(payload: string): boolean {
  return v.is(keptSchema, payload)
}

const keptSchema = v.pipe(v.string(), v.parseJson(), v.object({ type: updateEventSchema.entries.type }))

/** Decides which of the messages on how updates stand are news: changes at once, numbers that count on once a second. */
export class UpdateNews {
  #told = ''
  #toldNumbers = ''
  #nextCountMs = 0

  isNews({ ts: _, percent, update_percentage: __, shadow, ...lasting }: UpdateMessage, nowMs: number): boolean {
    const [told, numbers] = [JSON.stringify(lasting), JSON.stringify([percent, shadow])]
    const isChange = told !== this.#told
    if (!isChange && (numbers === this.#toldNumbers || nowMs < this.#nextCountMs)) return false
    this.#told = told
    this.#toldNumbers = numbers
    this.#nextCountMs = nowMs + countingMs
    return true
  }
}
