import { createHash } from 'node:crypto'
import {
  type Delegation,
  parseMetadata,
  type Root,
  type SignedMetadata,
  type Signers,
  type Snapshot,
  type Targets,
  type Timestamp,
} from './metadata.ts'
import type { MetaFile, TopRole } from './metadata-schema.ts'
import { OtaError } from './ota-error.ts'

type Parts = {
  readonly root: Root
  readonly timestamp?: Timestamp | undefined
  readonly snapshot?: Held<Snapshot> | undefined
  readonly targets?: Targets | undefined
  readonly delegated?: ReadonlyMap<string, SignedMetadata<Targets>>
}
type Held<T> = { readonly content: T; readonly bytes: Uint8Array }

/**
 * What a device trusts: a value that never changes, and that only verified metadata gets into. Each step of the client
 * workflow of the TUF specification 1.0 (section 5) is a method that returns the set with one more in it, or throws an
 * OtaError and has changed nothing. Times are in milliseconds since 1970: the start of the update, fixed (5.1).
 *
 * The `stored` steps take what this device has verified before, for which all holds but the date: an expired file still
 * remembers the versions below which nothing may fall (5.4.3, 5.5.5).
 */
export class TrustedSet {
  readonly #parts: Parts

  private constructor(parts: Parts) {
    this.#parts = parts
  }

  get root(): Root {
    return this.#parts.root
  }

  get timestamp(): Timestamp | undefined {
    return this.#parts.timestamp
  }

  get snapshot(): Snapshot | undefined {
    return this.#parts.snapshot?.content
  }

  get targets(): Targets | undefined {
    return this.#parts.targets
  }

  /** 5.2: the root that the device came with, or stored. It may be expired, and has to be signed by its own keys. */
  static fromRoot(bytes: Uint8Array): TrustedSet {
    const root = parseMetadata('root', bytes, 'root').verifiedBy(({ signers }) => signers.root)
    return new TrustedSet({ root })
  }

  /** 5.3.4 to 5.3.8: the next root. What was signed by keys of the one before has to prove itself again. */
  withRoot(bytes: Uint8Array): TrustedSet {
    const what = `${this.root.version + 1}.root`
    const signed = parseMetadata('root', bytes, what)
    // 5.3.4: as many keys of the trusted root as that asks for, and as many of its own as it asks for itself.
    signed.verifiedBy(this.root.signers.root)
    const root = signed.verifiedBy(({ signers }) => signers.root)
    // 5.3.5: exactly the next version.
    if (root.version !== this.root.version + 1)
      throw new OtaError('version_mismatch', what, `it says version ${root.version}`)
    return new TrustedSet({ root })
  }

  /**
   * 5.3.11: whether `next` takes a key from the timestamp or the snapshot role. Then what is stored of both is to be
   * forgotten, so that version numbers that an attacker drove up can come down again.
   */
  isRotatedIn({ root: next }: TrustedSet): boolean {
    const takesFrom = (old: Signers, now: Signers) => old.keyIds.some((id) => !now.keyIds.includes(id))
    const { timestamp, snapshot } = this.root.signers
    return takesFrom(timestamp, next.signers.timestamp) || takesFrom(snapshot, next.signers.snapshot)
  }

  /** 5.3.10, 5.4.4, 5.5.6, 5.6.5: freeze attack, for a part that is here already. Throws `expired`. */
  requireFresh(role: TopRole, nowMs: number): void {
    const part = this[role]
    if (part !== undefined) requireFresh(part, role, nowMs)
  }

  /** A timestamp stored before. */
  withStoredTimestamp(bytes: Uint8Array): TrustedSet {
    return this.#withTimestamp(this.#verifyTimestamp(bytes))
  }

  /** 5.4.2 to 5.4.4: a new timestamp. The set itself when it has that version already, whatever else the new one says. */
  withTimestamp(bytes: Uint8Array, nowMs: number): TrustedSet {
    const timestamp = this.#verifyTimestamp(bytes)
    const old = this.timestamp
    // 5.4.3.1: neither its own version may fall, nor (5.4.3.2) that of the snapshot.
    if (old !== undefined) requireNotBelow(timestamp.version, old.version, 'timestamp')
    if (timestamp.version === old?.version) return this
    // Also against the snapshot itself, should the old timestamp be lost.
    const seen = Math.max(old?.snapshot.version ?? 0, this.snapshot?.version ?? 0)
    requireNotBelow(timestamp.snapshot.version, seen, 'the snapshot in timestamp')
    // 5.4.4: freeze attack.
    requireFresh(timestamp, 'timestamp', nowMs)
    return this.#withTimestamp(timestamp)
  }

  /** True when the snapshot is the one that the timestamp names: nothing newer is known. */
  get isSnapshotCurrent(): boolean {
    const { timestamp, snapshot } = this.#parts
    if (timestamp === undefined || snapshot === undefined) return false
    return snapshot.content.version === timestamp.snapshot.version && fits(snapshot.bytes, timestamp.snapshot)
  }

  /** A snapshot stored before; it may be older than the timestamp. */
  withStoredSnapshot(bytes: Uint8Array): TrustedSet {
    return this.#withSnapshot({ content: this.#verifySnapshot(bytes), bytes })
  }

  /** 5.5.2 to 5.5.6: the snapshot that the timestamp names. */
  withSnapshot(bytes: Uint8Array, nowMs: number): TrustedSet {
    const named = this.timestamp?.snapshot
    if (named === undefined) throw new OtaError('missing', 'timestamp', 'no snapshot is taken without it')
    // 5.5.2: length and digests; 5.5.3: signatures.
    requireFit(bytes, named, 'snapshot')
    const snapshot = this.#verifySnapshot(bytes)
    // 5.5.4: mix and match.
    requireVersion(snapshot.version, named.version, 'snapshot')
    // 5.5.5: rollback of what it lists, or its silent end.
    for (const [name, { version }] of this.snapshot?.meta ?? []) {
      const listed = snapshot.meta.get(name)
      if (listed === undefined) throw new OtaError('rollback', 'snapshot', `it lists ${quote(name)} no more`)
      requireNotBelow(listed.version, version, `${quote(name)} in snapshot`)
    }
    // 5.5.6: freeze attack.
    requireFresh(snapshot, 'snapshot', nowMs)
    return this.#withSnapshot({ content: snapshot, bytes })
  }

  /** What the current snapshot says of a role's metadata. Throws `missing` when there is none, or it doesn't list the role. */
  listed(role: string): MetaFile {
    const listed = this.isSnapshotCurrent ? this.snapshot?.meta.get(`${role}.json`) : undefined
    if (listed === undefined) throw new OtaError('missing', quote(role), 'no current snapshot lists it')
    return listed
  }

  /** 5.6.2 to 5.6.4: the role `targets` that the snapshot names, whether expired or not. */
  withStoredTargets(bytes: Uint8Array): TrustedSet {
    const { root, timestamp, snapshot } = this.#parts
    const { signers } = root
    const targets = this.#verifyTargets(bytes, 'targets', signers.targets).verifiedBy(signers.targets)
    return new TrustedSet({ root, timestamp, snapshot, targets })
  }

  /** 5.6.2 to 5.6.5: the same, and not expired. */
  withTargets(bytes: Uint8Array, nowMs: number): TrustedSet {
    const next = this.withStoredTargets(bytes)
    next.requireFresh('targets', nowMs)
    return next
  }

  /** 5.6.7.2, with 5.6.2 to 5.6.4: a role that another one trusts for some paths. `delegated` checks its date (5.6.5). */
  withDelegated(bytes: Uint8Array, { name, signers }: Delegation): TrustedSet {
    const signed = this.#verifyTargets(bytes, name, signers)
    return new TrustedSet({ ...this.#parts, delegated: new Map([...(this.#parts.delegated ?? []), [name, signed]]) })
  }

  /** A role that is here and signed by whom this delegation trusts, which need not be the one that brought it. */
  delegated({ name, signers }: Delegation, nowMs: number): Targets | undefined {
    const targets = this.#parts.delegated?.get(name)?.verifiedBy(signers)
    if (targets !== undefined) requireFresh(targets, quote(name), nowMs)
    return targets
  }

  #verifyTimestamp(bytes: Uint8Array): Timestamp {
    return parseMetadata('timestamp', bytes, 'timestamp').verifiedBy(this.root.signers.timestamp)
  }

  #verifySnapshot(bytes: Uint8Array): Snapshot {
    return parseMetadata('snapshot', bytes, 'snapshot').verifiedBy(this.root.signers.snapshot)
  }

  #verifyTargets(bytes: Uint8Array, role: string, signers: Signers): SignedMetadata<Targets> {
    const named = this.listed(role)
    // 5.6.2: length and digests; 5.6.3: signatures; 5.6.4: mix and match.
    requireFit(bytes, named, quote(role))
    const signed = parseMetadata('targets', bytes, quote(role))
    requireVersion(signed.verifiedBy(signers).version, named.version, quote(role))
    return signed
  }

  #withTimestamp(timestamp: Timestamp): TrustedSet {
    const { root, snapshot } = this.#parts
    const next = new TrustedSet({ ...this.#parts, timestamp })
    // Targets of a snapshot that has been overtaken are no longer what the repository says.
    return next.isSnapshotCurrent ? next : new TrustedSet({ root, timestamp, snapshot })
  }

  #withSnapshot(snapshot: Held<Snapshot>): TrustedSet {
    const { root, timestamp } = this.#parts
    return new TrustedSet({ root, timestamp, snapshot })
  }
}

function requireFresh({ expiresMs }: { expiresMs: number }, what: string, nowMs: number): void {
  if (nowMs >= expiresMs) throw new OtaError('expired', what, `it expired ${new Date(expiresMs).toISOString()}`)
}

function requireNotBelow(version: number, seen: number, what: string): void {
  if (version < seen) throw new OtaError('rollback', what, `version ${version}, ${seen} was seen before`)
}

function requireVersion(version: number, named: number, what: string): void {
  if (version !== named) throw new OtaError('version_mismatch', what, `version ${version}, ${named} was named`)
}

function fits(bytes: Uint8Array, { length, hashes }: MetaFile): boolean {
  if (length !== undefined && bytes.length !== length) return false
  return Object.entries(hashes ?? {}).every(
    ([algorithm, digest]) => createHash(algorithm).update(bytes).digest('hex') === digest,
  )
}

function requireFit(bytes: Uint8Array, named: MetaFile, what: string): void {
  if (!fits(bytes, named)) throw new OtaError('digest_mismatch', what, `${bytes.length} bytes came`)
}

/** A name from metadata, fit for a log. */
function quote(name: string): string {
  return /^[\w-]{1,60}$/.test(name) ? name : JSON.stringify(name.slice(0, 60))
}
