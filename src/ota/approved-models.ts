import * as v from 'valibot'
import { SightdError } from '../core/errors.ts'
import { nearestName } from '../lib/schema-issues.ts'
import { isSame, type TargetsDocument } from './documents.ts'
import { type RepositoryFile, sha256Of, targetFileName } from './repository.ts'

/** A file of a model, by its name in the model's folder. */
export type ModelFile = { readonly name: string; readonly bytes: Uint8Array }

/** A model that `targets` has approved: `folder` is `models/<name>/<version>`. */
export type ApprovedModel = {
  readonly folder: string
  readonly name: string
  readonly version: string
  readonly bytes: number
  readonly files: readonly string[]
  readonly rollbackIndex: number
}

const manifestName = 'manifest.json'
export const manifestPathOf = (folder: string): string => `${folder}/${manifestName}`
export const folderOfManifest = (path: string): string => path.slice(0, -manifestName.length - 1)
/** `name/version`, as an operator writes it. */
export const shortName = (folder: string): string => folder.replace(/^models\//, '')

export function approvedModels({ targets }: TargetsDocument): ApprovedModel[] {
  const folders = Object.keys(targets)
    .filter((path) => /^models\/[^/]+\/[^/]+\/manifest\.json$/.test(path))
    .map(folderOfManifest)
  return folders.map((folder) => {
    const files = Object.keys(targets).filter((path) => path.startsWith(`${folder}/`))
    const [, name = '', version = ''] = folder.split('/')
    const bytes = files.reduce((sum, path) => sum + (targets[path]?.length ?? 0), 0)
    const custom = modelCustomOf(targets[manifestPathOf(folder)]?.custom)
    return { folder, name, version, files, bytes, rollbackIndex: custom?.rollbackIndex ?? 0 }
  })
}

/** What is said of it behind a model's other facts. */
export const describeIndex = (index: number): string => (index === 0 ? '' : `, rollback index ${index}`)

const slug = v.pipe(v.string(), v.regex(/^[a-z0-9][a-z0-9._-]{0,63}$/))

const customSchema = v.object({
  name: slug,
  version: slug,
  /** Of the network. */
  sha256: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)),
  rollback_index: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(2 ** 31 - 1)), 0),
})

/** What is signed beside a model's manifest. */
export type ModelCustom = {
  readonly name: string
  readonly version: string
  readonly sha256: string
  /** A device that has committed a model never again installs one with a lower index. */
  readonly rollbackIndex: number
}

/** The `custom` field of the target `models/<name>/<version>/manifest.json`; undefined when it is not well-formed. */
export function modelCustomOf(custom: unknown): ModelCustom | undefined {
  const parsed = v.safeParse(customSchema, custom)
  if (!parsed.success) return undefined
  const { rollback_index: rollbackIndex, ...named } = parsed.output
  return { ...named, rollbackIndex }
}

export const revokedModels = (document: TargetsDocument): readonly string[] => document['x-sightd-revoked'] ?? []

/** The folder of a model by `name/version`, or by its name when one version only is approved. */
export function findModel(document: TargetsDocument, text: string): string {
  const models = approvedModels(document)
  const wanted = shortName(text.replace(/\/(manifest\.json)?$/, ''))
  const exact = models.find(({ folder }) => shortName(folder) === wanted)
  if (exact !== undefined) return exact.folder
  if (revokedModels(document).some((folder) => shortName(folder) === wanted))
    throw new SightdError('ota_failed', `${wanted} was revoked: it is approved no more, and won't be again`)
  const versions = models.filter(({ name }) => name === wanted)
  const [only] = versions
  if (only !== undefined && versions.length === 1) return only.folder
  const names = models.map(({ folder }) => shortName(folder))
  if (only !== undefined)
    throw new SightdError(
      'ota_failed',
      `${wanted}: which version? ${versions.map(({ folder }) => shortName(folder)).join(', ')}`,
    )
  const nearest = nearestName(wanted, names)
  const hint = nearest === undefined ? '' : ` (did you mean ${nearest}?)`
  throw new SightdError(
    'ota_failed',
    `${wanted} was never added${hint}; approved: ${names.join(', ') || 'none yet, see sightd ota add'}`,
  )
}

/** Those of the models that keep a device which has committed them from ever installing the one in `folder`. */
export function indexesAbove(document: TargetsDocument, folder: string, others: readonly string[]): ApprovedModel[] {
  const models = approvedModels(document)
  const index = models.find((model) => model.folder === folder)?.rollbackIndex ?? 0
  return others.flatMap((other) => models.find((model) => model.folder === other && model.rollbackIndex > index) ?? [])
}

/** Undefined when exactly this model is approved already. Throws a SightdError when it can't be. */
export function approve(
  document: TargetsDocument,
  {
    name,
    version,
    networkSha256,
    rollbackIndex,
    files,
  }: Omit<ModelCustom, 'sha256'> & { readonly networkSha256: string; readonly files: readonly ModelFile[] },
): { targets: TargetsDocument; files: RepositoryFile[] } | undefined {
  const folder = `models/${name}/${version}`
  if (revokedModels(document).includes(folder))
    throw new SightdError('ota_failed', `${shortName(folder)} was revoked: give what is different now another version`)
  const index = rollbackIndex === 0 ? {} : { rollback_index: rollbackIndex }
  const custom = { name, version, sha256: networkSha256, ...index }
  const added = files.map(({ name: file, bytes }) => {
    const fields = {
      length: bytes.length,
      hashes: { sha256: sha256Of(bytes) },
      ...(file === manifestName ? { custom } : {}),
    }
    return { path: `${folder}/${file}`, fields, bytes }
  })
  const here = Object.entries(document.targets).filter(([path]) => path.startsWith(`${folder}/`))
  const wanted = added.map(({ path, fields }) => [path, fields] as const)
  if (here.length > 0) {
    const old = modelCustomOf(document.targets[manifestPathOf(folder)]?.custom)
    if (old !== undefined && old.rollbackIndex !== rollbackIndex)
      throw new SightdError(
        'ota_failed',
        `${shortName(folder)} is approved with rollback index ${old.rollbackIndex}, not ${rollbackIndex}: ` +
          'what is signed with a model never changes, so give this another version',
      )
    if (isSame(Object.fromEntries(here), Object.fromEntries(wanted))) return undefined
    throw new SightdError(
      'ota_failed',
      `${shortName(folder)} is approved with other content: what devices may have never changes, so give this another version`,
    )
  }
  return {
    targets: { ...document, targets: { ...document.targets, ...Object.fromEntries(wanted) } },
    files: added.map(({ path, fields, bytes }) => ({ name: targetFileName(path, fields.hashes.sha256), bytes })),
  }
}

/** `targets` without a model, and with the memory that it was there. */
export function withoutModel(document: TargetsDocument, folder: string): TargetsDocument {
  const left = Object.entries(document.targets).filter(([path]) => !path.startsWith(`${folder}/`))
  return {
    ...document,
    targets: Object.fromEntries(left),
    'x-sightd-revoked': [...revokedModels(document), folder],
  }
}
