import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import * as v from 'valibot'
import { packageRoot } from '../../src/lib/package.ts'
import type { Broker } from './broker.ts'

const sightd = join(packageRoot, 'src/main.ts')
const servedSchema = v.pipe(v.string(), v.parseJson(), v.object({ url: v.string() }))

/** A signed repository of models without a model, made and served by the operator's own commands. */
export class FleetRepository implements Disposable {
  readonly url: string
  /** The first root, where a device's trust begins. */
  readonly root: Buffer
  readonly #repo: string
  readonly #keys: readonly string[]
  readonly #server: ChildProcess

  private constructor(url: string, root: Buffer, repo: string, keys: readonly string[], server: ChildProcess) {
    this.url = url
    this.root = root
    this.#repo = repo
    this.#keys = keys
    this.#server = server
  }

  static async create(folder: string): Promise<FleetRepository> {
    const repo = join(folder, 'repository')
    const passphrase = join(folder, 'passphrase')
    await writeFile(passphrase, 'nothing is at stake here\n', { mode: 0o600 })
    const keys = ['--keys', join(folder, 'keys'), '--passphrase-file', passphrase]
    await run(['ota', 'init', '--repo', repo, ...keys, '--root-keys', '1', '--root-threshold', '1'])
    const root = await readFile(join(repo, 'metadata/1.root.json'))
    const server = spawn(process.execPath, [sightd, 'ota', 'serve', '--repo', repo, '--port', '0', '--json'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const [line] = await once(createInterface(server.stdout), 'line')
    return new FleetRepository(v.parse(servedSchema, line).url, root, repo, keys, server)
  }

  /** `sightd ota refresh` and `sightd ota hint`: the next timestamp, and the word of it to all devices. */
  async nudge({ url, caPath }: Broker): Promise<void> {
    await run(['ota', 'refresh', '--repo', this.#repo, ...this.#keys])
    const ca = caPath === undefined ? [] : ['--ca-file', caPath]
    await run(['ota', 'hint', '--repo', this.#repo, '--broker', url, ...ca])
  }

  [Symbol.dispose](): void {
    this.#server.kill('SIGKILL')
  }
}

async function run(args: readonly string[]): Promise<void> {
  await promisify(execFile)(process.execPath, [sightd, ...args])
}
