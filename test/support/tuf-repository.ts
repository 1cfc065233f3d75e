import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, sign } from 'node:crypto'
import { type MetadataTransport, TufClient } from '../../src/ota/client.ts'
import { keyIdOf } from '../../src/ota/keys.ts'
import { OtaError } from '../../src/ota/ota-error.ts'
import type { JsonValue } from '../../src/ota/strict-json.ts'
import type { MetadataStore, StoredRole } from '../../src/ota/trusted-store.ts'

/**
 * A signed TUF repository in memory, easy to make wrong: the signed parts are JSON that a test changes before it publishes,
 * and `files` are bytes that it changes after. It writes canonical JSON itself, so that it can sign what no library would.
 */

export type Json = { [key: string]: JsonValue }
export type Signer = { readonly id: string; readonly key: Json; readonly sign: (bytes: Uint8Array) => string }
type RoleJson = { keyids: string[]; threshold: number; [key: string]: JsonValue }
type Common = { version: number; expires: string; [key: string]: JsonValue }
type RootJson = Common & { keys: { [id: string]: Json }; roles: { [name: string]: RoleJson } }
type MetaJson = Common & { meta: { [name: string]: Json } }
type DelegatedJson = RoleJson & { name: string; terminating: boolean }
type TargetsJson = Common & {
  targets: { [path: string]: Json }
  delegations?: { keys: { [id: string]: Json }; roles: DelegatedJson[]; [key: string]: JsonValue }
}

/** The day on which tests take place. */
export const todayMs = Date.parse('2030-06-01T00:00:00Z')
export const day = (days: number) => `${new Date(todayMs + days * 86_400_000).toISOString().slice(0, 19)}Z`

/** RFC 8410's PKCS #8 form around a seed, for keys that are the same in each run. */
const pkcs8Head = Buffer.from('302e020100300506032b657004220420', 'hex')

const ed25519Signers = new Map<string, Signer>()

/** The same for the same name. */
export function ed25519Signer(name: string): Signer {
  const made = ed25519Signers.get(name) ?? makeEd25519Signer(name)
  ed25519Signers.set(name, made)
  return made
}

function makeEd25519Signer(name: string): Signer {
  const seed = createHash('sha256').update(name).digest()
  const secret = createPrivateKey({ key: Buffer.concat([pkcs8Head, seed]), format: 'der', type: 'pkcs8' })
  const { x = '' } = createPublicKey(secret).export({ format: 'jwk' })
  const hex = Buffer.from(x, 'base64url').toString('hex')
  return signerOf('ed25519', 'ed25519', hex, (bytes) => sign(null, bytes, secret).toString('hex'))
}

export function ecdsaSigner(): Signer {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
  const pem = publicKey.export({ format: 'pem', type: 'spki' }).toString()
  return signerOf('ecdsa', 'ecdsa-sha2-nistp256', pem, (bytes) => sign('sha256', bytes, privateKey).toString('hex'))
}

export function signerOf(keytype: string, scheme: string, publicValue: string, make: Signer['sign']): Signer {
  const key = { keytype, scheme, keyval: { public: publicValue } }
  return { id: keyIdOf(key), key, sign: make }
}

export const bytesOf = (json: JsonValue) => Buffer.from(JSON.stringify(json))

/** A signed part and its signatures. */
export function signed(part: JsonValue, signers: readonly Signer[]): Json & { signatures: Json[] } {
  const bytes = Buffer.from(canonical(part))
  return { signed: part, signatures: signers.map(({ id, sign }) => ({ keyid: id, sig: sign(bytes) })) }
}

function canonical(value: JsonValue): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (typeof value === 'string') return `"${value.replace(/[\\"]/g, '\\$&')}"`
  if (typeof value !== 'object' || value === null) return String(value)
  const entries = Object.keys(value).sort()
  return `{${entries.map((key) => `${canonical(key)}:${canonical(value[key] ?? null)}`).join(',')}}`
}

const digests = (bytes: Uint8Array) => ({ sha256: createHash('sha256').update(bytes).digest('hex') })

export class TufRepository implements MetadataTransport {
  readonly files = new Map<string, Uint8Array>()
  /** Names in the order in which they were asked for. */
  readonly asked: string[] = []
  readonly signers: { [role: string]: Signer[] } = {}
  readonly root: RootJson
  readonly timestamp: MetaJson
  readonly snapshot: MetaJson
  readonly targets: TargetsJson
  readonly delegated = new Map<string, TargetsJson>()
  /** Whether lengths and digests are told beside versions. */
  tellsHashes = true

  constructor(signer: (name: string) => Signer = ed25519Signer) {
    const common = (_type: string) => ({ _type, spec_version: '1.0.31', version: 1, expires: day(30) })
    this.root = { ...common('root'), consistent_snapshot: true, keys: {}, roles: {} }
    this.timestamp = { ...common('timestamp'), meta: {} }
    this.snapshot = { ...common('snapshot'), meta: {} }
    this.targets = { ...common('targets'), targets: {} }
    for (const role of ['root', 'timestamp', 'snapshot', 'targets']) this.setRole(role, [signer(role)])
    this.publishRoot()
    this.publish()
  }

  /** Who signs for a top role, in the next root and from now on. */
  setRole(role: string, signers: Signer[], threshold = 1): void {
    this.signers[role] = signers
    this.root.roles[role] = { keyids: signers.map(({ id }) => id), threshold }
    for (const { id, key } of signers) this.root.keys[id] = structuredClone(key)
  }

  /** A role that `by` delegates to, for paths. */
  delegate(name: string, paths: string[], { by = 'targets', terminating = true, signer = ed25519Signer(name) } = {}) {
    const delegator = this.#targetsOf(by)
    delegator.delegations ??= { keys: {}, roles: [] }
    delegator.delegations.keys[signer.id] = structuredClone(signer.key)
    const role: DelegatedJson = { name, paths, terminating, keyids: [signer.id], threshold: 1 }
    delegator.delegations.roles.push(role)
    this.signers[name] = [signer]
    const made = { ...this.targets, version: 1, targets: {} }
    delete made.delegations
    if (!this.delegated.has(name)) this.delegated.set(name, made)
    return role
  }

  addTarget(path: string, content: string, { role = 'targets' } = {}): void {
    const bytes = Buffer.from(content)
    this.#targetsOf(role).targets[path] = { length: bytes.length, hashes: digests(bytes) }
  }

  publishRoot(signers: readonly Signer[] = this.#signersOf('root')): void {
    this.files.set(`${this.root.version}.root.json`, bytesOf(signed(this.root, signers)))
  }

  /** The next root, signed by the old and the new keys; `change` makes it what it is. */
  rotateRoot(change: () => void = () => {}): void {
    const old = this.#signersOf('root')
    this.root.version++
    change()
    this.publishRoot([...new Set([...old, ...this.#signersOf('root')])])
  }

  /** All but root, as it is now. */
  publish(): void {
    this.#put('targets', this.targets)
    for (const [name, json] of this.delegated) this.#put(name, json)
    this.publishSnapshot()
  }

  publishSnapshot(): void {
    const bytes = bytesOf(signed(this.snapshot, this.#signersOf('snapshot')))
    this.files.set(`${this.snapshot.version}.snapshot.json`, bytes)
    this.timestamp.meta['snapshot.json'] = this.#meta(this.snapshot.version, bytes)
    this.publishTimestamp()
  }

  publishTimestamp(): void {
    this.files.set('timestamp.json', bytesOf(signed(this.timestamp, this.#signersOf('timestamp'))))
  }

  /** A whole new release. */
  release(change: () => void = () => {}): void {
    for (const part of [this.targets, this.snapshot, this.timestamp, ...this.delegated.values()]) part.version++
    change()
    this.publish()
  }

  async metadata(name: string): Promise<Uint8Array | undefined> {
    this.asked.push(name)
    return this.files.get(name)
  }

  get firstRoot(): Uint8Array {
    return this.file('1.root.json')
  }

  file(name: string): Uint8Array {
    const bytes = this.files.get(name)
    if (bytes === undefined) throw new Error(`the repository has no ${name}`)
    return bytes
  }

  #put(role: string, json: TargetsJson): void {
    const bytes = bytesOf(signed(json, this.#signersOf(role)))
    this.files.set(`${json.version}.${encodeURIComponent(role)}.json`, bytes)
    this.snapshot.meta[`${role}.json`] = this.#meta(json.version, bytes)
  }

  #meta(version: number, bytes: Uint8Array): Json {
    return this.tellsHashes ? { version, length: bytes.length, hashes: digests(bytes) } : { version }
  }

  #signersOf(role: string): Signer[] {
    return this.signers[role] ?? []
  }

  #targetsOf(role: string): TargetsJson {
    const json = role === 'targets' ? this.targets : this.delegated.get(role)
    if (json === undefined) throw new Error(`the repository has no role ${role}`)
    return json
  }
}

/** What a device has stored, in memory. */
export class MemoryStore implements MetadataStore {
  readonly files = new Map<StoredRole, Uint8Array>()

  async read(role: StoredRole): Promise<Uint8Array | undefined> {
    return this.files.get(role)
  }

  async write(role: StoredRole, bytes: Uint8Array): Promise<void> {
    this.files.set(role, Uint8Array.from(bytes))
  }

  async remove(role: StoredRole): Promise<void> {
    this.files.delete(role)
  }

  /** `{ root: 1, timestamp: 3 }`. */
  get versions(): { [role: string]: number } {
    const version = (bytes: Uint8Array): number => JSON.parse(Buffer.from(bytes).toString()).signed.version
    return Object.fromEntries([...this.files].map(([role, bytes]) => [role, version(bytes)]))
  }
}

/** A device with a store, and a clock that a test may set. */
export class TufDevice {
  readonly store = new MemoryStore()
  readonly transport: MetadataTransport
  clockMs = todayMs
  floorMs = 0
  factoryRoot: Uint8Array

  constructor(transport: MetadataTransport, factoryRoot: Uint8Array) {
    this.transport = transport
    this.factoryRoot = factoryRoot
  }

  static of(repository: TufRepository): TufDevice {
    return new TufDevice(repository, repository.firstRoot)
  }

  /** As after a start: all that it knows comes from its store. */
  open(): Promise<TufClient> {
    const { store, transport, factoryRoot } = this
    return TufClient.open({
      store,
      transport,
      factoryRoot,
      clockMs: () => this.clockMs,
      floorMs: () => this.floorMs,
    })
  }

  /** How a start and a refresh end: `fresh`, `stale` or the reason for a refusal. */
  async refresh(): Promise<string> {
    return verdict(async () => (await (await this.open()).refresh(new AbortController().signal)).state)
  }

  /** Whose word a path is, after a start: a role, `nobody`, or the reason for a refusal. */
  async target(path: string): Promise<string> {
    return verdict(async () => (await (await this.open()).target(path, new AbortController().signal))?.role ?? 'nobody')
  }
}

async function verdict(work: () => Promise<string>): Promise<string> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof OtaError) return error.reason
    throw error
  }
}
