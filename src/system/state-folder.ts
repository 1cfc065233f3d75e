import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { realpath } from 'node:fs/promises'
import { createServer } from 'node:net'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { SightdError } from '../core/errors.ts'
import { makeFolderDurably } from '../lib/atomic-file.ts'

/** Where things are kept that have to survive: systemd's word first, then the configuration's, then the usual place. */
export function stateFolderPath(configured: string | undefined): string {
  const fromSystemd = process.env['STATE_DIRECTORY']?.split(':')[0]
  const usual = process.getuid?.() === 0 ? '/var/lib/sightd' : join(homedir(), '.local/state/sightd')
  return resolve(fromSystemd ?? configured ?? usual)
}

/**
 * Makes the folder if it can, and keeps other daemons off it until disposed. One that can't be made or written is no error
 * here: whoever writes there says so. Throws a SightdError `state_in_use` when another sightd has it.
 */
export async function openStateFolder(path: string): Promise<{ readonly path: string } & AsyncDisposable> {
  await makeFolderDurably(path).catch(() => {})
  // An abstract socket (unix(7)) goes with its process, however that ends: no stale lock, nothing on the disk.
  // Anyone may knock: nobody is let in, or the end would wait for them.
  const lock = createServer((socket) => socket.destroy())
  const real = await realpath(path).catch(() => path)
  const name = createHash('sha256').update(real).digest('hex').slice(0, 32)
  lock.listen(`\0sightd-state-${name}`)
  try {
    await once(lock, 'listening')
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EADDRINUSE')) throw error
    throw new SightdError(
      'state_in_use',
      `${path}: another sightd works with this folder; give this one its own state_dir`,
      {
        cause: error,
      },
    )
  }
  return {
    path,
    async [Symbol.asyncDispose]() {
      lock.close()
      await once(lock, 'close')
    },
  }
}
