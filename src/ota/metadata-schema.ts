import * as v from 'valibot'
import { isJsonObject } from '../lib/json.ts'
import { isKeyId, keyFault } from './keys.ts'

/**
 * The form of TUF metadata (specification 1.0, section 4), narrower where its text leaves room. Fields that it doesn't know
 * may be there: they are signed along, and nobody looks at them.
 */

export const topRoles = ['root', 'timestamp', 'snapshot', 'targets'] as const
export type TopRole = (typeof topRoles)[number]

/** Also the most that a signature can be of use for: a role has no more keys. */
const maxSignatures = 32

/**
 * The most entries of an object. The library (@tufjs/models 5) copies an object anew for each of its entries, when it reads
 * metadata and again for each signature that it checks: on a PC a snapshot of 64 KiB took 3 s, 2000 targets take 1 s. Paths
 * as long as ours leave no room for more of those.
 */
const most = { meta: 1000, targets: 2000, keys: maxSignatures ** 2, roles: maxSignatures } as const

function atMost<T extends object>(count: number) {
  return v.check<T, string>((entries) => Object.keys(entries).length <= count, `at most ${count} entries`)
}

const hex = (digits: number) =>
  v.pipe(v.string(), v.regex(new RegExp(`^[0-9a-f]{${digits}}$`), `${digits} lower-case hexadecimal digits`))
const version = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(2 ** 31 - 1))
const length = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(Number.MAX_SAFE_INTEGER))

/** Milliseconds since 1970. Other forms that Date reads differ between readers, and one that it can't read never passes. */
export const utcTime = v.pipe(
  v.string(),
  v.check(
    (text) => /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(text) && isDate(text),
    'a date and time of the form 2030-01-31T00:00:00Z',
  ),
  v.transform((text) => Date.parse(text)),
)

function isDate(text: string): boolean {
  const ms = Date.parse(text)
  return !Number.isNaN(ms) && new Date(ms).toISOString() === text.replace('Z', '.000Z')
}

/** Digests that nobody checks would be promises that nobody keeps. */
const hashes = v.strictObject({ sha256: hex(64), sha512: v.optional(hex(128)) })

const metaFile = v.object({ version, length: v.optional(length), hashes: v.optional(hashes) })

const key = v.pipe(
  v.looseObject({
    keytype: v.string(),
    scheme: v.string(),
    keyval: v.objectWithRest({ public: v.string() }, v.string()),
  }),
  v.rawCheck(({ dataset, addIssue }) => {
    const fault = dataset.typed ? keyFault(dataset.value) : undefined
    if (fault !== undefined) addIssue({ message: `a key that can be trusted, not ${fault}` })
  }),
)

const keys = v.pipe(
  v.record(hex(64), key),
  atMost(most.keys),
  v.check(
    (byId) => Object.entries(byId).every(([id, fields]) => isKeyId(id, fields)),
    'keys whose ids are their digests',
  ),
)

const roleFields = {
  keyids: v.pipe(
    v.array(hex(64)),
    v.maxLength(maxSignatures),
    v.check((ids) => new Set(ids).size === ids.length, 'key ids that differ'),
  ),
  threshold: v.pipe(v.number(), v.integer(), v.minValue(1)),
}
const isReachable = ({ keyids, threshold }: { keyids: readonly string[]; threshold: number }) =>
  threshold <= keyids.length
const reachable = 'a threshold of at most the number of its keys'
const role = v.pipe(
  v.object(roleFields),
  v.check((fields) => isReachable(fields), reachable),
)

const delegatedRole = v.pipe(
  v.looseObject({
    ...roleFields,
    name: v.pipe(v.string(), v.minLength(1), v.maxLength(200)),
    terminating: v.boolean(),
    paths: v.array(v.pipe(v.string(), v.maxLength(1000))),
  }),
  v.check((fields) => isReachable(fields), reachable),
  v.check(({ name }) => !topRoles.some((top) => top === name), 'a role with a name of its own'),
  v.check((fields) => !('path_hash_prefixes' in fields), 'a delegation by paths: path_hash_prefixes are not supported'),
)

const delegations = v.pipe(
  v.looseObject({ keys, roles: v.optional(v.pipe(v.array(delegatedRole), v.maxLength(maxSignatures)), []) }),
  v.check((fields) => !('succinct_roles' in fields), 'delegations by paths: succinct_roles are not supported'),
  v.check(({ roles }) => new Set(roles.map(({ name }) => name)).size === roles.length, 'roles whose names differ'),
)

const target = v.object({ length, hashes, custom: v.optional(v.unknown()) })

const common = {
  spec_version: v.pipe(v.string(), v.regex(/^1\.\d{1,4}(\.\d{1,4})?$/, 'version 1 of the specification')),
  version,
  expires: utcTime,
}

export const signedSchemas = {
  root: v.object({
    _type: v.literal('root'),
    ...common,
    // Without it a device that reads while the repository is written gets parts that don't fit.
    consistent_snapshot: v.literal(true),
    keys,
    roles: v.pipe(v.looseObject({ root: role, timestamp: role, snapshot: role, targets: role }), atMost(most.roles)),
  }),
  timestamp: v.object({ _type: v.literal('timestamp'), ...common, meta: v.object({ 'snapshot.json': metaFile }) }),
  snapshot: v.object({
    _type: v.literal('snapshot'),
    ...common,
    meta: v.pipe(v.record(v.string(), metaFile), atMost(most.meta)),
  }),
  targets: v.object({
    _type: v.literal('targets'),
    ...common,
    targets: v.pipe(v.record(v.string(), target), atMost(most.targets)),
    delegations: v.optional(delegations),
  }),
}

export const envelopeSchema = v.object({
  signed: v.custom<{ [key: string]: unknown }>(isJsonObject, 'an object'),
  signatures: v.pipe(
    v.array(v.object({ keyid: v.string(), sig: v.string() })),
    v.maxLength(maxSignatures),
    v.check((all) => new Set(all.map(({ keyid }) => keyid)).size === all.length, 'one signature of each key'),
  ),
})

export type MetaFile = v.InferOutput<typeof metaFile>
export type RoleFields = v.InferOutput<typeof role>
export type KeysFields = v.InferOutput<typeof keys>
