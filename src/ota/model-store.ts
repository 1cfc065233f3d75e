import { createHash } from 'node:crypto'
import { lstat, mkdir, readdir, readFile, readlink, rm, symlink } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import * as v from 'valibot'
import { type ModelManifest, modelManifestSchema } from '../core/model-manifest.ts'
import type { ModelSource } from '../core/model-trial.ts'
import { makeFolderDurably, syncFolder } from '../lib/atomic-file.ts'
import { describeDiskError, errorCode } from '../lib/disk-error.ts'
import { formatSchemaIssue, schemaIssues } from '../lib/schema-issues.ts'
import { OtaError } from './ota-error.ts'
import { type BlobSpec, blobPath, hasBlob, readBlob } from './part-file.ts'

/** The model that the device came with; the digest is its manifest's. */
export type FactoryModel = { readonly name: string; readonly version: string; readonly sha256: string }

/** The longest manifest that is taken, in bytes; labels are most of it. */
export const maxManifestBytes = 4 * 1024 * 1024

/**
 * The models on this device: blobs by their digests, and folders of links to them that can be made anew at any time. Takes
 * models by their manifests' digests. Throws an OtaError `store_failed`, and what PartFile throws.
 */
export class ModelStore {
  readonly folder: string

  private constructor(folder: string) {
    this.folder = folder
  }

  static async open(folder: string): Promise<ModelStore> {
    await makeFolderDurably(folder).catch((error: unknown) => fail(folder, error))
    return new ModelStore(folder)
  }

  /** Which model is in a folder of someone else's; undefined when that can't be told. */
  static async factory(dir: string): Promise<FactoryModel | undefined> {
    try {
      const bytes = await readFile(join(dir, 'manifest.json'))
      const { name, version } = parseManifest(bytes, dir)
      return { name, version, sha256: createHash('sha256').update(bytes).digest('hex') }
    } catch {
      return undefined
    }
  }

  /** Undefined when the manifest is not here, or damaged. Throws an OtaError `incompatible` when this sightd can't use it. */
  async manifest(model: BlobSpec): Promise<ModelManifest | undefined> {
    const bytes = await readBlob(this.folder, model)
    return bytes === undefined ? undefined : parseManifest(bytes, model.sha256)
  }

  /**
   * The model as a folder that can be loaded, each of its files proved just now; undefined when one is missing or damaged.
   */
  async ready(model: BlobSpec): Promise<ModelSource | undefined> {
    const manifest = await this.#usableManifest(model)
    if (manifest === undefined) return undefined
    const files = filesOf(manifest)
    for (const { blob } of files) if (!(await hasBlob(this.folder, blob))) return undefined
    const dir = join(this.folder, 'models', model.sha256)
    try {
      for (const { name, blob } of [{ name: 'manifest.json', blob: model }, ...files]) {
        const path = join(dir, name)
        await makeFolders(this.folder, dirname(path))
        await link(path, blobPath(this.folder, blob))
      }
    } catch (error) {
      fail(dir, error)
    }
    return { dir, manifestSha256: model.sha256 }
  }

  /** Removes all blobs, parts of blobs and folders but those of these models, and those blobs. */
  async keepOnly(models: readonly BlobSpec[], blobs: readonly string[] = []): Promise<void> {
    const kept = new Set(blobs)
    for (const model of models) {
      kept.add(model.sha256)
      const manifest = await this.#usableManifest(model)
      for (const { blob } of manifest === undefined ? [] : filesOf(manifest)) kept.add(blob.sha256)
    }
    const isKeptFolder = new Set(models.map(({ sha256 }) => sha256))
    for (const [name, isKept] of [
      ['blobs', kept],
      ['part', kept],
      ['models', isKeptFolder],
    ] as const) {
      const folder = join(this.folder, name)
      try {
        // What a link leads to is not ours.
        if (!(await lstat(folder)).isDirectory()) continue
        const entries = await readdir(folder)
        const old = entries.filter((entry) => !isKept.has(entry))
        for (const entry of old) await rm(join(folder, entry), { recursive: true, force: true })
        if (old.length > 0) await syncFolder(folder)
      } catch (error) {
        if (errorCode(error) !== 'ENOENT') fail(folder, error)
      }
    }
  }

  /** Undefined also when this sightd can't use it. */
  async #usableManifest(model: BlobSpec): Promise<ModelManifest | undefined> {
    return this.manifest(model).catch((error: unknown) => {
      if (error instanceof OtaError) return undefined
      throw error
    })
  }
}

/** What a model has besides its manifest. */
export function filesOf({ files }: ModelManifest): { readonly name: string; readonly blob: BlobSpec }[] {
  return Object.entries(files).map(([name, { bytes, sha256 }]) => ({ name, blob: { length: bytes, sha256 } }))
}

function parseManifest(bytes: Buffer, what: string): ModelManifest {
  const result = v.safeParse(v.pipe(v.string(), v.parseJson(), modelManifestSchema), bytes.toString('utf8'))
  if (result.success) return result.output
  const issues = schemaIssues(result.issues).map(formatSchemaIssue)
  throw new OtaError('incompatible', `manifest ${what.slice(0, 12)}`, issues.join('; '))
}

/** A folder and those above it up to `base`; a link in place of one would have us write, and remove, elsewhere. */
async function makeFolders(base: string, path: string): Promise<void> {
  if (path === base) return
  await makeFolders(base, dirname(path))
  if ((await lstat(path).catch(() => undefined))?.isDirectory()) return
  await rm(path, { force: true })
  await mkdir(path, { mode: 0o700 })
}

/** Nothing of it has to survive: it is looked at, and mended, each time. */
async function link(path: string, blob: string): Promise<void> {
  const goal = relative(dirname(path), blob)
  if ((await readlink(path).catch(() => undefined)) === goal) return
  if ((await lstat(path).catch(() => undefined)) !== undefined) await rm(path, { recursive: true, force: true })
  await symlink(goal, path)
}

function fail(path: string, error: unknown): never {
  throw new OtaError('store_failed', path, describeDiskError(error), { cause: error })
}
