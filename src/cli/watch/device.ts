import { printable } from '../text.ts'
import type { Said, SaidOf } from './messages.ts'

/** What is known of a device, printable. */
export type WatchedDevice = {
  readonly id: string
  readonly status?: SaidOf<'status'> | undefined
  readonly name?: string | undefined
  readonly state?: SaidOf<'state'> | undefined
  readonly sees?: string | undefined
  readonly metrics?: SaidOf<'metrics'> | undefined
  /** When it said something last, as far as is known. */
  readonly heardMs?: number | undefined
}

/** What is known of it after one more message. */
export function afterHearing(device: WatchedDevice, said: Said, isRetained: boolean, nowMs: number): WatchedDevice {
  // A retained message has been waiting for us; the last will is the broker's word.
  const saidMs = said.value === undefined || said.value === 'offline' ? undefined : isRetained ? saidAt(said) : nowMs
  const heardMs = saidMs === undefined ? device.heardMs : Math.max(device.heardMs ?? 0, Math.min(saidMs, nowMs))
  const heard = { ...device, heardMs }
  switch (said.kind) {
    case 'status':
      return { ...heard, status: said.value }
    case 'info':
      return { ...heard, name: said.value && printable(said.value.name) }
    case 'state':
      return { ...heard, state: said.value && boundedState(said.value) }
    case 'current':
      return { ...heard, sees: said.value && printable(said.value.summary) }
    case 'metrics':
      return { ...heard, metrics: said.value }
    case 'event':
      return heard
  }
}

function saidAt(said: Said): number | undefined {
  return typeof said.value === 'object' && 'ts' in said.value ? timeOf(said.value.ts) : undefined
}

/** What the schema takes for a time may be none. */
export function timeOf(text: string | null | undefined): number | undefined {
  const ms = Date.parse(text ?? '')
  return Number.isNaN(ms) ? undefined : ms
}

function boundedState(state: SaidOf<'state'>): SaidOf<'state'> {
  const { reason, model, governor, outbox, mqtt, settings } = state
  const bounded = (text: string | null | undefined) => (text ? printable(text) : null)
  return {
    ...state,
    reason: bounded(reason),
    model: model ? { name: printable(model.name), version: printable(model.version) } : null,
    ...(governor && { governor: { ...governor, reason: bounded(governor.reason) } }),
    ...(outbox && { outbox: { ...outbox, problem: bounded(outbox.problem) } }),
    ...(mqtt && { mqtt: { problem: bounded(mqtt.problem) } }),
    ...(settings && { settings: { problem: bounded(settings.problem) } }),
  }
}

/** The broker keeps nothing of it. */
export function isNothing({ status, name, state, sees }: WatchedDevice): boolean {
  return [status, name, state, sees].every((part) => part === undefined)
}

/** In one word; `state` of a device that is not there is of yesterday. */
export function conditionOf({ status, state }: WatchedDevice): string {
  return status === 'online' ? (state?.status ?? 'online') : (status ?? 'unknown')
}

/** What keeps it from its work, or may soon. */
export function troublesOf({ status, state, metrics }: WatchedDevice): string[] {
  if (status === 'offline') return []
  const { reason, governor, outbox, mqtt, settings } = state ?? {}
  const slowed = governor?.active ? `slowed down: ${governor.reason ?? 'no reason given'}` : null
  const waiting = outbox && outbox.pending > 0 ? `events waiting: ${outbox.pending}` : null
  const supply = metrics?.undervoltage ? 'supply voltage too low' : null
  return [reason, slowed, waiting, outbox?.problem, mqtt?.problem, settings?.problem, supply].filter(
    (text) => typeof text === 'string',
  )
}

export function modelOf({ state }: WatchedDevice): string | undefined {
  return state?.model ? `${state.model.name} ${state.model.version}` : undefined
}
