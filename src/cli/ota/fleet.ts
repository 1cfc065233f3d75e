import { randomBytes } from 'node:crypto'
import * as v from 'valibot'
import { deviceIdSchema } from '../../config/schema.ts'
import { statusSchema, updateSchema } from '../../mqtt/messages.ts'
import type { IncomingMessage } from '../../mqtt/wire.ts'
import { printable } from '../text.ts'

/**
 * What `sightd ota status` reads of what devices say. They may be older or newer than we are, so fields and words that we
 * don't know don't matter, and most fields may be missing. Whoever may publish there may be no friend: all that is kept is
 * short, and does nothing to a terminal.
 */

const text = v.pipe(v.string(), v.minLength(1), v.transform(printable))
const textOrNull = v.nullish(text, null)
const { v: version, percent, paused, needs_consent } = updateSchema.entries
const model = v.object({ name: text, version: text })

const updateSaidSchema = v.object({
  v: version,
  enabled: v.boolean(),
  phase: text,
  title: textOrNull,
  installed_version: textOrNull,
  candidate: v.nullish(model, null),
  percent: v.nullish(percent, null),
  reason: textOrNull,
  paused: v.optional(paused, false),
  needs_consent: v.optional(needs_consent, false),
  group: textOrNull,
  rollout: textOrNull,
  stale: textOrNull,
  last: v.nullish(v.object({ model, outcome: text, code: text, reason: text, ts: text }), null),
  checked: textOrNull,
})

type UpdateSaid = v.InferOutput<typeof updateSaidSchema>

export type FleetDevice = {
  readonly id: string
  readonly status?: v.InferOutput<typeof statusSchema> | undefined
  readonly update?: UpdateSaid | undefined
}

export function fleetFilters(baseTopic: string): string[] {
  return ['update', 'status'].map((kind) => `${baseTopic}/+/${kind}`)
}

/** The client id of one who looks on: another each time, so that many may. */
export function observerId(): string {
  return `sightd-status-${randomBytes(4).toString('hex')}`
}

/** More than anyone has; a broker that makes devices up shall not take our memory. */
const maxDevices = 10_000

/** Devices, made of what they say. */
export class Fleet {
  readonly #baseTopic: string
  readonly #devices = new Map<string, FleetDevice>()
  /** Messages that nothing could be made of, and such of devices that are one too many. */
  readonly counts = { notUnderstood: 0, leftOut: 0 }

  constructor(baseTopic: string) {
    this.#baseTopic = baseTopic
  }

  /** Of one group only, if it is named; in the order of their ids. */
  devices(group: string | undefined): FleetDevice[] {
    const all = [...this.#devices.values()].filter(({ update }) => group === undefined || update?.group === group)
    return all.sort((a, b) => (a.id < b.id ? -1 : 1))
  }

  /** Takes in a message; the device that it is of, as it is known now, or undefined. */
  take({ topic, payload }: Pick<IncomingMessage, 'topic' | 'payload'>): FleetDevice | undefined {
    const said = readMessage(topic, payload, this.#baseTopic)
    if (said === undefined) {
      this.counts.notUnderstood++
      return undefined
    }
    const { id, ...news } = said
    const before = this.#devices.get(id)
    if (before === undefined && this.#devices.size >= maxDevices) {
      this.counts.leftOut++
      return undefined
    }
    const after = { ...before, id, ...news }
    // An empty message takes away what the broker kept.
    const isNothing = after.status === undefined && after.update === undefined
    if (isNothing) this.#devices.delete(id)
    else this.#devices.set(id, after)
    return isNothing && before === undefined ? undefined : after
  }
}

function readMessage(topic: string, payload: Buffer, baseTopic: string): FleetDevice | undefined {
  const own = topic.startsWith(`${baseTopic}/`) ? topic.slice(baseTopic.length + 1) : ''
  const [id = '', kind = '', ...rest] = own.split('/', 3)
  if (!v.is(deviceIdSchema, id) || rest.length > 0) return undefined
  if (kind === 'status') return read(v.optional(statusSchema), payload, (status) => ({ id, status }))
  if (kind !== 'update') return undefined
  return read(v.optional(v.pipe(v.string(), v.parseJson(), updateSaidSchema)), payload, (update) => ({ id, update }))
}

function read<T>(
  schema: v.GenericSchema<unknown, T>,
  payload: Buffer,
  use: (value: T) => FleetDevice,
): FleetDevice | undefined {
  const parsed = v.safeParse(schema, payload.length === 0 ? undefined : payload.toString('utf8'), { abortEarly: true })
  return parsed.success ? use(parsed.output) : undefined
}
