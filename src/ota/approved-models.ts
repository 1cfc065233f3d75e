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
    return { folder, name, version, files, bytes: files.reduce((sum, path) => sum + (targets[path]?.length ?? 0), 0) }
  })
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

/** Undefined when exactly this model is approved already. Throws a SightdError when it can't be. */
export function approve(
  document: TargetsDocument,
  {
    name,
    version,
    networkSha256,
    files,
  }: { name: string; version: string; networkSha256: string; files: readonly ModelFile[] },
): { targets: TargetsDocument; files: RepositoryFile[] } | undefined {
  const folder = `models/${name}/${version}`
  if (revokedModels(document).includes(folder))
    throw new SightdError('ota_failed', `${shortName(folder)} was revoked: give what is different now another version`)
  const added = files.map(({ name: file, bytes }) => {
    const custom = file === manifestName ? { custom: { name, version, sha256: networkSha256 } } : {}
    const fields = { length: bytes.length, hashes: { sha256: sha256Of(bytes) }, ...custom }
    return { path: `${folder}/${file}`, fields, bytes }
  })
  const here = Object.entries(document.targets).filter(([path]) => path.startsWith(`${folder}/`))
  const wanted = added.map(({ path, fields }) => [path, fields] as const)
  if (here.length > 0) {
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
