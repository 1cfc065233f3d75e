import { SightdError } from '../core/errors.ts'
import {
  type Envelope,
  lifetimesOf,
  type RoleKeys,
  type RootDocument,
  type Signature,
  type TargetsDocument,
  utcText,
} from './documents.ts'
import type { Keyring } from './key-files.ts'
import type { RepositoryFile, RepositoryState } from './repository.ts'

/** What is to be different: documents whose version and date are set here, and target files. */
export type Change = {
  readonly root?: RootDocument
  readonly targets?: TargetsDocument
  readonly deploy?: TargetsDocument
  readonly files?: readonly RepositoryFile[]
}

/** A document that takes part in a change, who has to sign it, and who has: enough of each of the sets. */
export type Draft = {
  readonly role: 'root' | 'targets' | 'deploy'
  readonly envelope: Envelope<RootDocument | TargetsDocument>
  readonly needs: readonly RoleKeys[]
}

const dayMs = 86_400_000

/** The next version of each changed document, with its date, signed by every key that is at hand and may sign it. */
export async function makeDrafts(
  state: RepositoryState | undefined,
  { root, targets, deploy }: Change,
  keyring: Keyring,
  nowMs: number,
): Promise<Draft[]> {
  const rootNow = root ?? state?.root
  if (rootNow === undefined) throw new Error('a repository begins with a root')
  const days = lifetimesOf(rootNow)
  const drafts: Draft[] = []
  if (root !== undefined) {
    const needs = [...(state === undefined ? [] : [state.root.roles.root]), root.roles.root]
    const signed = dated(root, state?.root, days.root, nowMs)
    drafts.push({ role: 'root', envelope: await signedBy(signed, needs, keyring), needs })
  }
  // What root N + 1 asks for: devices that have not seen it yet are given the old signatures too, as far as there are any.
  if (targets !== undefined) {
    const needs = [rootNow.roles.targets]
    const signed = dated(targets, state?.targets, days.targets, nowMs)
    const also = state === undefined ? [] : [state.root.roles.targets]
    drafts.push({ role: 'targets', envelope: await signedBy(signed, [...needs, ...also], keyring), needs })
  }
  if (deploy !== undefined) {
    const needs = [deployKeys(targets ?? state?.targets)]
    const signed = dated(deploy, state?.deploy, days.deploy, nowMs)
    drafts.push({ role: 'deploy', envelope: await signedBy(signed, needs, keyring), needs })
  }
  return drafts
}

/** What a draft still lacks, in words; undefined when nothing. */
export function lackOf({ role, envelope, needs }: Draft, keyring: Keyring): string | undefined {
  const lacks = needs
    .filter((set) => !isMet(set, envelope))
    .map(({ keyids, threshold }) => {
      const missing = keyids.filter((id) => !envelope.signatures.some(({ keyid }) => keyid === id))
      return `${threshold - (keyids.length - missing.length)} more of ${missing.map((id) => keyring.nameOf(id)).join(', ')}`
    })
  return lacks.length === 0 ? undefined : `${role} has to be signed by ${[...new Set(lacks)].join(', and by ')}`
}

/** One version above what is there, good from now for so many days. */
export function dated<T extends { readonly version: number; readonly expires: string }>(
  document: T,
  old: { readonly version: number } | undefined,
  days: number,
  nowMs: number,
): T {
  return { ...document, version: (old?.version ?? 0) + 1, expires: utcText(nowMs + days * dayMs) }
}

export function isHalfOver(document: { readonly expires: string } | undefined, days: number, nowMs: number): boolean {
  return document !== undefined && Date.parse(document.expires) - nowMs < (days * dayMs) / 2
}

/** Signed by every key of the sets that is here. */
export async function signedBy<T>(document: T, sets: readonly RoleKeys[], keyring: Keyring): Promise<Envelope<T>> {
  const signatures: Signature[] = []
  for (const id of new Set(sets.flatMap(({ keyids }) => keyids))) {
    const signer = await keyring.signer(id)
    if (signer !== undefined) signatures.push(signer.sign(document))
  }
  return { signed: document, signatures }
}

function deployKeys(targets: TargetsDocument | undefined): RoleKeys {
  const role = targets?.delegations?.roles.find(({ name }) => name === 'deploy')
  if (role === undefined) throw new SightdError('ota_failed', 'targets delegates nothing to a role deploy')
  return role
}

/** Whether enough of the keys have signed; whether the signatures are good is found when it is read. */
export function isMet({ keyids, threshold }: RoleKeys, { signatures }: Envelope<unknown>): boolean {
  return keyids.filter((id) => signatures.some(({ keyid }) => keyid === id)).length >= threshold
}
