import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { BaseFetcher, Updater } from 'tuf-js'
import { DownloadHTTPError } from 'tuf-js/dist/error.js'
import { onTestFinished } from 'vitest'
import { audit } from '../../src/ota/audit.ts'
import { openTransport } from '../../src/ota/transport.ts'
import { tempFolder } from './temp-folder.ts'

const entry = fileURLToPath(new URL('../../src/main.ts', import.meta.url))
const killAtRename = new URL('./kill-at-rename.ts', import.meta.url).href
const clock = new URL('./clock.ts', import.meta.url).href

export const passphrase = 'correct horse battery'

type Outcome = { readonly code: number | null; readonly stdout: string; readonly stderr: string }
type Circumstances = {
  readonly passphrase?: string | undefined
  readonly killAt?: number
  readonly daysAhead?: number
}

/** Someone in a folder of their own with `sightd ota`. */
export class Operator {
  readonly folder: string

  constructor(folder: string) {
    this.folder = folder
  }

  static async start(): Promise<Operator> {
    return new Operator(await tempFolder())
  }

  get repo(): string {
    return join(this.folder, 'repository')
  }

  async try(args: readonly string[], circumstances: Circumstances = {}): Promise<Outcome> {
    const { killAt, daysAhead = 0 } = circumstances
    const options = [
      ...(killAt === undefined ? [] : [`--import ${killAtRename}`]),
      ...(daysAhead === 0 ? [] : [`--import ${clock}`]),
    ]
    const env = {
      ...process.env,
      NODE_OPTIONS: options.join(' '),
      KILL_AT_RENAME: String(killAt),
      CLOCK_DAYS: String(daysAhead),
      SIGHTD_OTA_PASSPHRASE: 'passphrase' in circumstances ? (circumstances.passphrase ?? '') : passphrase,
    }
    const child = spawn(process.execPath, [entry, 'ota', ...args], {
      cwd: this.folder,
      stdio: ['ignore', 'pipe', 'pipe'],
      env,
    })
    onTestFinished(() => {
      child.kill('SIGKILL')
    })
    const outcome = { stdout: '', stderr: '' }
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      outcome.stdout += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      outcome.stderr += text
    })
    const [code] = await once(child, 'close')
    return { code, ...outcome }
  }

  /** What a command that has to work prints. */
  async run(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.try(args)
    if (code !== 0) throw new Error(`sightd ota ${args.join(' ')} ended with ${code}: ${stderr}${stdout}`)
    return stdout + stderr
  }

  /** What a command that can't work says. */
  async fail(args: readonly string[], circumstances: Circumstances = {}): Promise<string> {
    const { code, stdout, stderr } = await this.try(args, circumstances)
    if (code === 0) throw new Error(`sightd ota ${args.join(' ')} worked: ${stdout}`)
    return stderr
  }

  async audit(circumstances: Circumstances = {}) {
    const { stdout, stderr } = await this.try(['audit', '--json'], circumstances)
    if (stdout === '') throw new Error(stderr)
    return JSON.parse(stdout)
  }

  /** What is wrong with the repository, found in this process. */
  async findings(): Promise<readonly string[]> {
    const { signal } = new AbortController()
    return (await audit({ transport: openTransport(this.repo), nowMs: Date.now(), signal })).findings
  }

  /** Every file below the folder, by its name. */
  files(): Map<string, string> {
    const names = readdirSync(this.folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
    const paths = names.map(({ parentPath, name }) => join(parentPath, name)).sort()
    return new Map(paths.map((path) => [path.slice(this.folder.length + 1), readFileSync(path, 'base64')]))
  }
}

class FolderFetcher extends BaseFetcher {
  readonly #folder: string

  constructor(folder: string) {
    super()
    this.#folder = folder
  }

  override async fetch(url: string): Promise<ReadableStream<Uint8Array<ArrayBuffer>>> {
    const bytes = await readFile(join(this.#folder, decodeURIComponent(new URL(url).pathname))).catch(() => {
      throw new DownloadHTTPError('not there', 404)
    })
    return new ReadableStream({
      start(controller) {
        controller.enqueue(Uint8Array.from(bytes))
        controller.close()
      },
    })
  }
}

/** A device of another make (tuf-js) that remembers what it saw. Resolves to a target's text, undefined when there is none. */
export class OtherDevice {
  readonly #folder: string
  readonly #repo: string

  constructor(folder: string, repo: string) {
    this.#folder = folder
    this.#repo = repo
  }

  /** It knows the first root. */
  static async of(repo: string): Promise<OtherDevice> {
    const folder = await tempFolder()
    await mkdir(join(folder, 'targets'))
    await writeFile(join(folder, 'root.json'), await readFile(join(repo, 'metadata/1.root.json')))
    return new OtherDevice(folder, repo)
  }

  async fetch(path: string): Promise<Buffer | undefined> {
    const updater = new Updater({
      metadataDir: this.#folder,
      metadataBaseUrl: 'http://repository/metadata',
      targetDir: join(this.#folder, 'targets'),
      targetBaseUrl: 'http://repository/targets',
      fetcher: new FolderFetcher(this.#repo),
    })
    await updater.refresh()
    const target = await updater.getTargetInfo(path)
    return target === undefined ? undefined : readFile(await updater.downloadTarget(target))
  }

  /** Which model a group should run. */
  async modelOf(group: string): Promise<string> {
    const bytes = await this.fetch(`desired/${group}.json`)
    return bytes === undefined ? 'none' : JSON.parse(bytes.toString()).model
  }
}
