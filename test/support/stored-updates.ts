import { createHash } from 'node:crypto'
import * as v from 'valibot'

/** A disk, beside the program that writes to it. */
export type ReadableDisk = {
  readonly path: string
  /** What is in a file; undefined when there is none. */
  peek(path: string): Buffer | undefined
  /** What is in a folder; nothing where there is none. */
  names(path: string): string[]
}

const modelSchema = v.object({ version: v.string(), sha256: v.string() })
const recordSchema = v.pipe(
  v.string(),
  v.parseJson(),
  v.object({
    seq: v.number(),
    active: v.nullable(modelSchema),
    previous: v.nullable(v.union([modelSchema, v.literal('factory')])),
    candidate: v.nullable(modelSchema),
    stage: v.string(),
    bad: v.array(v.tuple([v.string(), v.string()])),
    floor: v.number(),
  }),
)
type SeenRecord = v.InferOutput<typeof recordSchema>

const manifestSchema = v.pipe(
  v.string(),
  v.parseJson(),
  v.object({ version: v.string(), files: v.record(v.string(), v.object({ sha256: v.string() })) }),
)
const versionSchema = v.pipe(v.string(), v.parseJson(), v.object({ signed: v.object({ version: v.number() }) }))

export const roles = ['root', 'timestamp', 'snapshot', 'targets'] as const

export const sha256Of = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

/** What a device has stored of updates, as the disk has it, and by our own reading. */
export class StoredUpdates {
  readonly folder: string
  readonly #disk: ReadableDisk

  constructor(disk: ReadableDisk) {
    this.folder = `${disk.path}/ota`
    this.#disk = disk
  }

  /** Of the two on the disk the newer one that is whole. */
  get record(): SeenRecord | undefined {
    const found = [0, 1].map((at) => {
      const bytes = this.#disk.peek(`${this.folder}/record.${at}`)
      if (bytes === undefined || sha256Of(bytes.subarray(64)) !== bytes.toString('latin1', 0, 64)) return undefined
      const parsed = v.safeParse(recordSchema, bytes.toString('utf8', 64))
      return parsed.success ? parsed.output : undefined
    })
    return found.toSorted((a, b) => (b?.seq ?? -1) - (a?.seq ?? -1))[0]
  }

  /** Versions of metadata by `roles`; 0 for what is not there, or torn. */
  get metadata(): number[] {
    return roles.map((role) => {
      const bytes = this.#disk.peek(`${this.folder}/tuf/${role}.json`)
      const parsed = v.safeParse(versionSchema, bytes?.toString())
      return parsed.success ? parsed.output.signed.version : 0
    })
  }

  /** The digests of all files of the models that have a place in the record. */
  get blobs(): { readonly active: readonly string[]; readonly previous: readonly string[] } {
    const { active = null, previous = null } = this.record ?? {}
    return { active: this.#blobsOf(active), previous: this.#blobsOf(previous === 'factory' ? null : previous) }
  }

  /** Blobs that are there for nothing, parts of them, and those that should be there and are not, or torn. */
  litter(wanted: readonly string[]): string[] {
    const { active, previous } = this.blobs
    const needed = [...active, ...previous]
    const kept = new Set([...needed, ...wanted])
    const there = ['blobs', 'part'].flatMap((name) => this.#disk.names(`${this.folder}/${name}`))
    const torn = needed.filter((sha256) => sha256Of(this.#blob(sha256) ?? Buffer.of()) !== sha256)
    return [...there.filter((name) => !kept.has(name)), ...torn.map((sha256) => `no whole ${sha256}`)]
  }

  /** The version of a model folder, and what in it is not as its manifest's digest says. */
  check(dir: string, manifestSha256: string): { readonly version: string; readonly torn: readonly string[] } {
    const bytes = this.#disk.peek(`${dir}/manifest.json`) ?? Buffer.of()
    if (sha256Of(bytes) !== manifestSha256) return { version: 'unknown', torn: [`${dir}/manifest.json`] }
    const { version, files } = v.parse(manifestSchema, bytes.toString())
    const torn = Object.entries(files).filter(
      ([name, { sha256 }]) => sha256Of(this.#disk.peek(`${dir}/${name}`) ?? Buffer.of()) !== sha256,
    )
    return { version, torn: torn.map(([name]) => `${dir}/${name}`) }
  }

  #blobsOf(model: { readonly sha256: string } | null): string[] {
    if (model === null) return []
    const parsed = v.safeParse(manifestSchema, this.#blob(model.sha256)?.toString())
    return [model.sha256, ...(parsed.success ? Object.values(parsed.output.files).map(({ sha256 }) => sha256) : [])]
  }

  #blob(sha256: string): Buffer | undefined {
    return this.#disk.peek(`${this.folder}/blobs/${sha256}`)
  }
}
