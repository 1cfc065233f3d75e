import { isDeepStrictEqual } from 'node:util'
import { Key, Metadata, MetadataKind } from '@tufjs/models'
import * as v from 'valibot'
import { describeError } from '../core/errors.ts'
import { formatSchemaIssue, schemaIssues } from '../lib/schema-issues.ts'
import { isSignatureForm, keyMaterial } from './keys.ts'
import {
  envelopeSchema,
  type KeysFields,
  type MetaFile,
  type RoleFields,
  signedSchemas,
  type TopRole,
} from './metadata-schema.ts'
import { OtaError } from './ota-error.ts'
import { type JsonValue, parseStrictJson } from './strict-json.ts'

/** The most bytes of each kind; a delegated role is of the kind `targets`. */
export const maxMetadataBytes = { root: 65_536, timestamp: 16_384, snapshot: 65_536, targets: 262_144 } as const

/** Who may sign for a role, and how many of them have to. */
export type Signers = { readonly keyIds: readonly string[]; readonly threshold: number; readonly keys: readonly Key[] }

type Common = { readonly version: number; readonly expiresMs: number }
export type Root = Common & { readonly signers: Readonly<Record<TopRole, Signers>> }
export type Timestamp = Common & { readonly snapshot: MetaFile }
export type Snapshot = Common & { readonly meta: ReadonlyMap<string, MetaFile> }
export type Targets = Common & {
  readonly targets: ReadonlyMap<string, TargetFields>
  readonly delegations: readonly Delegation[]
}
export type TargetFields = { readonly length: number; readonly sha256: string; readonly custom: unknown }
export type Delegation = {
  readonly name: string
  readonly signers: Signers
  readonly paths: readonly string[]
  readonly terminating: boolean
}

type Kinds = { root: Root; timestamp: Timestamp; snapshot: Snapshot; targets: Targets }
type Model = Pick<Metadata<Parameters<Metadata<never>['verifyDelegate']>[1]['signed']>, 'signed' | 'signatures'>

/** Metadata that has the right form. What it says is had only by who names the signers, and when enough of them signed. */
export class SignedMetadata<T extends Common> {
  readonly #content: T
  readonly #model: Model
  readonly #what: string

  constructor(content: T, model: Model, what: string) {
    this.#content = content
    this.#model = model
    this.#what = what
  }

  /** The content; `signers` may be found in it, for a root that signs itself. Throws an OtaError `unsigned`. */
  verifiedBy(signers: Signers | ((content: T) => Signers)): T {
    const { keys, threshold } = typeof signers === 'function' ? signers(this.#content) : signers
    // By what a key is, not by its id: two ids of one key are one signer.
    const good = new Set(keys.filter((key) => this.#isSignedBy(key)).map((key) => keyMaterial(fieldsOf(key))))
    if (good.size < threshold)
      throw new OtaError('unsigned', this.#what, `${good.size} valid signatures, ${threshold} are needed`)
    return this.#content
  }

  #isSignedBy(key: Key): boolean {
    const signature = this.#model.signatures[key.keyID]
    const fields = fieldsOf(key)
    if (signature === undefined || !isSignatureForm(fields, signature.sig)) return false
    if (keyMaterial(fields) === undefined) return false
    try {
      key.verifySignature(this.#model)
      return true
    } catch {
      return false
    }
  }
}

/** Metadata of one kind; `what` names it in errors. Throws an OtaError `too_large` or `malformed`. */
export function parseMetadata<K extends TopRole>(kind: K, bytes: Uint8Array, what: string): SignedMetadata<Kinds[K]> {
  const json = parseStrictJson(bytes, what, { maxBytes: maxMetadataBytes[kind] })
  const { signed } = parse(envelopeSchema, json, what)
  return new SignedMetadata(contentOf[kind](signed, what), modelOf(kind, json, signed, what), what)
}

/** How each kind is read, its form checked on the way. */
const contentOf: { readonly [K in TopRole]: (signed: unknown, what: string) => Kinds[K] } = {
  root: (signed, what) => {
    const { version, expires, keys, roles } = parse(signedSchemas.root, signed, what)
    return {
      version,
      expiresMs: expires,
      signers: {
        root: signersOf(roles.root, keys),
        timestamp: signersOf(roles.timestamp, keys),
        snapshot: signersOf(roles.snapshot, keys),
        targets: signersOf(roles.targets, keys),
      },
    }
  },
  timestamp: (signed, what) => {
    const { version, expires, meta } = parse(signedSchemas.timestamp, signed, what)
    return { version, expiresMs: expires, snapshot: meta['snapshot.json'] }
  },
  snapshot: (signed, what) => {
    const { version, expires, meta } = parse(signedSchemas.snapshot, signed, what)
    return { version, expiresMs: expires, meta: new Map(Object.entries(meta)) }
  },
  targets: (signed, what) => {
    const { version, expires, targets, delegations } = parse(signedSchemas.targets, signed, what)
    const entries = Object.entries(targets).map(([path, { length, hashes, custom }]) => {
      return [path, { length, sha256: hashes.sha256, custom }] as const
    })
    return {
      version,
      expiresMs: expires,
      targets: new Map(entries),
      delegations: (delegations?.roles ?? []).map(({ name, paths, terminating, ...role }) => {
        return { name, paths, terminating, signers: signersOf(role, delegations?.keys ?? {}) }
      }),
    }
  },
}

function parse<S extends v.GenericSchema>(schema: S, input: unknown, what: string): v.InferOutput<S> {
  const result = v.safeParse(schema, input, { abortEarly: true })
  if (result.success) return result.output
  const issues = schemaIssues(result.issues).map((issue) => formatSchemaIssue(issue).slice(0, 300))
  throw new OtaError('malformed', what, issues.join('; '))
}

/** Keys that the role names and nobody gave are signers that never sign. */
function signersOf({ keyids, threshold }: RoleFields, keys: KeysFields): Signers {
  const known = keyids.flatMap((keyID) => {
    const fields = keys[keyID]
    if (fields === undefined) return []
    return [new Key({ keyID, keyType: fields.keytype, scheme: fields.scheme, keyVal: fields.keyval })]
  })
  return { keyIds: keyids, threshold, keys: known }
}

function fieldsOf({ keyType, scheme, keyVal }: Key) {
  return { keytype: keyType, scheme, keyval: { ...keyVal, public: keyVal['public'] ?? '' } }
}

const modelsOf: { readonly [K in TopRole]: (json: { [key: string]: JsonValue }) => Model } = {
  root: (json) => Metadata.fromJSON(MetadataKind.Root, json),
  timestamp: (json) => Metadata.fromJSON(MetadataKind.Timestamp, json),
  snapshot: (json) => Metadata.fromJSON(MetadataKind.Snapshot, json),
  targets: (json) => Metadata.fromJSON(MetadataKind.Targets, json),
}

/** The library's view of it, which it checks signatures on; it writes that anew, so that has to be all and only what came. */
function modelOf(kind: TopRole, json: JsonValue, signed: unknown, what: string): Model {
  if (typeof json !== 'object' || json === null || Array.isArray(json))
    throw new OtaError('malformed', what, 'it is no object')
  try {
    const model = modelsOf[kind](json)
    if (isDeepStrictEqual(model.signed.toJSON(), signed)) return model
  } catch (error) {
    throw new OtaError('malformed', what, describeError(error))
  }
  throw new OtaError('malformed', what, 'it has fields that would be lost when its signatures are checked')
}
