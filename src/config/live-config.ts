import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describeError, SightdError } from '../core/errors.ts'
import { writeFileAtomic } from '../lib/atomic-file.ts'
import { isJsonObject, type JsonObject, mergePatch } from '../lib/json.ts'
import { nearestName } from '../lib/schema-issues.ts'
import type { ConfigBuilder } from './load.ts'
import type { Config } from './schema.ts'

/**
 * What may be set over MQTT: nothing that opens a file, names a host, or shows a picture, and nothing that needs a restart.
 * Whoever may publish to the broker may set these.
 */
export const remoteKeys = [
  'name',
  'inference.enabled',
  'inference.threshold',
  'inference.max_fps',
  'events',
  'motion',
  'mqtt.result_rate',
  'home_assistant.labels',
  'log.level',
] as const

/** What a reload of the file changes without a restart: the same, and what only the file may say. */
const reloadable: readonly string[] = [...remoteKeys, 'pictures']

const fileName = 'overlay.json'
const previousName = 'overlay.previous.json'

/**
 * The configuration while the daemon runs: what is written in the file, and over it what was set over MQTT, which is kept in
 * the state folder. A setting that doesn't fit is refused whole; the last good ones stay.
 */
export class LiveConfig {
  #build: ConfigBuilder
  readonly #folder: string
  #overlay: JsonObject
  #current: Config
  #written: string
  #writing: Promise<void> = Promise.resolve()
  #problem: string | undefined

  private constructor(build: ConfigBuilder, folder: string, overlay: JsonObject, problem: string | undefined) {
    this.#build = build
    this.#folder = folder
    this.#overlay = overlay
    this.#current = build(overlay)
    this.#written = JSON.stringify(overlay)
    this.#problem = problem
  }

  /** Takes the settings in `folder` that fit: the newest, or those before them, or none. */
  static async open(build: ConfigBuilder, folder: string): Promise<LiveConfig> {
    const problems: string[] = []
    for (const name of [fileName, previousName]) {
      try {
        return new LiveConfig(build, folder, await readOverlay(join(folder, name)), problems.join('; ') || undefined)
      } catch (error) {
        if (isMissing(error)) continue
        problems.push(`settings made over MQTT are left out: ${name}: ${describeError(error)}`)
      }
    }
    return new LiveConfig(build, folder, {}, problems.join('; ') || undefined)
  }

  /** Why settings made over MQTT are not in force, or will not be after the next start, in words. */
  get problem(): string | undefined {
    return this.#problem
  }

  get current(): Config {
    return this.#current
  }

  /** What was set over MQTT. */
  get overlay(): JsonObject {
    return this.#overlay
  }

  /** The settings that can be made over MQTT, as they are in force. */
  get settable(): JsonObject {
    return pick(this.#current)
  }

  /**
   * Changes settings as an RFC 7396 patch: null goes back to what the file says. Throws a SightdError `config_invalid`, and
   * changes nothing, when a key may not be set or the whole does not fit. Resolves to why it could not be kept, if it could not.
   */
  async patch(patch: JsonObject): Promise<string | undefined> {
    refuseOthers(patch)
    const overlay = mergePatch(this.#overlay, patch)
    this.#current = this.#build(overlay)
    this.#overlay = overlay
    // One after the other: two at once would tear the files.
    this.#writing = this.#writing.then(() => this.#write())
    await this.#writing
    return this.problem
  }

  /**
   * Takes what the file says now, as far as that can change while the daemon runs. Gives the keys that differ and hold from the
   * next start on. Throws a SightdError `config_invalid`, and changes nothing, when it does not fit with what was set over MQTT.
   */
  reload(build: ConfigBuilder): readonly string[] {
    const next = build(this.#overlay)
    const [before, now] = [this.#current, next].map((config) => new Map(values(config)))
    const changed = [...new Set([...(before?.keys() ?? []), ...(now?.keys() ?? [])])].filter(
      (key) => before?.get(key) !== now?.get(key),
    )
    this.#build = (overlay) => withFixed(build(overlay), this.#current)
    this.#current = withFixed(next, this.#current)
    return changed.filter((key) => !reloadable.some((part) => key === part || key.startsWith(`${part}.`)))
  }

  /** Writes what is in force, unless that is written down already. */
  async #write(): Promise<void> {
    const text = JSON.stringify(this.#overlay)
    if (text === this.#written) return
    try {
      await writeFileAtomic(join(this.#folder, previousName), this.#written)
      await writeFileAtomic(join(this.#folder, fileName), text)
      this.#written = text
      this.#problem = undefined
    } catch (error) {
      this.#problem = `settings made over MQTT hold until the next start only, they can't be written down: ${describeError(error)}`
    }
  }
}

async function readOverlay(path: string): Promise<JsonObject> {
  const overlay: unknown = JSON.parse(await readFile(path, 'utf8'))
  if (!isJsonObject(overlay)) throw new Error('not a JSON object')
  refuseOthers(overlay)
  return overlay
}

/** Lists every key that may not be set. */
function refuseOthers(patch: JsonObject): void {
  const wrong = [...leaves(patch)]
    .filter(
      ({ path, value }) =>
        !remoteKeys.some(
          (key) => path === key || path.startsWith(`${key}.`) || (value === null && key.startsWith(`${path}.`)),
        ),
    )
    .map(({ path }) => path)
  if (wrong.length === 0) return
  const lines = wrong.map((path) => {
    const nearest = nearestName(path, remoteKeys)
    return `${path}: can't be set over MQTT${nearest === undefined ? '' : ` (did you mean ${nearest}?)`}`
  })
  throw new SightdError('config_invalid', `${lines.join('\n')}\nWhat can be set: ${remoteKeys.join(', ')}`)
}

/** Paths to what is not an object, two levels down at most: that far the keys decide. */
function* leaves(patch: JsonObject, prefix = ''): Generator<{ path: string; value: unknown }> {
  for (const [key, value] of Object.entries(patch)) {
    if (prefix === '' && isJsonObject(value)) yield* leaves(value, `${key}.`)
    else yield { path: `${prefix}${key}`, value }
  }
}

function pick(config: Config): JsonObject {
  return remoteKeys.reduce<JsonObject>((picked, key) => {
    const [section = '', name] = key.split('.')
    const value: unknown = Object.entries(config).find(([at]) => at === section)?.[1]
    const part = name === undefined ? value : isJsonObject(value) ? { [name]: value[name] } : undefined
    return part === undefined ? picked : mergePatch(picked, { [section]: part })
  }, {})
}

/** All single values, by their paths. */
function* values(section: object, prefix = ''): Generator<[string, string]> {
  for (const [key, value] of Object.entries(section)) {
    if (isJsonObject(value)) yield* values(value, `${prefix}${key}.`)
    else yield [`${prefix}${key}`, JSON.stringify(value)]
  }
}

/** A new configuration, but for what holds from the next start on. */
function withFixed(next: Config, current: Config): Config {
  const { name, inference, events, motion, pictures, mqtt, home_assistant: homeAssistant, log } = next
  const { enabled, threshold, max_fps } = inference
  return {
    ...current,
    name,
    inference: { ...current.inference, enabled, threshold, max_fps },
    events,
    motion,
    pictures,
    mqtt: { ...current.mqtt, result_rate: mqtt.result_rate },
    home_assistant: { ...current.home_assistant, labels: homeAssistant.labels },
    log,
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT'
}
