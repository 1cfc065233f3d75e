import * as v from 'valibot'
import { deviceIdSchema } from '../../config/schema.ts'
import { metricEntries } from '../../core/metrics.ts'
import { currentSchema, eventSchema, infoSchema, stateSchema, statusSchema } from '../../mqtt/messages.ts'
import { printable } from '../text.ts'

/**
 * What `sightd watch` reads of what devices say. They may be older or newer than we are, so fields that we don't know
 * don't matter, and of those that we do, most may be missing. Whoever may publish there may be no friend.
 */

const version = stateSchema.entries.v
const { ts, status, reason, model, fps, governor, outbox, mqtt, settings } = stateSchema.entries
const { temp_c, inference_ms_p50, undervoltage } = metricEntries
const event = eventSchema.entries

const about = <K extends string, S extends v.GenericSchema>(kind: K, schema: S) =>
  v.object({
    kind: v.literal(kind),
    /** Undefined stands for an empty message, which takes a retained one away. */
    value: v.optional(schema),
  })

const saidSchema = v.variant('kind', [
  about('status', statusSchema),
  about('info', v.object({ v: version, name: infoSchema.entries.name })),
  about(
    'state',
    v.object({
      v: version,
      ts,
      status,
      ...v.partial(
        v.object({
          reason,
          model: v.nullable(v.object(model.wrapped.entries)),
          fps,
          governor: v.object(governor.entries),
          outbox: v.object(outbox.entries),
          mqtt: v.object(mqtt.entries),
          settings: v.object(settings.entries),
        }),
      ).entries,
    }),
  ),
  about('current', v.object({ v: version, ts, summary: currentSchema.entries.summary })),
  about(
    'event',
    v.object({
      v: version,
      ts,
      type: event.type,
      event_id: event.event_id,
      seq: event.seq,
      label: event.label,
      score: event.score,
      start: event.start,
      ...v.partial(
        v.object({ zones: event.zones, end: event.end, end_reason: event.end_reason, replayed: event.replayed }),
      ).entries,
    }),
  ),
  about(
    'metrics',
    v.object({ v: version, ts, ...v.partial(v.object({ temp_c, inference_ms_p50, undervoltage })).entries }),
  ),
])

/** What a message says. */
export type Said = v.InferOutput<typeof saidSchema>
export type SaidOf<K extends Said['kind']> = NonNullable<Extract<Said, { kind: K }>['value']>

export type Heard =
  | {
      readonly id: string
      readonly said: Said /** All of it, as JSON; `null` when it is empty. */
      readonly json: string
    }
  /** Why nothing can be made of it. */
  | { readonly problem: string }

export const watchedKinds = ['status', 'info', 'state', 'current', 'event', 'metrics'] as const

/** Makes something of a message; never throws. */
export function readMessage(topic: string, payload: Buffer, baseTopic: string): Heard {
  const own = topic.startsWith(`${baseTopic}/`) ? topic.slice(baseTopic.length + 1) : ''
  const [id = '', kind = '', ...rest] = own.split('/', 3)
  if (!v.is(deviceIdSchema, id) || !v.is(v.picklist(watchedKinds), kind) || rest.length > 0)
    return { problem: 'not a topic of a device' }
  const isEmpty = payload.length === 0
  const value = isEmpty ? null : kind === 'status' ? payload.toString('utf8') : parseJson(payload)
  if (value === undefined) return { problem: 'not JSON' }
  const json = writeJson(value)
  if (json === undefined) return { problem: 'nested too deep' }
  const said = v.safeParse(saidSchema, isEmpty ? { kind } : { kind, value }, { abortEarly: true })
  return said.success ? { id, said: said.output, json } : { problem: describeIssue(said.issues[0]) }
}

/** In the parser's own words: those for configurations take long for what is long. */
function describeIssue(issue: v.BaseIssue<unknown>): string {
  // All of it is below `value`.
  const path = (v.getDotPath(issue) ?? '').split('.').slice(1).join('.')
  return printable(path === '' ? issue.message : `${path}: ${issue.message}`)
}

/** Undefined for what is no JSON. */
function parseJson(payload: Buffer): unknown {
  try {
    return JSON.parse(payload.toString('utf8'))
  } catch {
    return undefined
  }
}

/** Undefined for what is nested deeper than can be written: reading goes deeper. */
function writeJson(value: unknown): string | undefined {
  try {
    return JSON.stringify(value)
  } catch {
    return undefined
  }
}
