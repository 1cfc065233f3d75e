import { existsSync } from 'node:fs'
import { chmod, readFile, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { storedName } from '../../config/credentials.ts'
import { makeFolderDurably, type NewFile, removeDurably, replaceFiles } from '../../lib/atomic-file.ts'
import type { LoginChange } from './login-answer.ts'
import { type Place, passwordPath } from './place.ts'

/** What is to be written and taken away, but for what is as it should be already. */
export type FilePlan = {
  readonly folders: readonly { readonly path: string; readonly mode: number }[]
  readonly written: readonly PlannedFile[]
  readonly removed: readonly string[]
  /** Secrets that no longer count; they stay, since people may have them for more than this. */
  readonly unused: readonly string[]
}

export type PlannedFile = NewFile & { readonly what: 'config' | 'old' | 'secret' }

const secretMode = 0o600
/** The service runs as another user, and there is no secret in it. */
const configMode = 0o644

/** The configuration comes last: what it names is there before it. */
export async function planFiles(place: Place, text: string, change: LoginChange): Promise<FilePlan> {
  const { target, before, store } = place
  const stored = [...change.credentials].map(([name, bytes]) => ({ path: join(store ?? '', storedName(name)), bytes }))
  const secrets = [
    ...stored.map(({ path, bytes }) => ({ path, content: bytes, owner: undefined })),
    ...(change.password === undefined
      ? []
      : [{ path: passwordPath(place), content: Buffer.from(`${change.password}\n`), owner: place.passwordOwner }]),
  ]
  const states = await Promise.all(secrets.map(async (file) => ({ ...file, now: await contentOf(file.path) })))
  const isNew = text !== before?.text
  return {
    folders: [
      { path: dirname(target), mode: 0o755 },
      ...(secrets.some(({ content }) => content !== null) && store !== undefined ? [{ path: store, mode: 0o700 }] : []),
    ],
    written: [
      ...(isNew && before !== undefined
        ? [{ ...before, what: 'old' as const, path: `${target}.old`, content: before.text }]
        : []),
      ...states.flatMap(({ path, content, owner, now }) =>
        content === null || now?.equals(content)
          ? []
          : [{ what: 'secret' as const, path, content, owner, mode: secretMode }],
      ),
      ...(isNew
        ? [
            {
              what: 'config' as const,
              path: target,
              content: text,
              mode: before?.mode ?? configMode,
              owner: before?.owner,
            },
          ]
        : []),
    ],
    unused: change.unused === undefined ? [] : [resolve(dirname(place.path), change.unused)],
    removed: states.filter(({ content, now }) => content === null && now !== undefined).map(({ path }) => path),
  }
}

/** Of a secret as it should be: one that others can read has to be written anew. */
async function contentOf(path: string): Promise<Buffer | undefined> {
  try {
    const [bytes, { mode }] = await Promise.all([readFile(path), stat(path)])
    return (mode & 0o777) === secretMode ? bytes : Buffer.alloc(0)
  } catch {
    return undefined
  }
}

/** Writes all of it, or nothing where something is in the way. Not even a second Ctrl-C comes in between. */
export async function applyPlan({ folders, written, removed }: FilePlan): Promise<void> {
  const deaf = () => {}
  const signals = ['SIGINT', 'SIGTERM'] as const
  for (const signal of signals) process.on(signal, deaf)
  try {
    for (const { path, mode } of written.length === 0 ? [] : folders) {
      if (existsSync(path)) continue
      await makeFolderDurably(path, mode)
      // Whatever the umask of who runs this: the service has to get in.
      await chmod(path, mode)
    }
    await replaceFiles(written)
    for (const path of removed) await removeDurably(path)
  } finally {
    for (const signal of signals) process.off(signal, deaf)
  }
}
