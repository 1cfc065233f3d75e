import { OtaError } from './ota-error.ts'
import { TrustedSet } from './trusted-set.ts'

/** The roles that outlive the process; others that are delegated to are fetched when they are needed. */
export const storedRoles = ['root', 'timestamp', 'snapshot', 'targets', 'deploy'] as const
export type StoredRole = (typeof storedRoles)[number]

/** Metadata that this device has verified, as it was received. What `write` and `remove` did is on the disk when they resolve. */
export type MetadataStore = {
  read(role: StoredRole): Promise<Uint8Array | undefined>
  write(role: StoredRole, bytes: Uint8Array): Promise<void>
  remove(role: StoredRole): Promise<void>
}

/**
 * 5.2: all that is stored and still holds, under the newer of the stored root and the one that came with the program. Throws
 * an OtaError when there is no root to trust, or the store fails.
 */
export async function openTrusted(store: MetadataStore, factoryRoot: Uint8Array | undefined): Promise<TrustedSet> {
  const factory = factoryRoot === undefined ? undefined : TrustedSet.fromRoot(factoryRoot)
  const stored = storedRoot(await store.read('root'), factory)
  if (factory === undefined || factoryRoot === undefined) {
    if (stored === undefined) throw new OtaError('missing', 'root', 'this device has none to begin with')
    return withStored(stored, store)
  }
  if (stored !== undefined && stored.root.version >= factory.root.version) return withStored(stored, store)
  // Also the first one: by it the next program's is known to take keys away.
  await storeRoot(store, factoryRoot, stored, factory)
  return withStored(factory, store)
}

/** 5.2. A stored root that is damaged is no reason to give up when there is one that we came with: the chain is followed again. */
function storedRoot(bytes: Uint8Array | undefined, factory: TrustedSet | undefined): TrustedSet | undefined {
  if (bytes === undefined) return undefined
  try {
    return TrustedSet.fromRoot(bytes)
  } catch (error) {
    if (factory !== undefined && error instanceof OtaError) return undefined
    throw error
  }
}

/**
 * 5.3.8, and 5.3.11: what was signed by keys that are no longer trusted is forgotten. In this order: should the power go in
 * between, versions are remembered that could be forgotten, not the other way round; the next rotation forgets them.
 */
export async function storeRoot(
  store: MetadataStore,
  bytes: Uint8Array,
  old: TrustedSet | undefined,
  next: TrustedSet,
): Promise<void> {
  await store.write('root', bytes)
  if (old === undefined || !old.isRotatedIn(next)) return
  await store.remove('snapshot')
  await store.remove('timestamp')
}

/** The set with all that is stored and still holds under its root. */
export async function withStored(root: TrustedSet, store: MetadataStore): Promise<TrustedSet> {
  const timestamp = await withPart(root, store, 'timestamp', (set, bytes) => set.withStoredTimestamp(bytes))
  const snapshot = await withPart(timestamp, store, 'snapshot', (set, bytes) => set.withStoredSnapshot(bytes))
  return withStoredTargets(snapshot, store)
}

export async function withStoredTargets(trusted: TrustedSet, store: MetadataStore): Promise<TrustedSet> {
  const targets = await withPart(trusted, store, 'targets', (set, bytes) => set.withStoredTargets(bytes))
  const deploy = targets.targets?.delegations.find(({ name }) => name === 'deploy')
  if (deploy === undefined) return targets
  return withPart(targets, store, 'deploy', (set, bytes) => set.withDelegated(bytes, deploy))
}

/** What is stored may be damaged, or signed by keys that are trusted no longer: then it is fetched anew. */
async function withPart(
  trusted: TrustedSet,
  store: MetadataStore,
  role: StoredRole,
  add: (set: TrustedSet, bytes: Uint8Array) => TrustedSet,
): Promise<TrustedSet> {
  const bytes = await store.read(role)
  if (bytes === undefined) return trusted
  try {
    return add(trusted, bytes)
  } catch (error) {
    if (!(error instanceof OtaError)) throw error
    return trusted
  }
}
