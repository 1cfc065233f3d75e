import { lstat, mkdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SightdError } from '../core/errors.ts'

/**
 * A folder for this run alone, empty, below systemd's runtime directory or else below one in the directory for temporary
 * files that is ours and closed to others. Named by our pid, so that the next start knows whose it was.
 */
export async function openWorkFolder(): Promise<{ readonly path: string } & AsyncDisposable> {
  const base =
    process.env['RUNTIME_DIRECTORY']?.split(':')[0] ??
    (await privateFolder(join(tmpdir(), `sightd-${process.getuid?.()}`)))
  const path = join(base, `sightd-run-${process.pid}`)
  await rm(path, { recursive: true, force: true })
  await mkdir(path, { mode: 0o700 })
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}

/** Anyone may have put something of that name there before us. */
async function privateFolder(path: string): Promise<string> {
  await mkdir(path, { recursive: true, mode: 0o700 })
  const found = await lstat(path)
  if (!found.isDirectory() || found.uid !== process.getuid?.() || (found.mode & 0o077) !== 0) {
    throw new SightdError(
      'vision_failed',
      `${path}: not a folder of ours that is closed to others; remove it or set RUNTIME_DIRECTORY`,
    )
  }
  return path
}
