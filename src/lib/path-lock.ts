import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { constants } from 'node:fs'
import { type FileHandle, lstat, open, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { SightdError } from '../core/errors.ts'
import { describeDiskError, errorCode } from './disk-error.ts'

const limitMs = 5000

/**
 * Keeps other processes that ask for the same folder, by whatever name, away until disposed; undefined when one is at it.
 * The lock (flock(2)) is on a file that only the folder's owner can open: a name that all share, as an abstract socket has,
 * anyone could take first. It belongs to our open file and goes with our process, however that ends: no lock is stale, and
 * the file stays, since removing it would let two in. Where nothing can be written there is nothing to keep. Throws a
 * SightdError `state_in_use` when it can't be found out.
 */
export async function lockPath(purpose: string, folder: string): Promise<AsyncDisposable | undefined> {
  const path = join(folder, `.${purpose}.lock`)
  const file = await openLock(path)
  try {
    if (file === undefined || (await isOurs(file, path))) return { [Symbol.asyncDispose]: async () => file?.close() }
  } catch (error) {
    await file?.close()
    throw error
  }
  await file.close()
  return undefined
}

/** Undefined where no file can be made. */
async function openLock(path: string): Promise<FileHandle | undefined> {
  try {
    // Not to write: a file that is open so keeps its file system from becoming read-only.
    const file = await open(path, constants.O_RDONLY | constants.O_CREAT | constants.O_NOFOLLOW, 0o600)
    await closeToOthers(file, dirname(path))
    return file
  } catch (error) {
    const code = errorCode(error) ?? ''
    const isUnwritable = ['ENOENT', 'ENOTDIR', 'EACCES', 'EPERM', 'ENOSPC', 'EDQUOT'].includes(code)
    if (code === 'EROFS' || (isUnwritable && !(await isThere(path)))) return undefined
    throw failure(path, describeDiskError(error))
  }
}

/** What a copy or another umask has opened; and root gives the file to whose folder it is. Some sticks know neither. */
async function closeToOthers(file: FileHandle, folder: string): Promise<void> {
  const { mode, uid } = await file.stat()
  if ((mode & 0o077) !== 0) await file.chmod(0o600).catch(() => {})
  const owner = await stat(folder)
  if (process.getuid?.() === 0 && uid !== owner.uid) await file.chown(owner.uid, owner.gid).catch(() => {})
}

async function isThere(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  )
}

/** Node has no flock(2): flock(1) of util-linux, which gets the open file, locks it for us and ends. */
async function isOurs(file: FileHandle, path: string): Promise<boolean> {
  const child = spawn('flock', ['-n', '-x', '3'], { stdio: ['ignore', 'ignore', 'ignore', file.fd], timeout: limitMs })
  const [code, signal] = await once(child, 'exit').catch((error: unknown) => {
    throw failure(path, `it takes flock(1) of util-linux (${describeDiskError(error)})`)
  })
  if (code !== 0 && code !== 1) throw failure(path, `flock(1) ended with ${signal ?? `exit code ${code}`}`)
  return code === 0
}

const failure = (path: string, why: string) => new SightdError('state_in_use', `${path}: can't be locked: ${why}`)
