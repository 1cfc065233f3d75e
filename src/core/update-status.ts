import * as v from 'valibot'

/** How updates of the model stand, as the updater tells it and the `update` topic carries it. */

const text = v.pipe(v.string(), v.minLength(1))
const count = v.pipe(v.number(), v.integer(), v.minValue(0))
const ms = v.pipe(v.number(), v.minValue(0))
const timestamp = v.pipe(v.string(), v.isoTimestamp())

const modelSchema = v.strictObject({ name: text, version: text })

export const updatePhases = [
  /** Nothing to do until the next look. */
  'idle',
  'check',
  /** For the maintenance window, or for somebody's consent. */
  'waiting',
  'download',
  'self_test',
  'shadow',
  /** It is in charge, on probation. */
  'trial',
] as const

/** Why an update ended; docs/ota.md says what each means. */
export const outcomeCodes = [
  'done',
  'cancelled',
  'rolled_back_by_command',
  'incompatible',
  'downgrade',
  'revoked',
  'malformed',
  'too_large',
  'no_space',
  'storage',
  'store_failed',
  'model_invalid',
  'golden_mismatch',
  'bad_output',
  'died',
  'hung',
  'memory',
  'slow',
  'constant',
  'mqtt_lost',
  'inconclusive',
  'loop',
] as const
export type OutcomeCode = (typeof outcomeCodes)[number]

export const updateOutcomes = ['committed', 'rolled_back', 'refused', 'failed', 'cancelled'] as const

export const updateOutcomeSchema = v.strictObject({
  model: modelSchema,
  outcome: v.picklist(updateOutcomes),
  /** A word for programs; docs/ota.md lists them. */
  code: text,
  /** In words. */
  reason: text,
  ts: timestamp,
})

export const updateStatusSchema = v.strictObject({
  /** Whether there is anywhere to look for updates. */
  enabled: v.boolean(),
  phase: v.picklist(updatePhases),
  active: v.nullable(modelSchema),
  /** What a rollback by command would go back to. */
  previous: v.nullable(modelSchema),
  candidate: v.nullable(modelSchema),
  /** What the phase has done of itself, 0..100; null where that can't be told. */
  percent: v.nullable(v.pipe(v.number(), v.minValue(0), v.maxValue(100))),
  /** What it waits for, or what went wrong at the last look, in words. */
  reason: v.nullable(text),
  paused: v.boolean(),
  /** Whether the candidate waits for `install_update`. */
  needs_consent: v.boolean(),
  group: v.nullable(text),
  /** What the group's rollout says for this device: `yes`, `held`, `not_yet`, `not_in_percent`; null while nothing is known. */
  rollout: v.nullable(v.picklist(['yes', 'held', 'not_yet', 'not_in_percent'])),
  /** Versions of the metadata that is trusted. */
  metadata: v.nullable(
    v.strictObject({
      root: count,
      timestamp: v.nullable(count),
      snapshot: v.nullable(count),
      targets: v.nullable(count),
    }),
  ),
  /** Why nothing new may be installed, in words: metadata has expired. */
  stale: v.nullable(text),
  /** What the shadow run has seen; null before one. */
  shadow: v.nullable(v.strictObject({ frames: count, agreement: v.number(), active_ms: ms, candidate_ms: ms })),
  /** How the newest update that came to an end did. */
  last: v.nullable(updateOutcomeSchema),
  checked: v.nullable(timestamp),
})

export type UpdateStatus = v.InferOutput<typeof updateStatusSchema>
export type UpdateOutcome = v.InferOutput<typeof updateOutcomeSchema>

/** Of a device that has nowhere to look. */
export const updatesOff: UpdateStatus = {
  enabled: false,
  phase: 'idle',
  active: null,
  previous: null,
  candidate: null,
  percent: null,
  reason: null,
  paused: false,
  needs_consent: false,
  group: null,
  rollout: null,
  metadata: null,
  stale: null,
  shadow: null,
  last: null,
  checked: null,
}

/** What people and programs may ask of updates. Each throws a SightdError `update_refused` that says why not. */
export type UpdateControl = {
  /** Looks now. */
  check(): Promise<void>
  /** Looks soon if the repository has a newer timestamp than is trusted; `version` carries no trust. */
  hint(version: number): void
  /** Lets a candidate in that waits for the window or for consent. */
  install(): Promise<void>
  /** Gives up the candidate that is under way; one that is in charge is rolled back. */
  cancel(): Promise<void>
  pause(): Promise<void>
  resume(): Promise<void>
  /** Forgets that a model failed, and looks again. */
  retry(): Promise<void>
  /** Goes back to the model before. */
  rollback(): Promise<void>
}
