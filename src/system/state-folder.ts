import { existsSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { SightdError } from '../core/errors.ts'
import { makeFolderDurably } from '../lib/atomic-file.ts'
import { lockPath } from '../lib/path-lock.ts'

/** Where systemd/sightd.service keeps its state. */
const serviceFolder = '/var/lib/sightd'

/** Where things are kept that have to survive: systemd's word first, then the configuration's, then the usual place. */
export function stateFolderPath(configured: string | undefined): string {
  const fromSystemd = process.env['STATE_DIRECTORY']?.split(':')[0]
  const usual = process.getuid?.() === 0 ? serviceFolder : join(homedir(), '.local/state/sightd')
  return resolve(fromSystemd ?? configured ?? usual)
}

/** For a command that a person runs on the service's configuration, as whoever: where the service, if it has run, keeps them. */
export function serviceStatePath(configured: string | undefined, folder = serviceFolder): string {
  return stateFolderPath(configured ?? (existsSync(folder) ? folder : undefined))
}

/**
 * Makes the folder if it can, and keeps other daemons off it until disposed. One that can't be made or written is no error
 * here: whoever writes there says so. Throws a SightdError `state_in_use` when another sightd has it, or is to have it: what root
 * writes into the folder of another user, that user can't read.
 */
export async function openStateFolder(path: string): Promise<{ readonly path: string } & AsyncDisposable> {
  await makeFolderDurably(path).catch(() => {})
  const uid = process.getuid?.()
  const owner = await stat(path).then(
    (folder) => folder.uid,
    () => uid,
  )
  if (uid === 0 && owner !== uid)
    throw new SightdError(
      'state_in_use',
      `${path} belongs to another user, who could not read what root writes there: systemctl start sightd, be that user, or set another state_dir`,
    )
  const lock = await lockPath('state', path)
  if (lock === undefined)
    throw new SightdError(
      'state_in_use',
      `${path}: another sightd works with this folder; give this one its own state_dir`,
    )
  return { path, [Symbol.asyncDispose]: () => lock[Symbol.asyncDispose]() }
}
