import { createHash } from 'node:crypto'
import { describeError } from '../core/errors.ts'
import { approvedModels, folderOfManifest, manifestPathOf, modelCustomOf, shortName } from './approved-models.ts'
import { TufClient } from './client.ts'
import { DownloadError } from './download-error.ts'
import { groupPath } from './groups.ts'
import { maxMetadataBytes, type TargetFields, type Targets } from './metadata.ts'
import { OtaError } from './ota-error.ts'
import { targetFileName } from './repository.ts'
import { type Desired, parseDesired } from './rollout.ts'
import type { Transport } from './transport.ts'
import type { MetadataStore, StoredRole } from './trusted-store.ts'

/** What a device that has never been there finds in a repository. */
export type Audit = {
  readonly where: string
  readonly roles: readonly AuditedRole[]
  readonly models: readonly AuditedModel[]
  readonly groups: readonly (Omit<Desired, 'model'> & { readonly group: string; readonly model: string })[]
  /** Each is a reason why a device would not, or not for long, take a model from there. */
  readonly findings: readonly string[]
  readonly targets: { readonly checked: number; readonly bytes: number }
}

type AuditedModel = {
  readonly model: string
  readonly bytes: number
  readonly sha256: string | undefined
  readonly rollbackIndex: number
}

type AuditedRole = {
  readonly role: string
  readonly version: number
  readonly expiresMs: number
  readonly daysLeft: number
}

export type AuditOptions = {
  readonly transport: Transport
  /** The root that devices have; the repository's own first one if left out. */
  readonly firstRoot?: Uint8Array | undefined
  readonly nowMs: number
  readonly signal: AbortSignal
  readonly onProgress?: (doneBytes: number, allBytes: number, path: string) => void
}

/** Goes on after a finding as far as anything can still be said. Throws only when told to stop. */
export async function audit(options: AuditOptions): Promise<Audit> {
  return new Auditor(options).run()
}

class Auditor {
  readonly #options: AuditOptions
  readonly #findings: string[] = []
  readonly #roles: AuditedRole[] = []
  readonly #contents = new Map<string, Uint8Array>()

  constructor(options: AuditOptions) {
    this.#options = options
  }

  async run(): Promise<Audit> {
    const { transport } = this.#options
    const all: [string, TargetFields][] = []
    let approved: Targets | undefined
    const client = await this.#try(() => this.#openClient())
    if (client !== undefined) {
      await this.#try(() => client.refresh(this.#options.signal))
      const { root, timestamp, snapshot, targets } = client.trusted
      this.#addRole('root', root)
      approved = targets
      if (targets !== undefined) this.#addRole('targets', targets)
      const deploy = targets && (await this.#try(() => this.#deployOf(client, targets)))
      if (deploy !== undefined) this.#addRole('deploy', deploy)
      if (snapshot !== undefined) this.#addRole('snapshot', snapshot)
      if (timestamp !== undefined) this.#addRole('timestamp', timestamp)
      all.push(...(targets?.targets ?? []), ...(deploy?.targets ?? []))
    }
    const bytes = await this.#checkTargets(all)
    return {
      where: transport.where,
      roles: this.#roles,
      models: approved === undefined ? [] : this.#models(approved),
      groups: this.#groups(all, approved),
      findings: this.#findings,
      targets: { checked: all.length, bytes },
    }
  }

  async #openClient(): Promise<TufClient> {
    const { transport, signal } = this.#options
    const metadata = (name: string, maxBytes: number) => transport.metadata(`metadata/${name}`, maxBytes, signal)
    const firstRoot = this.#options.firstRoot ?? (await metadata('1.root.json', maxMetadataBytes.root))
    if (firstRoot === undefined)
      throw new OtaError('missing', `${transport.where}: metadata/1.root.json`, 'is it a repository?')
    return TufClient.open({
      store: new MemoryStore(),
      transport: { metadata },
      factoryRoot: firstRoot,
      // Dates are looked at below: a client would stop at the first that has passed.
      clockMs: () => 0,
    })
  }

  /** The client fetches a delegated role when it is asked for a path of it. */
  async #deployOf(client: TufClient, targets: Targets): Promise<Targets | undefined> {
    const deploy = targets.delegations.find(({ name }) => name === 'deploy')
    if (deploy === undefined) throw new OtaError('missing', 'deploy', 'targets delegates nothing to it')
    await client.target(groupPath('-'), this.#options.signal)
    return client.trusted.delegated(deploy, 0)
  }

  #addRole(role: string, { version, expiresMs }: { version: number; expiresMs: number }): void {
    const daysLeft = (expiresMs - this.#options.nowMs) / 86_400_000
    this.#roles.push({ role, version, expiresMs, daysLeft })
    if (daysLeft > 0) return
    const ago = daysLeft > -2 ? `${Math.ceil(-daysLeft * 24)} hours` : `${Math.floor(-daysLeft)} days`
    this.#findings.push(
      `${role} expired ${new Date(expiresMs).toISOString()}, ${ago} ago by the clock of this machine: ` +
        `devices take nothing new (sightd ota refresh${role === 'timestamp' ? '' : ` ${role}`})`,
    )
  }

  async #checkTargets(all: readonly [string, TargetFields][]): Promise<number> {
    const { transport, signal, onProgress } = this.#options
    const total = all.reduce((sum, [, { length }]) => sum + length, 0)
    let done = 0
    for (const [path, { length, sha256 }] of all) {
      const before = done
      await this.#try(async () => {
        const request = { path: targetFileName(path, sha256), length, fromByte: 0, ifRange: undefined }
        await using opened = await transport.openTarget(request, signal)
        const hash = createHash('sha256')
        const kept: Uint8Array[] = []
        for await (const chunk of opened.chunks) {
          done += chunk.length
          if (done - before > length) throw new OtaError('digest_mismatch', path, `more than ${length} bytes`)
          hash.update(chunk)
          if (path.startsWith('desired/')) kept.push(chunk)
          onProgress?.(done, total, path)
        }
        if (done - before !== length) throw new OtaError('digest_mismatch', path, `${done - before} of ${length} bytes`)
        const found = hash.digest('hex')
        if (found !== sha256) throw new OtaError('digest_mismatch', path, `its sha256 is ${found}`)
        this.#contents.set(path, Buffer.concat(kept))
      })
      done = before + length
    }
    return total
  }

  #models({ targets }: Targets): Audit['models'] {
    const paths = Object.fromEntries(
      [...targets].map(([path, { length, sha256, custom }]) => [path, { length, hashes: { sha256 }, custom }]),
    )
    return approvedModels({ _type: 'targets', spec_version: '', version: 0, expires: '', targets: paths }).map(
      ({ folder, bytes, rollbackIndex }) => {
        const custom = modelCustomOf(targets.get(manifestPathOf(folder))?.custom)
        const isRight = custom !== undefined && `models/${custom.name}/${custom.version}` === folder
        if (!isRight) this.#findings.push(`${manifestPathOf(folder)}: what is signed with it does not name this model`)
        return { model: shortName(folder), bytes, sha256: custom?.sha256, rollbackIndex }
      },
    )
  }

  #groups(all: readonly [string, TargetFields][], approved: Targets | undefined): Audit['groups'] {
    return all.flatMap(([path]) => {
      const [, group] = /^desired\/(.+)\.json$/.exec(path) ?? []
      const bytes = this.#contents.get(path)
      if (group === undefined || bytes === undefined) return []
      try {
        const { model, ...desired } = parseDesired(bytes, path)
        if (approved?.targets.has(model) !== true && !desired.hold)
          this.#findings.push(`${path}: asks for ${model}, which is not approved`)
        return [{ group, ...desired, model: shortName(folderOfManifest(model)) }]
      } catch (error) {
        this.#findings.push(describeError(error))
        return []
      }
    })
  }

  async #try<T>(work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work()
    } catch (error) {
      this.#options.signal.throwIfAborted()
      if (!(error instanceof OtaError || error instanceof DownloadError)) throw error
      this.#findings.push(describeError(error))
      return undefined
    }
  }
}

/** A device without a disk. */
class MemoryStore implements MetadataStore {
  readonly #files = new Map<StoredRole, Uint8Array>()

  async read(role: StoredRole): Promise<Uint8Array | undefined> {
    return this.#files.get(role)
  }

  async write(role: StoredRole, bytes: Uint8Array): Promise<void> {
    this.#files.set(role, bytes)
  }

  async remove(role: StoredRole): Promise<void> {
    this.#files.delete(role)
  }
}
