import { existsSync } from 'node:fs'
import { chmod, readFile, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { storedName } from '../../config/credentials.ts'
import { makeFolderDurably, type NewFile, removeDurably, replaceFiles } from '../../lib/atomic-file.ts'
import type { CameraChange } from './camera-answer.ts'
import type { LoginChange } from './login-answer.ts'
import type { Place } from './place.ts'

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
export async function planFiles(
  place: Place,
  text: string,
  camera: CameraChange,
  login: LoginChange,
): Promise<FilePlan> {
  const { target, before, store } = place
  const stored = [...login.credentials].map(([name, bytes]) => ({ path: join(store ?? '', storedName(name)), bytes }))
  const beside = (name: string) => resolve(dirname(place.path), name)
  const passwordFile = (name: string, password: string | undefined) =>
    password === undefined
      ? []
      : [{ path: beside(name), content: Buffer.from(`${password}\n`), owner: place.passwordOwner }]
  const secrets = [
    ...stored.map(({ path, bytes }) => ({ path, content: bytes, owner: undefined })),
    ...passwordFile(place.passwordFile, login.password),
    ...passwordFile(place.cameraPasswordFile, camera.password),
  ]
  const states = await Promise.all(secrets.map(async (file) => ({ ...file, now: await contentOf(file) })))
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
    unused: [login.unused, camera.unused].filter((name) => name !== undefined).map(beside),
    removed: states.filter(({ content, now }) => content === null && now !== undefined).map(({ path }) => path),
  }
}

/** Of a secret as it should be: one that others can read, or that is another's, has to be written anew. */
async function contentOf({ path, owner }: Pick<NewFile, 'path' | 'owner'>): Promise<Buffer | undefined> {
  try {
    const [bytes, { mode, uid }] = await Promise.all([readFile(path), stat(path)])
    return (mode & 0o777) === secretMode && uid === (owner?.uid ?? uid) ? bytes : Buffer.alloc(0)
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
