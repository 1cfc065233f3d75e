import { createHash } from 'node:crypto'
import * as v from 'valibot'
import { formatSchemaIssue, schemaIssues } from '../lib/schema-issues.ts'
import { utcTime } from './metadata-schema.ts'
import { OtaError } from './ota-error.ts'
import { parseStrictJson } from './strict-json.ts'

/** Which model a group should run, as the target `desired/<group>.json` says it. */
const desiredSchema = v.strictObject({
  /** The target path of an approved model. */
  model: v.pipe(
    v.string(),
    v.maxLength(200),
    v.regex(/^models\/[^/]+\/[^/]+\/manifest\.json$/, 'the manifest of a model'),
  ),
  /** How many of the group's devices, in 0..100 with at most two decimal places. */
  percent: v.pipe(
    v.number(),
    v.minValue(0),
    v.maxValue(100),
    v.check((percent) => Number(percent.toFixed(2)) === percent, 'a number with at most two decimal places'),
  ),
  /** New for each rollout, so that the same devices are not always the first. */
  salt: v.pipe(v.string(), v.minLength(1), v.maxLength(64)),
  /** UTC; not before it. In milliseconds since 1970 once parsed. */
  from: utcTime,
  /** While true, devices that have not begun wait. */
  hold: v.optional(v.boolean(), false),
})
export type Desired = v.InferOutput<typeof desiredSchema>

/** What a device does about it: `yes`, or why not. */
export type RolloutVerdict = 'yes' | 'held' | 'not_yet' | 'not_in_percent'

const maxDesiredBytes = 4096
/** A bucket is a hundredth of a percent. */
const buckets = 10_000

/** The content of a target `desired/<group>.json`, verified before. Throws an OtaError `too_large` or `malformed`. */
export function parseDesired(bytes: Uint8Array, path: string): Desired {
  const json = parseStrictJson(bytes, path, { maxBytes: maxDesiredBytes })
  const result = v.safeParse(desiredSchema, json)
  if (result.success) return result.output
  throw new OtaError(
    'malformed',
    path,
    schemaIssues(result.issues)
      .map((issue) => formatSchemaIssue(issue))
      .join('; '),
  )
}

/** Whether a device takes part. Sticky: with a growing percent devices only join. */
export function decideRollout(desired: Desired, deviceId: string, nowMs: number): RolloutVerdict {
  if (desired.hold) return 'held'
  if (nowMs < desired.from) return 'not_yet'
  return bucketOf(desired.salt, deviceId) < Math.round((desired.percent * buckets) / 100) ? 'yes' : 'not_in_percent'
}

/** The first 32 bits of sha256(salt, NUL, device id), modulo 10,000; the NUL keeps two pairs from making one text. */
export function bucketOf(salt: string, deviceId: string): number {
  return createHash('sha256').update(`${salt}\0${deviceId}`).digest().readUInt32BE() % buckets
}
