import { printable } from '../text.ts'
import { afterHearing, isNothing, timeOf, type WatchedDevice } from './device.ts'
import { changesBetween, describeEvent, type Happening } from './happenings.ts'
import type { Said, SaidOf } from './messages.ts'

const maxDevices = 500
const maxEvents = 200

/** Devices, made of what they say. */
export class WatchedDevices {
  readonly #devices = new Map<string, WatchedDevice>()
  readonly #events: Happening[] = []
  /** Newest events, since a message may come twice. */
  readonly #known = new Set<string>()
  /** Messages of devices that are one too many. */
  leftOut = 0

  get devices(): WatchedDevice[] {
    return [...this.#devices.values()].sort((a, b) => (a.id < b.id ? -1 : 1))
  }

  /** Newest last. */
  get events(): readonly Happening[] {
    return this.#events
  }

  /** Takes in what a device said, and tells what that changes. */
  take({ id, said }: { readonly id: string; readonly said: Said }, isRetained: boolean, nowMs: number): Happening[] {
    const before = this.#devices.get(id)
    if (before === undefined && said.value === undefined) return []
    if (before === undefined && this.#devices.size >= maxDevices) {
      this.leftOut++
      return []
    }
    const after = afterHearing(before ?? { id }, said, isRetained, nowMs)
    if (isNothing(after)) this.#devices.delete(id)
    else this.#devices.set(id, after)
    const event = said.kind === 'event' && said.value !== undefined ? this.#takeEvent(id, said.value) : []
    return [...changesBetween(before, after).map((text) => ({ atMs: nowMs, id, text })), ...event]
  }

  #takeEvent(id: string, event: SaidOf<'event'>): Happening[] {
    const key = `${id} ${printable(event.event_id)} ${event.seq}`
    const text = describeEvent(event)
    if (text === undefined || this.#known.has(key)) return []
    this.#known.add(key)
    const [oldest] = this.#known
    if (this.#known.size > maxEvents && oldest !== undefined) this.#known.delete(oldest)
    const happening = { atMs: timeOf(event.ts) ?? 0, id, text }
    this.#events.push(happening)
    if (this.#events.length > maxEvents) this.#events.shift()
    return [happening]
  }
}
