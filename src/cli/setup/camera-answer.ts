import { join } from 'node:path'
import * as v from 'valibot'
import { describeKeys } from '../../config/keys.ts'
import { SightdError } from '../../core/errors.ts'
import { type SourceOptions, sourceOptionsSchema } from '../../core/source-options.ts'
import type { JsonObject } from '../../lib/json.ts'
import { packageRoot } from '../../lib/package.ts'
import { formatSchemaIssue, schemaIssues } from '../../lib/schema-issues.ts'
import { type Account, isSameHost, type KnownAccount } from './account.ts'
import type { Place } from './place.ts'

/** Which camera, by the keys that say so. */
export type CameraTarget =
  | { readonly source: 'libcamera'; readonly index: number }
  | { readonly source: 'v4l2'; readonly device: string }
  | { readonly source: 'url'; readonly url: string }
  | { readonly source: 'replay'; readonly path: string }
  | { readonly source: 'synthetic' }

/** `target` undefined: the camera that is configured. `account`: who we are at a network camera, undefined at any other. */
export type CameraAnswer = { readonly target: CameraTarget | undefined; readonly account: Account | undefined }

/** What has to change for it. A null takes away. */
export type CameraChange = {
  readonly camera: JsonObject
  /** For a file beside the configuration. */
  readonly password: string | undefined
  /** The file of the password before, as the configuration named it, when it no longer counts. */
  readonly unused: string | undefined
}

export const demoPictures = join(packageRoot, 'deploy/demo')

/** How a camera is named on the command line and at the question. */
export const cameraForms = 'libcamera, /dev/video0, a URL such as rtsp://192.168.1.20/stream, or demo'

/** Throws a SightdError `config_invalid` that says what a camera may be called. */
export function parseCamera(text: string): CameraTarget {
  const target = targetOf(text)
  if (target === undefined)
    throw new SightdError('config_invalid', `found ${JSON.stringify(text)}, has to be ${cameraForms}`)
  const parsed = v.safeParse(sourceOptionsSchema, target)
  if (parsed.success) return target
  const mistakes = schemaIssues(parsed.issues).map(formatSchemaIssue).join('; ')
  const { username, password } = URL.parse(text) ?? {}
  const advice = username || password ? ': leave them out; setup asks for them, or takes them as options' : ''
  throw new SightdError('config_invalid', mistakes + advice)
}

function targetOf(text: string): CameraTarget | undefined {
  const [, index] = /^libcamera(?::(\d{1,4}))?$/.exec(text) ?? []
  if (index !== undefined || text === 'libcamera') return { source: 'libcamera', index: Number(index ?? 0) }
  if (text === 'demo') return { source: 'replay', path: demoPictures }
  if (text.startsWith('/dev/')) return { source: 'v4l2', device: text }
  return text.includes('://') ? { source: 'url', url: text } : undefined
}

/** A configured camera in the same words; one that can't be named so as `configured: …`. */
export function nameCamera(camera: JsonObject): string {
  const { source, index, device, url, path } = camera
  if (source === 'libcamera') return typeof index === 'number' && index > 0 ? `libcamera:${index}` : 'libcamera'
  if (source === 'v4l2') return String(device)
  if (source === 'url') return String(url)
  if (source === 'replay' && path === demoPictures) return 'demo'
  return `configured: ${source}${path === undefined ? '' : ` ${path}`}`
}

/** What a camera's own settings are for, and not for the next one of that kind. */
const personalKeys: Readonly<Record<SourceOptions['source'], readonly string[]>> = {
  libcamera: ['mode', 'lens_position'],
  v4l2: ['input_format'],
  url: [],
  file: [],
  replay: [],
  synthetic: [],
}

/** What makes the configured camera into that one; nothing when it is that one. */
export function cameraPatch(target: CameraTarget, configured: JsonObject = {}): JsonObject {
  if (isSame(target, configured)) return {}
  const allowed = describeKeys()
    .filter(({ parent, only }) => parent === 'camera' && (only.length === 0 || only.includes(target.source)))
    .map(({ name }) => name)
  const isElsewhere = target.source === 'url' && !isSameHost(urlOf(configured), target.url)
  const personal = [...personalKeys[target.source], ...(isElsewhere ? ['username', 'password_file'] : [])]
  const isOfOther = (key: string) =>
    !allowed.includes(key) || (configured['source'] === target.source && personal.includes(key))
  const known = describeKeys()
    .filter(({ parent }) => parent === 'camera')
    .map(({ name }) => name)
  // A key that no camera has is a mistake, which nobody wants to lose unseen.
  const gone = Object.keys(configured).filter((key) => known.includes(key) && isOfOther(key))
  return {
    ...Object.fromEntries(gone.map((key) => [key, null])),
    ...target,
    ...('index' in target && target.index === 0 ? { index: null } : {}),
  }
}

function isSame(target: CameraTarget, configured: JsonObject): boolean {
  const usual: JsonObject = { index: 0 }
  return Object.entries(target).every(([key, value]) => (configured[key] ?? usual[key]) === value)
}

/** Where a network camera is; undefined for another. */
export function urlOf(camera: JsonObject = {}): string | undefined {
  const { source, url } = camera
  return source === 'url' && typeof url === 'string' ? url : undefined
}

/** Who we are at the configured camera, should it be one of the network. */
export function knownAccount(camera: JsonObject = {}): KnownAccount {
  const { username, password_file: file } = camera
  return {
    url: urlOf(camera),
    username: typeof username === 'string' ? username : undefined,
    hasPassword: typeof file === 'string',
  }
}

/** What makes the configured camera, with its login, into the answer's. */
export function cameraChange(
  { target, account }: CameraAnswer,
  configured: JsonObject = {},
  { cameraPasswordFile }: Pick<Place, 'cameraPasswordFile'>,
): CameraChange {
  const patch = new Map(Object.entries(target === undefined ? {} : cameraPatch(target, configured)))
  const set = (key: string, value: string | null) =>
    value === (configured[key] ?? null) ? patch.delete(key) : patch.set(key, value)
  const password = account?.password.kind === 'given' ? account.password.text : undefined
  if (account !== undefined) set('username', account.username ?? null)
  if (account !== undefined && account.password.kind !== 'kept')
    set('password_file', password === undefined ? null : cameraPasswordFile)
  const { password_file: before } = configured
  return {
    camera: Object.fromEntries(patch),
    password,
    unused: patch.has('password_file') && typeof before === 'string' ? before : undefined,
  }
}
