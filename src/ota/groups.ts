import { randomBytes } from 'node:crypto'
import * as v from 'valibot'
import { SightdError } from '../core/errors.ts'
import { folderOfManifest, manifestPathOf } from './approved-models.ts'
import { type TargetsDocument, utcText } from './documents.ts'
import { OtaError } from './ota-error.ts'
import { type ReadFile, type RepositoryFile, sha256Of, targetFileName } from './repository.ts'
import { type Desired, parseDesired } from './rollout.ts'

/** What a group should run; `history` are the folders of models that it should run before, the newest first. */
export type Group = { readonly name: string; readonly desired: Desired; readonly history: readonly string[] }

/** So many models a group can be rolled back, one after the other. */
const maxHistory = 8

const customSchema = v.object({ history: v.array(v.string()) })

export const groupPath = (name: string): string => `desired/${name}.json`
export const modelOf = ({ desired }: Group): string => folderOfManifest(desired.model)

/** Throws a SightdError when it can be no group's name. */
export function requireGroupName(name: string): void {
  if (!/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/.test(name))
    throw new SightdError(
      'ota_failed',
      `${JSON.stringify(name)} can't be a group: letters, digits, "-" and "_", at most 64`,
    )
}

/** All groups by their names. Throws an OtaError for one that no device could read. */
export async function readGroups(deploy: TargetsDocument, read: ReadFile): Promise<Group[]> {
  const groups: Group[] = []
  for (const [path, fields] of Object.entries(deploy.targets)) {
    const [, name] = /^desired\/([A-Za-z0-9][A-Za-z0-9_-]{0,63})\.json$/.exec(path) ?? []
    if (name === undefined) continue
    const bytes = await read(targetFileName(path, fields.hashes.sha256))
    if (bytes === undefined) throw new OtaError('missing', path, 'though deploy has signed it')
    if (sha256Of(bytes) !== fields.hashes.sha256) throw new OtaError('digest_mismatch', path, `${bytes.length} bytes`)
    groups.push({ name, desired: parseDesired(bytes, path), history: historyIn(fields.custom) })
  }
  return groups.sort((a, b) => (a.name < b.name ? -1 : 1))
}

function historyIn(custom: unknown): readonly string[] {
  const parsed = v.safeParse(customSchema, custom)
  return parsed.success ? parsed.output.history : []
}

/** `deploy` with groups as they should be now. */
export function withGroups(
  deploy: TargetsDocument,
  groups: readonly Group[],
): { deploy: TargetsDocument; files: RepositoryFile[] } {
  const made = groups.map(({ name, desired, history }) => {
    const path = groupPath(name)
    const bytes = Buffer.from(`${JSON.stringify({ ...desired, from: utcText(desired.from) })}\n`)
    const fields = { length: bytes.length, hashes: { sha256: sha256Of(bytes) }, custom: { history } }
    return { path, fields, file: { name: targetFileName(path, fields.hashes.sha256), bytes } }
  })
  const entries = made.map(({ path, fields }) => [path, fields] as const)
  return {
    deploy: { ...deploy, targets: { ...deploy.targets, ...Object.fromEntries(entries) } },
    files: made.map(({ file }) => file),
  }
}

export type Promotion = { readonly folder: string; readonly percent: number; readonly fromMs: number | undefined }

/**
 * A group after a promotion. The same model again keeps its salt, so that devices only join; another one gets a new salt,
 * so that not the same devices are always first.
 */
export function promoted(
  old: Group | undefined,
  name: string,
  { folder, percent, fromMs }: Promotion,
  nowMs: number,
): Group {
  const isSame = old !== undefined && modelOf(old) === folder
  const salt = isSame ? old.desired.salt : randomBytes(12).toString('base64url')
  const from = fromMs ?? (isSame ? old.desired.from : nowMs)
  const history = old === undefined ? [] : isSame ? old.history : remember(modelOf(old), old.history, folder)
  return {
    name,
    desired: { model: manifestPathOf(folder), percent, salt, from: wholeSecond(from), hold: false },
    history,
  }
}

/** A group back at the model before; the one that it leaves is forgotten, so that the next step goes further back. */
export function rolledBack(old: Group, percent: number, nowMs: number): Group {
  const [folder, ...history] = old.history
  if (folder === undefined)
    throw new SightdError(
      'ota_failed',
      `${old.name} never had another model than this one; stop it with sightd ota hold --group ${old.name}`,
    )
  const { desired } = promoted(old, old.name, { folder, percent, fromMs: nowMs }, nowMs)
  return { name: old.name, desired, history }
}

/** A group once a model is revoked: the model before, or a hold where there is none. */
export function withoutRevoked(old: Group, folder: string, nowMs: number): Group {
  const history = old.history.filter((one) => one !== folder)
  if (modelOf(old) !== folder) return { ...old, history }
  if (history.length > 0) return rolledBack({ ...old, history }, 100, nowMs)
  return { ...old, desired: { ...old.desired, hold: true }, history }
}

function remember(folder: string, history: readonly string[], next: string): string[] {
  return [folder, ...history.filter((one) => one !== folder && one !== next)].slice(0, maxHistory)
}

const wholeSecond = (ms: number): number => Math.floor(ms / 1000) * 1000
