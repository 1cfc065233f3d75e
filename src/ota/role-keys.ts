import { SightdError } from '../core/errors.ts'
import { nearestName } from '../lib/schema-issues.ts'
import {
  type Lifetimes,
  type PublicKey,
  type RoleKeys,
  type RootDocument,
  specVersion,
  type TargetsDocument,
} from './documents.ts'
import type { RepositoryState } from './repository.ts'

/** Which keys a repository's roles have, and how they become others. */

export const keyRoles = ['root', 'targets', 'deploy', 'snapshot', 'timestamp'] as const
export type KeyRole = (typeof keyRoles)[number]

export type NamedKey = { readonly id: string; readonly key: PublicKey }

/** Root and targets of a new repository. */
export function newRepository(
  keys: { readonly [R in KeyRole]: readonly NamedKey[] },
  rootThreshold: number,
  lifetimes: Lifetimes,
): { root: RootDocument; targets: TargetsDocument; deploy: TargetsDocument } {
  const common = { spec_version: specVersion, version: 0, expires: '' }
  const role = (name: KeyRole, threshold = 1) => ({ keyids: keys[name].map(({ id }) => id), threshold })
  const inRoot = [...keys.root, ...keys.targets, ...keys.snapshot, ...keys.timestamp]
  return {
    root: {
      _type: 'root',
      ...common,
      consistent_snapshot: true,
      keys: byId(inRoot),
      roles: {
        root: role('root', rootThreshold),
        targets: role('targets'),
        snapshot: role('snapshot'),
        timestamp: role('timestamp'),
      },
      'x-sightd-days': lifetimes,
    },
    targets: {
      _type: 'targets',
      ...common,
      targets: {},
      delegations: {
        keys: byId(keys.deploy),
        // No slash in a group: `*` ends at one.
        roles: [{ name: 'deploy', ...role('deploy'), terminating: true, paths: ['desired/*'] }],
      },
    },
    deploy: { _type: 'targets', ...common, targets: {} },
  }
}

const byId = (keys: readonly NamedKey[]) => Object.fromEntries(keys.map(({ id, key }) => [id, key]))

export function keysOf({ root, targets }: RepositoryState, role: KeyRole): RoleKeys {
  if (role !== 'deploy') return root.roles[role]
  return targets.delegations?.roles.find(({ name }) => name === 'deploy') ?? { keyids: [], threshold: 1 }
}

export const isKeyRole = (text: string): text is KeyRole => keyRoles.some((role) => role === text)

/** The key that `text` means: a role with one key, a key's name, or the first digits of its id; and the roles that it has. */
export function findKey(
  state: RepositoryState,
  text: string,
  nameOf: (id: string) => string,
): { id: string; roles: KeyRole[] } {
  const known = keyRoles.flatMap((role) => keysOf(state, role).keyids.map((id) => ({ id, role })))
  const fits = isKeyRole(text)
    ? known.filter(({ role }) => role === text)
    : known.filter(({ id }) => nameOf(id) === text || (text.length >= 8 && id.startsWith(text)))
  const ids = [...new Set(fits.map(({ id }) => id))]
  const [id] = ids
  const names = (all: readonly string[]) => [...new Set(all.map(nameOf))].join(', ')
  if (id === undefined) {
    const nearest = nearestName(text, [...keyRoles, ...known.map((key) => nameOf(key.id))])
    const hint = nearest === undefined ? '' : ` (did you mean ${nearest}?)`
    throw new SightdError(
      'ota_failed',
      `no role has a key ${text}${hint}; there are ${names(known.map((key) => key.id))}`,
    )
  }
  if (ids.length > 1) throw new SightdError('ota_failed', `${text} has more than one key: which? ${names(ids)}`)
  const roles = isKeyRole(text) ? [text] : known.filter((key) => key.id === id).map(({ role }) => role)
  return { id, roles }
}

/**
 * A role's keys with `old` taken out and `replacement` in its place. Throws a SightdError when too few are left for the
 * threshold.
 */
function exchanged({ keyids, threshold }: RoleKeys, old: string, replacement: NamedKey | undefined): RoleKeys {
  const next = keyids.flatMap((id) => (id !== old ? [id] : replacement === undefined ? [] : [replacement.id]))
  if (next.length < threshold)
    throw new SightdError(
      'ota_failed',
      `${next.length} keys would be left of a role that ${threshold} have to sign for`,
    )
  return { keyids: next, threshold }
}

/** What is to be signed anew when a key goes: `resign` are the documents that the old key had signed. */
export function withoutKey(
  { root, targets }: RepositoryState,
  { id, roles, replacement }: { id: string; roles: readonly KeyRole[]; replacement: NamedKey | undefined },
): { root: RootDocument | undefined; targets: TargetsDocument | undefined } {
  const next = { ...root.roles }
  for (const role of roles)
    if (role !== 'deploy') next[role] = { ...next[role], ...mutable(exchanged(next[role], id, replacement)) }
  const used = new Set([next.root, next.targets, next.snapshot, next.timestamp].flatMap(({ keyids }) => keyids))
  const added = replacement === undefined ? {} : { [replacement.id]: replacement.key }
  const keys = Object.fromEntries(Object.entries({ ...root.keys, ...added }).filter(([key]) => used.has(key)))
  const hasRoot = roles.some((role) => role !== 'deploy')
  return {
    root: hasRoot ? { ...root, keys, roles: next } : undefined,
    targets: roles.includes('deploy') ? withoutDeployKey(targets, id, replacement) : undefined,
  }
}

function withoutDeployKey(targets: TargetsDocument, id: string, replacement: NamedKey | undefined): TargetsDocument {
  const { delegations } = targets
  if (delegations === undefined) return targets
  const roles = delegations.roles.map((role) =>
    role.name === 'deploy' ? { ...role, ...mutable(exchanged(role, id, replacement)) } : role,
  )
  const used = new Set(roles.flatMap(({ keyids }) => keyids))
  const added = replacement === undefined ? {} : { [replacement.id]: replacement.key }
  const keys = Object.fromEntries(Object.entries({ ...delegations.keys, ...added }).filter(([key]) => used.has(key)))
  return { ...targets, delegations: { ...delegations, keys, roles } }
}

const mutable = ({ keyids, threshold }: RoleKeys) => ({ keyids: [...keyids], threshold })
