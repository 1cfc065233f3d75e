import { delegationsFor } from './delegations.ts'
import { type Delegation, maxMetadataBytes, type TargetFields, type Targets } from './metadata.ts'
import { topRoles } from './metadata-schema.ts'
import { OtaError } from './ota-error.ts'
import type { TrustedSet } from './trusted-set.ts'
import { type MetadataStore, openTrusted, storeRoot, withStored, withStoredTargets } from './trusted-store.ts'

/** Where metadata comes from. Undefined for what is not there; all that it throws goes on to the caller. */
export type MetadataTransport = {
  metadata(name: string, maxBytes: number, signal: AbortSignal): Promise<Uint8Array | undefined>
}

export type TufClientOptions = {
  readonly store: MetadataStore
  readonly transport: MetadataTransport
  /** The root that came with the program; none to use the stored one only. */
  readonly factoryRoot?: Uint8Array
  /** The time that the clock tells and the earliest that it can be, in milliseconds since 1970. */
  readonly clockMs?: () => number
  readonly floorMs?: () => number
}

/** `stale`: metadata has expired, and nothing new may be installed; what was trusted still is, and what runs goes on. */
export type Freshness = { readonly state: 'fresh' } | { readonly state: 'stale'; readonly error: OtaError }

/** What is signed about a file; `role` has signed it. */
export type Target = TargetFields & { readonly path: string; readonly role: string }

/** New versions of root in one refresh; the rest comes with the next (specification 5.3.3). */
const maxRootRotations = 256
/** Delegated roles that are asked for one path (specification 5.6.7). */
const maxRolesAsked = 32

/**
 * A client of a TUF repository (specification 1.0, section 5). It trusts what was verified and what it has stored, and
 * stores only what was verified, file by file as the workflow says: what comes after a step that fails keeps its old state.
 * One call at a time.
 */
export class TufClient {
  readonly #store: MetadataStore
  readonly #transport: MetadataTransport
  readonly #now: () => number
  #trusted: TrustedSet

  private constructor(trusted: TrustedSet, options: TufClientOptions) {
    const { store, transport, clockMs = Date.now, floorMs = () => 0 } = options
    this.#store = store
    this.#transport = transport
    this.#now = () => Math.max(clockMs(), floorMs())
    this.#trusted = trusted
  }

  /** Loads what is stored, without a request. Throws an OtaError when there is no root to trust. */
  static async open(options: TufClientOptions): Promise<TufClient> {
    const { store, factoryRoot } = options
    return new TufClient(await openTrusted(store, factoryRoot), options)
  }

  get trusted(): TrustedSet {
    return this.#trusted
  }

  /** Whether anything that is trusted has expired by now. */
  get freshness(): Freshness {
    const nowMs = this.#now()
    try {
      for (const role of topRoles) this.#trusted.requireFresh(role, nowMs)
      return { state: 'fresh' }
    } catch (error) {
      return staleBy(error)
    }
  }

  /**
   * Follows the repository to its newest metadata. `stale` when that, or what is trusted when it has nothing newer, has
   * expired. Throws an OtaError when it was refused or could not be stored, and whatever the transport throws.
   */
  async refresh(signal: AbortSignal): Promise<Freshness> {
    // 5.1: one time for all of it.
    const nowMs = this.#now()
    try {
      await this.#refreshRoot(signal)
      this.#trusted.requireFresh('root', nowMs)
      await this.#refreshTimestamp(nowMs, signal)
      await this.#refreshSnapshot(nowMs, signal)
      await this.#refreshTargets(nowMs, signal)
      return { state: 'fresh' }
    } catch (error) {
      return staleBy(error)
    }
  }

  /**
   * What is signed about a path, by `targets` or a role that it delegates to (5.6.7); undefined when nobody says anything.
   * Asks the repository only for a delegated role that is not here. Throws an OtaError when anything on the way is refused
   * or has expired, and whatever the transport throws.
   */
  async target(path: string, signal: AbortSignal): Promise<Target | undefined> {
    const nowMs = this.#now()
    for (const role of topRoles) this.#trusted.requireFresh(role, nowMs)
    const { targets } = this.#trusted
    if (targets === undefined) throw new OtaError('missing', 'targets', 'the repository was never read to its end')
    const visited = new Set<string>()
    const found = fieldsIn(targets, path, 'targets')
    if (found !== undefined) return found
    const waiting = [...delegationsFor(targets, path).delegations].reverse()
    for (let next = waiting.pop(); next !== undefined && visited.size < maxRolesAsked; next = waiting.pop()) {
      // 5.6.7.1: no role twice, so that a circle has an end.
      if (visited.has(next.name)) continue
      visited.add(next.name)
      const delegated = await this.#delegated(next, nowMs, signal)
      const foundThere = fieldsIn(delegated, path, next.name)
      if (foundThere !== undefined) return foundThere
      const { delegations, isFinal } = delegationsFor(delegated, path)
      if (isFinal) waiting.length = 0
      waiting.push(...[...delegations].reverse())
    }
    return undefined
  }

  /** 5.3: the chain of roots, each one version above the last and signed by both. */
  async #refreshRoot(signal: AbortSignal): Promise<void> {
    const before = this.#trusted
    try {
      for (let i = 0; i < maxRootRotations; i++) {
        const bytes = await this.#fetch(`${this.#trusted.root.version + 1}.root.json`, maxMetadataBytes.root, signal)
        if (bytes === undefined) return
        const next = this.#trusted.withRoot(bytes)
        await storeRoot(this.#store, bytes, this.#trusted, next)
        this.#trusted = next
      }
    } finally {
      if (this.#trusted !== before) this.#trusted = await withStored(this.#trusted, this.#store)
    }
  }

  /** 5.4. */
  async #refreshTimestamp(nowMs: number, signal: AbortSignal): Promise<void> {
    const bytes = await this.#fetch('timestamp.json', maxMetadataBytes.timestamp, signal)
    if (bytes === undefined) throw new OtaError('missing', 'timestamp.json', 'is it a repository?')
    const next = this.#trusted.withTimestamp(bytes, nowMs)
    if (next !== this.#trusted) await this.#store.write('timestamp', bytes)
    this.#trusted = next
    this.#trusted.requireFresh('timestamp', nowMs)
  }

  /** 5.5. */
  async #refreshSnapshot(nowMs: number, signal: AbortSignal): Promise<void> {
    const { timestamp, isSnapshotCurrent } = this.#trusted
    if (timestamp === undefined || isSnapshotCurrent) return this.#trusted.requireFresh('snapshot', nowMs)
    const { version, length } = timestamp.snapshot
    const bytes = await this.#fetchListed('snapshot', version, length, maxMetadataBytes.snapshot, signal)
    const next = this.#trusted.withSnapshot(bytes, nowMs)
    await this.#store.write('snapshot', bytes)
    // The targets here may still be those that the new snapshot names.
    this.#trusted = await withStoredTargets(next, this.#store)
  }

  /** 5.6. */
  async #refreshTargets(nowMs: number, signal: AbortSignal): Promise<void> {
    if (this.#trusted.targets !== undefined) return this.#trusted.requireFresh('targets', nowMs)
    const { version, length } = this.#trusted.listed('targets')
    const bytes = await this.#fetchListed('targets', version, length, maxMetadataBytes.targets, signal)
    const next = this.#trusted.withTargets(bytes, nowMs)
    await this.#store.write('targets', bytes)
    this.#trusted = next
  }

  async #delegated(delegation: Delegation, nowMs: number, signal: AbortSignal): Promise<Targets> {
    const here = this.#trusted.delegated(delegation, nowMs)
    if (here !== undefined) return here
    const { name } = delegation
    const { version, length } = this.#trusted.listed(name)
    const bytes = await this.#fetchListed(name, version, length, maxMetadataBytes.targets, signal)
    const next = this.#trusted.withDelegated(bytes, delegation)
    const targets = next.delegated(delegation, nowMs)
    if (targets === undefined) throw new Error(`${name} was not kept`)
    if (name === 'deploy') await this.#store.write(name, bytes)
    this.#trusted = next
    return targets
  }

  /** A role's file by its version, as consistent snapshots have it. */
  async #fetchListed(
    role: string,
    version: number,
    length: number | undefined,
    maxBytes: number,
    signal: AbortSignal,
  ): Promise<Uint8Array> {
    const name = `${version}.${encodeURIComponent(role)}.json`
    const bytes = await this.#fetch(name, Math.min(length ?? maxBytes, maxBytes), signal)
    if (bytes === undefined) throw new OtaError('missing', name, 'though it says that it has it')
    return bytes
  }

  async #fetch(name: string, maxBytes: number, signal: AbortSignal): Promise<Uint8Array | undefined> {
    signal.throwIfAborted()
    const bytes = await this.#transport.metadata(name, maxBytes, signal)
    if (bytes !== undefined && bytes.length > maxBytes)
      throw new OtaError('too_large', name, `it has ${bytes.length} bytes, at most ${maxBytes} are allowed`)
    return bytes
  }
}

function fieldsIn({ targets }: Targets, path: string, role: string): Target | undefined {
  const fields = targets.get(path)
  return fields === undefined ? undefined : { ...fields, path, role }
}

function staleBy(error: unknown): Freshness {
  if (error instanceof OtaError && error.reason === 'expired') return { state: 'stale', error }
  throw error
}
