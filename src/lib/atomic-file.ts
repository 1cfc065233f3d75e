import { type FileHandle, mkdir, open, rename, rm, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'

/**
 * Files that are there whole or not at all, whenever the power goes. Each of these is done, and on the disk, when its
 * promise resolves; when it rejects, the old state may still be there, or the new one, but no mixture.
 */

/**
 * Replaces a file. A crash before the rename leaves the old file, and perhaps `<path>.new`, which the next write replaces.
 * One writer at a time per path.
 */
export async function writeFileAtomic(path: string, content: string | Uint8Array, mode = 0o600): Promise<void> {
  await writeDraft(path, content, mode)
  await rename(draftOf(path), path)
  await syncFolder(dirname(path))
}

/** A file that is to be there, with a mode that no umask changes. */
export type NewFile = {
  readonly path: string
  readonly content: string | Uint8Array
  readonly mode: number
  /** Whose it is to be; undefined: whoever writes it. */
  readonly owner: { readonly uid: number; readonly gid: number } | undefined
}

/**
 * Replaces files that belong together, one after the other, once all of them are on the disk: whatever can fail for want of
 * room or rights fails before the first is replaced.
 */
export async function replaceFiles(files: readonly NewFile[]): Promise<void> {
  try {
    for (const { path, content, mode, owner } of files)
      await writeDraft(path, content, mode, async (file) => {
        if (owner !== undefined) await file.chown(owner.uid, owner.gid)
        await file.chmod(mode)
      })
    for (const { path } of files) {
      await rename(draftOf(path), path)
      await syncFolder(dirname(path))
    }
  } catch (error) {
    await Promise.all(files.map(({ path }) => rm(draftOf(path), { force: true }).catch(() => {})))
    throw error
  }
}

function draftOf(path: string): string {
  return `${path}.new`
}

/** Puts the content on the disk beside the file; leaves nothing when that fails. */
async function writeDraft(
  path: string,
  content: string | Uint8Array,
  mode: number,
  settle?: (file: FileHandle) => Promise<void>,
): Promise<void> {
  const draft = draftOf(path)
  try {
    // What was left there, or planted: a link would be followed.
    await rm(draft, { force: true })
    await using file = await open(draft, 'wx', mode)
    await settle?.(file)
    await file.writeFile(content)
    // Before the rename: a file system may else put the new name on the disk before the bytes.
    await file.sync()
  } catch (error) {
    // A draft cut short by a full disk would hold the room that others wait for.
    await rm(draft, { force: true }).catch(() => {})
    throw error
  }
}

/** Removes a file for good; one that is not there is fine. */
export async function removeDurably(path: string): Promise<void> {
  await rm(path, { force: true })
  await syncFolder(dirname(path))
}

/** Makes a folder and those above it, as far as they are missing; closed to others unless `mode` says more. */
export async function makeFolderDurably(path: string, mode = 0o700): Promise<void> {
  for (const made of await makeFolder(resolve(path), mode)) await syncFolder(dirname(made))
}

/**
 * Makes a folder and those above it; gives those that it made, the highest first. Node's own `recursive` never ends where
 * mkdir(2) finds no entry though the folder above is there, as in /proc.
 */
async function makeFolder(path: string, mode: number): Promise<string[]> {
  try {
    return await makeOne(path, mode)
  } catch (error) {
    if (!hasCode(error, 'ENOENT') || dirname(path) === path) throw error
    const above = await makeFolder(dirname(path), mode)
    return [...above, ...(await makeOne(path, mode))]
  }
}

/** Nothing is made where a folder is already. */
async function makeOne(path: string, mode: number): Promise<string[]> {
  try {
    await mkdir(path, mode)
    return [path]
  } catch (error) {
    if (hasCode(error, 'EEXIST') && (await stat(path)).isDirectory()) return []
    throw error
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}

/** Puts the names in a folder on the disk: files made, renamed and removed in it. */
export async function syncFolder(path: string): Promise<void> {
  await using folder = await open(path, 'r')
  await folder.sync()
}
