import { existsSync, readFileSync } from 'node:fs'
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { endProgram, isCameraProgram, pidFile } from './camera-process.ts'

/**
 * Ends camera programs that a crashed daemon has left behind, and removes its working folder. Working folders lie side by
 * side, each named by the pid of its daemon; one whose daemon lives is not ours to touch.
 */
export async function endLeftovers(base: string): Promise<void> {
  const names = await readdir(base).catch(() => [])
  for (const name of names.filter((candidate) => /^\d+$/.test(candidate) && !existsSync(`/proc/${candidate}`))) {
    const folder = join(base, name)
    const pid = readPid(join(folder, pidFile))
    if (pid !== undefined && isCameraProgram(pid)) await endProgram(pid)
    await rm(folder, { recursive: true, force: true })
  }
}

function readPid(path: string): number | undefined {
  try {
    return Number.parseInt(readFileSync(path, 'utf8'), 10) || undefined
  } catch {
    return undefined
  }
}
