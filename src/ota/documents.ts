import { isDeepStrictEqual } from 'node:util'
import * as v from 'valibot'
import { isJsonObject } from '../lib/json.ts'
import { parseStrictJson } from './strict-json.ts'

/**
 * Metadata as who signs it sees it: the signed part word for word, fields that we don't know included. It is for bytes that
 * a TrustedSet has taken; for a device there is metadata.ts.
 */

const key = v.looseObject({
  keytype: v.string(),
  scheme: v.string(),
  keyval: v.objectWithRest({ public: v.string() }, v.string()),
})
const keys = v.record(v.string(), key)
const role = v.looseObject({ keyids: v.array(v.string()), threshold: v.number() })
const metaFile = v.looseObject({ version: v.number() })
const target = v.looseObject({
  length: v.number(),
  hashes: v.looseObject({ sha256: v.string() }),
  custom: v.optional(v.unknown()),
})
const delegatedRole = v.looseObject({
  name: v.string(),
  keyids: v.array(v.string()),
  threshold: v.number(),
  terminating: v.boolean(),
  paths: v.array(v.string()),
})
const common = { spec_version: v.string(), version: v.number(), expires: v.string() }

const days = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(3650))
const lifetimes = v.strictObject({ root: days, targets: days, deploy: days, snapshot: days, timestamp: days })

const root = v.looseObject({
  _type: v.literal('root'),
  ...common,
  consistent_snapshot: v.boolean(),
  keys,
  roles: v.looseObject({ root: role, timestamp: role, snapshot: role, targets: role }),
  /** Ours: how many days each role's metadata lasts. */
  'x-sightd-days': v.optional(lifetimes),
})
const targets = v.looseObject({
  _type: v.literal('targets'),
  ...common,
  targets: v.record(v.string(), target),
  delegations: v.optional(v.looseObject({ keys, roles: v.array(delegatedRole) })),
  /** Ours: folders of models that were approved once and never will be again. */
  'x-sightd-revoked': v.optional(v.array(v.string())),
})
const snapshot = v.looseObject({ _type: v.literal('snapshot'), ...common, meta: v.record(v.string(), metaFile) })
const timestamp = v.looseObject({ _type: v.literal('timestamp'), ...common, meta: v.record(v.string(), metaFile) })

const schemas = { root, targets, snapshot, timestamp }
const signatures = v.array(v.strictObject({ keyid: v.string(), sig: v.string() }))

export type RootDocument = v.InferOutput<typeof root>
export type TargetsDocument = v.InferOutput<typeof targets>
export type SnapshotDocument = v.InferOutput<typeof snapshot>
export type TimestampDocument = v.InferOutput<typeof timestamp>
export type RoleKeys = { readonly keyids: readonly string[]; readonly threshold: number }
export type PublicKey = v.InferOutput<typeof key>
export type Lifetimes = v.InferOutput<typeof lifetimes>
export type Signature = v.InferOutput<typeof signatures>[number]
export type Envelope<T> = { readonly signed: T; readonly signatures: readonly Signature[] }

export const publicKeySchema = key
export const targetsSchema = targets
export const rootSchema = root
export const signaturesSchema = signatures

export const specVersion = '1.0.31'
export const defaultLifetimes: Lifetimes = { root: 365, targets: 180, deploy: 30, snapshot: 30, timestamp: 7 }
export const lifetimesOf = (document: RootDocument): Lifetimes => document['x-sightd-days'] ?? defaultLifetimes

export type DocumentKind = keyof typeof schemas
type Documents = {
  root: RootDocument
  targets: TargetsDocument
  snapshot: SnapshotDocument
  timestamp: TimestampDocument
}

const parsers: { readonly [K in DocumentKind]: (signed: unknown) => Documents[K] } = {
  root: (signed) => v.parse(root, signed),
  targets: (signed) => v.parse(targets, signed),
  snapshot: (signed) => v.parse(snapshot, signed),
  timestamp: (signed) => v.parse(timestamp, signed),
}

/** The signed part of metadata that was verified before. */
export function documentOf<K extends DocumentKind>(kind: K, bytes: Uint8Array): Documents[K] {
  const json = parseStrictJson(bytes, kind, { maxBytes: bytes.length })
  return parsers[kind](isJsonObject(json) ? json['signed'] : undefined)
}

export const bytesOf = (envelope: Envelope<unknown>): Uint8Array => Buffer.from(`${JSON.stringify(envelope)}\n`)

/** What is signed of a document: OLPC's canonical JSON (specification 4.2), which knows whole numbers only. */
export function canonicalJson(value: unknown): string {
  if (typeof value === 'string') return `"${value.replace(/[\\"]/g, '\\$&')}"`
  if (typeof value === 'number' && !Number.isSafeInteger(value))
    throw new Error(`canonical JSON has no number ${value}`)
  if (value === null || typeof value === 'number' || typeof value === 'boolean') return String(value)
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`
  if (!isJsonObject(value)) throw new Error(`canonical JSON has no ${typeof value}`)
  const entries = Object.entries(value).filter(([, part]) => part !== undefined)
  return `{${entries
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, part]) => `${canonicalJson(name)}:${canonicalJson(part)}`)
    .join(',')}}`
}

/** The form in which metadata has its times: seconds, UTC. */
export const utcText = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`

export const isSame = (a: unknown, b: unknown): boolean => isDeepStrictEqual(a, b)
