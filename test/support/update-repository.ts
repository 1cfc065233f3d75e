import { readdir, readFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import * as v from 'valibot'
import { approve, folderOfManifest, manifestPathOf, withoutModel } from '../../src/ota/approved-models.ts'
import { defaultLifetimes } from '../../src/ota/documents.ts'
import { type Change, makeDrafts } from '../../src/ota/drafts.ts'
import { type Group, modelOf, promoted, readGroups, withGroups, withoutRevoked } from '../../src/ota/groups.ts'
import { Keyring, makeKey, writeKey } from '../../src/ota/key-files.ts'
import { filesOf } from '../../src/ota/publish.ts'
import { type RepositoryState, readerOf, readRepository, sha256Of, writeFiles } from '../../src/ota/repository.ts'
import { newRepository } from '../../src/ota/role-keys.ts'
import { Operator, passphrase } from './operator.ts'
import { RepositoryServer } from './repository-server.ts'
import { tempFolder } from './temp-folder.ts'

type Signing = {
  /** By whose clock it is signed; one of the past makes what has expired. */
  readonly nowMs?: number
}

type Approval = Signing & {
  readonly rollbackIndex?: number
}

type Rollout = Signing & {
  readonly percent?: number
  readonly hold?: boolean
  readonly fromMs?: number
}

/** Of a manifest as bad as can be, what tells where it belongs. */
const nameSchema = v.object({ name: v.string(), version: v.string() })

/**
 * A repository as `sightd ota` makes it, and an operator who looks at nothing before signing: it takes models that no
 * `sightd ota add` would. Every change is signed by the keys of its roles, written as the commands write it, and takes
 * milliseconds. The commands work on it as well.
 */
export class UpdateRepository {
  readonly folder: string
  readonly repo: string
  /** What a device has to know. */
  readonly rootPath: string
  readonly operator: Operator

  private constructor(folder: string) {
    this.folder = folder
    this.operator = new Operator(folder)
    this.repo = this.operator.repo
    this.rootPath = join(this.repo, 'metadata/1.root.json')
  }

  /** `keys/` and `repository/` in a folder, a temporary one if none is given. */
  static async create(folder?: string): Promise<UpdateRepository> {
    const repository = new UpdateRepository(folder ?? (await tempFolder()))
    const make = async (name: string) => {
      const key = makeKey(name)
      await writeKey(repository.#keys, key, passphrase)
      return key.signer
    }
    const change = newRepository(
      {
        root: [await make('root-1'), await make('root-2'), await make('root-3')],
        targets: [await make('targets-1')],
        deploy: [await make('deploy-1')],
        snapshot: [await make('snapshot-1')],
        timestamp: [await make('timestamp-1')],
      },
      2,
      defaultLifetimes,
    )
    await repository.#sign(() => change, {})
    return repository
  }

  /** Approves a model, whatever it is, and resolves with its path: `models/brightness/2/manifest.json`. */
  async publish(modelFolder: string, approval: Approval = {}): Promise<string> {
    const model = await readModel(modelFolder, approval)
    await this.#sign((state) => approve(needed(state).targets, model) ?? {}, approval)
    return model.path
  }

  /** What a group should run, which need not be approved. */
  async desire(group: string, path: string, rollout: Rollout = {}): Promise<void> {
    await this.#sign((state) => this.#desired(needed(state), group, path, rollout), rollout)
  }

  /** Both at once. */
  async offer(
    modelFolder: string,
    { group = 'porch', ...rollout }: Approval & Rollout & { readonly group?: string } = {},
  ): Promise<string> {
    const model = await readModel(modelFolder, rollout)
    await this.#sign(async (state) => {
      const approved = approve(needed(state).targets, model)
      const desired = await this.#desired(needed(state), group, model.path, rollout)
      return { ...approved, ...desired, files: [...(approved?.files ?? []), ...(desired.files ?? [])] }
    }, rollout)
    return model.path
  }

  /** Takes a model back, and the groups that should run it with it, as `sightd ota revoke` does. */
  async revoke(path: string, signing: Signing = {}): Promise<void> {
    const folder = folderOfManifest(path)
    await this.#sign(async (state) => {
      const { targets, deploy } = needed(state)
      const groups = await readGroups(deploy, readerOf(this.repo))
      const touched = groups.filter((group) => modelOf(group) === folder || group.history.includes(folder))
      const next = touched.map((group) => withoutRevoked(group, folder, signing.nowMs ?? Date.now()))
      return { targets: withoutModel(targets, folder), ...withGroups(deploy, next) }
    }, signing)
  }

  /** A new timestamp, and nothing else but a snapshot that is half over. */
  async refresh(signing: Signing = {}): Promise<void> {
    await this.#sign(() => ({}), signing)
  }

  serve(): Promise<RepositoryServer> {
    return RepositoryServer.start(this.repo)
  }

  get #keys(): string {
    return join(this.folder, 'keys')
  }

  async #desired(state: RepositoryState, name: string, path: string, rollout: Rollout): Promise<Change> {
    const { percent = 100, hold = false, fromMs, nowMs = Date.now() } = rollout
    const groups = await readGroups(state.deploy, readerOf(this.repo))
    const old = groups.find((group) => group.name === name)
    const next = promoted(old, name, { folder: folderOfManifest(path), percent, fromMs }, nowMs)
    const group: Group = { ...next, desired: { ...next.desired, hold } }
    return withGroups(state.deploy, [group])
  }

  async #sign(
    change: (state: RepositoryState | undefined) => Change | Promise<Change>,
    { nowMs = Date.now() }: Signing,
  ): Promise<void> {
    const read = readerOf(this.repo)
    const state = await readRepository(read)
    const keyring = await Keyring.open(this.#keys, async (_, isRetry) => (isRetry ? undefined : passphrase))
    const made = await change(state)
    const drafts = await makeDrafts(state, made, keyring, nowMs)
    const { files } = await filesOf(state, drafts, made.files ?? [], { keyring, nowMs, read, isRefresh: true })
    await writeFiles(this.repo, files)
  }
}

function needed(state: RepositoryState | undefined): RepositoryState {
  if (state === undefined) throw new Error('the repository is gone')
  return state
}

/** Every file that lies in the folder. */
async function readModel(folder: string, { rollbackIndex = 0 }: Approval) {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const paths = entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name))
  const files = await Promise.all(
    paths.map(async (path) => ({ name: relative(folder, path), bytes: await readFile(path) })),
  )
  const bytesOf = (file: string) => files.find(({ name }) => name === file)?.bytes ?? Buffer.of()
  const { name, version } = v.parse(nameSchema, JSON.parse(bytesOf('manifest.json').toString()))
  const path = manifestPathOf(`models/${name}/${version}`)
  return { name, version, path, networkSha256: sha256Of(bytesOf('model.onnx')), rollbackIndex, files }
}
