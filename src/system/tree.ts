import { constants } from 'node:fs'
import { access, open, readdir, stat } from 'node:fs/promises'
import { delimiter, join } from 'node:path'

/**
 * Careful reading below a root folder, `/` on a device: what is missing, empty, forbidden or odd is null or nothing, never
 * an error.
 */

/** More than this of a file is not read; `/proc/cpuinfo` of 64 cores is about 100 KB. */
const maxBytes = 512 * 1024

/** The text of a file without NULs and white space around it; null when there is none. Never waits for a FIFO's writer. */
export async function readText(root: string, path: string): Promise<string | null> {
  try {
    await using file = await open(join(root, path), constants.O_RDONLY | constants.O_NONBLOCK)
    const chunks: Buffer[] = []
    // Files in /proc have no length and come a page at a time.
    for (let length = 0; length < maxBytes; ) {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(64 * 1024), 0, 64 * 1024, null)
      if (bytesRead === 0) break
      chunks.push(buffer.subarray(0, bytesRead))
      length += bytesRead
    }
    return Buffer.concat(chunks).toString('utf8').replaceAll('\0', ' ').trim() || null
  } catch {
    return null
  }
}

/** The names in a folder, `video2` before `video10`. */
export async function namesIn(root: string, folder: string): Promise<string[]> {
  const names = await readdir(join(root, folder)).catch(() => [])
  return names.sort((a, b) => a.localeCompare(b, 'en', { numeric: true }))
}

export async function exists(root: string, path: string): Promise<boolean> {
  return stat(join(root, path)).then(
    () => true,
    () => false,
  )
}

/** May this process read and write it? Asks the kernel, so that access control lists count too. */
export async function isUsable(root: string, path: string): Promise<boolean> {
  return access(join(root, path), constants.R_OK | constants.W_OK).then(
    () => true,
    () => false,
  )
}

/** Is the file system read-only? The kernel says so before it looks at the user's rights. */
export async function isOnReadOnly(root: string, path: string): Promise<boolean> {
  return access(join(root, path), constants.W_OK).then(
    () => false,
    (error: NodeJS.ErrnoException) => error.code === 'EROFS',
  )
}

/** The first of these programs on the search path, as a path below the root; null when there is none. */
export async function findProgram(root: string, searchPath: string, names: readonly string[]): Promise<string | null> {
  for (const name of names) {
    for (const folder of searchPath.split(delimiter).filter((entry) => entry.startsWith('/'))) {
      const path = join(folder, name)
      const canRun = await access(join(root, path), constants.X_OK).then(
        () => true,
        () => false,
      )
      if (canRun) return path
    }
  }
  return null
}
