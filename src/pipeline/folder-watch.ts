import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

/** How often its files are looked at. */
const pollMs = 2000

/** Resolves when a file in the folder, or the folder itself, comes, goes or changes, or when `signal` aborts. */
export async function folderChanges(folder: string, signal: AbortSignal): Promise<void> {
  const before = await fingerprint(folder)
  while (!signal.aborted) {
    await delay(pollMs, undefined, { signal }).catch(() => {})
    if ((await fingerprint(folder)) !== before) return
  }
}

async function fingerprint(folder: string): Promise<string> {
  const names = await readdir(folder, { recursive: true }).catch(() => [])
  const stats = await Promise.all(
    ['.', ...names.sort()].map(async (name) => ({ name, file: await stat(join(folder, name)).catch(() => undefined) })),
  )
  return stats.map(({ name, file }) => `${name} ${file?.ino} ${file?.size} ${file?.mtimeMs}`).join('|')
}
