import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { access, constants, readFile, realpath, stat } from 'node:fs/promises'
import { basename, dirname, extname, resolve } from 'node:path'
import { promisify } from 'node:util'
import { type Credentials, credentialStore, noCredentials, storedCredentials } from '../../config/credentials.ts'
import { defaultConfigPath } from '../../config/load.ts'
import { SightdError } from '../../core/errors.ts'
import type { NewFile } from '../../lib/atomic-file.ts'

type Owner = NewFile['owner']

/** Where things are written, and what is there already. */
export type Place = {
  /** Of the configuration, absolute, as it was named. */
  readonly path: string
  /** The same, or where a link of that name leads. */
  readonly target: string
  /** What stands there; undefined: nothing yet. */
  readonly before: { readonly text: string; readonly mode: number; readonly owner: Owner } | undefined
  /** The folder from which systemd hands secrets to the service; undefined: they lie beside the configuration. */
  readonly store: string | undefined
  readonly credentials: Credentials
  /** Secrets beside the configuration: at the broker where there is no store, and at a network camera. */
  readonly passwordFile: string
  readonly cameraPasswordFile: string
  /** Whose those have to be. */
  readonly passwordOwner: Owner
  /** Whether it is for sightd.service. */
  readonly isService: boolean
}

/** The first systemd that looks into the store for what the unit names without a path. */
const leastSystemd = 252

const commandLimitMs = 5000

/** Finds out where to write; throws a SightdError `setup_failed` when this user may not, unless nothing is to be written. */
export async function findPlace(options: {
  readonly config?: string
  readonly credentials?: string
  readonly dryRun?: boolean
}): Promise<Place> {
  const path = resolve(options.config ?? defaultConfigPath)
  const target = await realpath(path).catch(() => path)
  const isRoot = process.getuid?.() === 0
  const isService = path === defaultConfigPath && isRoot
  const store =
    options.credentials === undefined
      ? isService && existsSync(credentialStore) && (await systemdVersion()) >= leastSystemd
        ? credentialStore
        : undefined
      : resolve(options.credentials)
  const before = await readBefore(target, isRoot)
  if (options.dryRun !== true)
    for (const folder of [dirname(target), ...(store === undefined ? [] : [store])]) await checkWritable(folder)
  const stem = basename(path, extname(path))
  const prefix = stem === 'config' ? '' : `${stem}.`
  return {
    path,
    target,
    before,
    store,
    credentials: store === undefined ? noCredentials : storedCredentials(store),
    passwordFile: `${prefix}mqtt-password`,
    cameraPasswordFile: `${prefix}camera-password`,
    passwordOwner: isService ? await ownerNamed('sightd') : undefined,
    isService: isService || options.credentials !== undefined,
  }
}

async function readBefore(path: string, isRoot: boolean): Promise<Place['before']> {
  try {
    const [text, { mode, uid, gid }] = await Promise.all([readFile(path, 'utf8'), stat(path)])
    return { text, mode: mode & 0o777, owner: isRoot ? { uid, gid } : undefined }
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw new SightdError('setup_failed', `${path}: can't be read`, { cause: error })
  }
}

async function checkWritable(folder: string): Promise<void> {
  const nearest = existsSync(folder) ? folder : await nearestAbove(folder)
  await access(nearest, constants.W_OK | constants.X_OK).catch((error: unknown) => {
    const advice = process.getuid?.() === 0 ? '' : '; run it as root (sudo sightd setup), or name a file with --config'
    throw new SightdError('setup_failed', `${folder}: can't be written${advice}`, { cause: error })
  })
}

async function nearestAbove(folder: string): Promise<string> {
  const above = dirname(folder)
  return existsSync(above) || above === folder ? above : nearestAbove(above)
}

async function systemdVersion(): Promise<number> {
  const { stdout } = await run('systemctl', ['--version'])
  return Number(/^systemd (\d+)/.exec(stdout)?.[1] ?? 0)
}

/** Whether the service runs, and so has a camera. */
export async function serviceRuns(): Promise<boolean> {
  return (await run('systemctl', ['is-active', 'sightd'])).stdout.trim() === 'active'
}

/** Who runs the service; undefined where there is no such user. */
async function ownerNamed(user: string): Promise<Owner> {
  const [uid, gid] = await Promise.all(
    ['-u', '-g'].map(async (which) => (await run('id', [which, user])).stdout.trim()),
  )
  return uid && gid ? { uid: Number(uid), gid: Number(gid) } : undefined
}

/** A program that is missing or fails has said nothing. */
async function run(program: string, args: readonly string[]): Promise<{ stdout: string }> {
  return promisify(execFile)(program, args, { timeout: commandLimitMs }).catch(() => ({ stdout: '' }))
}
