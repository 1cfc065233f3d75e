import { existsSync } from 'node:fs'
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { endRecorded } from './camera-process.ts'

/**
 * Ends camera programs that a crashed daemon has left behind, and removes its working folder. Working folders lie side by
 * side, each named by the pid of its daemon; one whose daemon lives is not ours to touch.
 */
export async function endLeftovers(base: string): Promise<void> {
  for (const name of await readdir(base).catch(() => [])) {
    const pid = /^sightd-run-(\d+)$/.exec(name)?.[1]
    if (pid === undefined || existsSync(`/proc/${pid}`)) continue
    await endRecorded(join(base, name))
    await rm(join(base, name), { recursive: true, force: true })
  }
}
