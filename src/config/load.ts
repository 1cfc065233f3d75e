import { readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import * as v from 'valibot'
import { isMap, isNode, isScalar, LineCounter, parseDocument, stringify, visit } from 'yaml'
import { SightdError } from '../core/errors.ts'
import { type JsonObject, mergePatch } from '../lib/json.ts'
import { formatSchemaIssue, type SchemaGuide, schemaIssues } from '../lib/schema-issues.ts'
import { describeKeys } from './keys.ts'
import { isSourceUrl } from './ota-schema.ts'
import { type Config, configSchema } from './schema.ts'

/** Where the daemon looks unless told otherwise. */
export const defaultConfigPath = '/etc/sightd/config.yaml'

const maxConfigBytes = 256 * 1024

/** Makes a configuration of what is written down and of settings that came later; throws if the two don't fit. */
export type ConfigBuilder = (overlay: JsonObject) => Config

/** Reads and checks a configuration file; throws as `parseConfig` does. */
export async function loadConfig(path: string): Promise<Config> {
  return (await readConfig(path))({})
}

/** Reads a configuration file, without checking it yet. */
export async function readConfig(path: string): Promise<ConfigBuilder> {
  const text = await readText(path)
  return (overlay) => buildConfig(text, path, overlay)
}

/** A configuration of the text of a file at `path`; throws as `parseConfig` does. */
export function buildConfig(text: string, path: string, overlay: JsonObject = {}): Config {
  return absolutePaths(parseConfig(text, path, overlay), dirname(resolve(path)))
}

/** What stands in a text, whether or not it is allowed; throws as `parseConfig` does when it is no YAML that we take. */
export function parseKeys(text: string, name: string): JsonObject {
  return parseWith(v.record(v.string(), v.unknown()), text, name, {})
}

/** What a client of the broker needs of a configuration: the rest of the file may be wrong, or not there. */
const brokerConfigSchema = v.object({
  id: configSchema.entries.id,
  mqtt: configSchema.entries.mqtt,
  home_assistant: configSchema.entries.home_assistant,
})

export type BrokerConfig = v.InferOutput<typeof brokerConfigSchema>

/** Reads and checks what a configuration file says of the broker; throws as `parseConfig` does. */
export async function loadBrokerConfig(path: string): Promise<BrokerConfig> {
  const config = parseWith(brokerConfigSchema, await readText(path), path, {})
  return { ...config, mqtt: absoluteMqtt(config.mqtt, dirname(resolve(path))) }
}

async function readText(path: string): Promise<string> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw new SightdError('config_invalid', `${path}: can't be read (\`sightd run --demo\` does without)`, {
      cause: error,
    })
  })
  if (text.length > maxConfigBytes)
    throw new SightdError('config_invalid', `${path}: ${text.length} characters, at most ${maxConfigBytes} are allowed`)
  return text
}

/**
 * Checks the text of a configuration, with `overlay` laid over it. Throws one SightdError `config_invalid` that lists every
 * mistake with its line (`name` stands for the file), key, what was found and what is allowed. Paths stay as they are written.
 */
export function parseConfig(text: string, name: string, overlay: JsonObject = {}): Config {
  return parseWith(configSchema, text, name, overlay)
}

function parseWith<T>(schema: v.GenericSchema<unknown, T>, text: string, name: string, overlay: JsonObject): T {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false })
  const refuse = (mistakes: readonly Mistake[]) => new SightdError('config_invalid', listInOrder(mistakes, name, lines))
  const broken = [...document.errors, ...document.warnings].map(
    (error): Mistake => ({ offset: error.pos[0], text: error.message }),
  )
  // An alias would let a few bytes stand for gigabytes, and no configuration of ours needs one.
  visit(document, {
    Alias: (_, alias) => void broken.push({ offset: alias.range?.[0] ?? 0, text: 'aliases (*) are not supported' }),
  })
  if (document.contents !== null && !isMap(document.contents)) {
    broken.push({ offset: document.contents.range?.[0], text: 'has to be keys with values, such as `camera:`' })
  }
  if (broken.length > 0) throw refuse(broken)
  const result = v.safeParse(schema, mergePatch(document.toJS() ?? {}, overlay))
  if (result.success) return result.output
  throw refuse(
    schemaIssues(result.issues, guideFor(document)).map((issue) => ({
      offset: keyOffset(document, issue.path),
      text: formatSchemaIssue(issue),
    })),
  )
}

type Mistake = { readonly offset: number | undefined; readonly text: string }

/** One line of text for each mistake, as they stand in the file; those without a place in it come first. */
function listInOrder(mistakes: readonly Mistake[], name: string, lines: LineCounter): string {
  return mistakes
    .toSorted((a, b) => (a.offset ?? -1) - (b.offset ?? -1))
    .map(({ offset, text }) => `${offset === undefined ? name : `${name}:${lines.linePos(offset).line}`}: ${text}`)
    .join('\n')
}

/** Where `source` decides which keys a section has, only those of the source at hand are named. */
function guideFor(document: Document): SchemaGuide {
  const keysOf = (section: readonly (string | number)[]) => {
    const source = String(document.getIn([...section, 'source']))
    return describeKeys().filter(
      ({ parent, only }) => parent === section.join('.') && (only.length === 0 || only.includes(source)),
    )
  }
  return {
    keysIn: (section) => keysOf(section).map((key) => key.name),
    allowedAt: (path) => keysOf(path.slice(0, -1)).find((key) => key.path === path.join('.'))?.allowed ?? '',
  }
}

type Document = ReturnType<typeof parseDocument>

/** Where a key with a value stands, as offsets in the text. An empty value begins and ends after the colon. */
export type KeyPlace = {
  readonly name: string
  readonly start: number
  readonly valueStart: number
  readonly valueEnd: number
}

/** Where keys with values stand; `other` is none of that. `end`: where another one may begin, in `flow` before the brace. */
export type SectionPlace = {
  readonly form: 'block' | 'flow' | 'empty' | 'other'
  readonly end: number
  readonly keys: readonly KeyPlace[]
}

/** Where the keys of a section stand in a text, or with no name those of the whole; undefined when it is not there. */
export function locateSection(text: string, name: string | undefined): SectionPlace | undefined {
  const { contents } = parseDocument(text)
  const node: unknown = name === undefined ? contents : isMap(contents) ? contents.get(name, true) : undefined
  if (!isMap(node)) {
    if (node === undefined || node === null) return undefined
    const isEmpty = isScalar(node) && node.value === null && node.source === ''
    return { form: isEmpty ? 'empty' : 'other', end: (isScalar(node) && node.range?.[0]) || 0, keys: [] }
  }
  const keys = node.items.flatMap(({ key, value }): KeyPlace[] => {
    if (!isScalar(key) || !key.range || !isNode(value) || !value.range) return []
    return [{ name: String(key.value), start: key.range[0], valueStart: value.range[0], valueEnd: value.range[1] }]
  })
  const [, end = 0, whole = 0] = node.range ?? []
  if (node.flow) return { form: 'flow', end: end - 1, keys }
  return { form: 'block', end: name === undefined ? whole : end, keys }
}

/** A value as it is written in one line. */
export function scalarText(value: unknown): string {
  return stringify(value, { lineWidth: 0, blockQuote: false }).trimEnd()
}

/** Where a key stands in the text; for a missing one, where the closest section around it does. */
function keyOffset(document: Document, path: readonly (string | number)[]): number | undefined {
  for (let length = path.length; length > 0; length--) {
    const parent = document.getIn(path.slice(0, length - 1), true)
    const pairs =
      typeof parent === 'object' && parent !== null && 'items' in parent && Array.isArray(parent.items)
        ? parent.items
        : []
    for (const pair of pairs) {
      const key: unknown = pair?.key
      if (isScalar(key) && String(key.value) === String(path[length - 1])) return key.range?.[0]
    }
  }
  return undefined
}

/** Paths in a file are relative to it, wherever the daemon is started. */
function absolutePaths(config: Config, folder: string): Config {
  const { camera, model, mqtt, ota } = config
  const absolute = absoluteIn(folder)
  return {
    ...config,
    ...absolute(config, 'state_dir'),
    camera: {
      ...camera,
      ...('path' in camera ? absolute(camera, 'path') : {}),
      ...('url' in camera ? absolute(camera, 'password_file') : {}),
    },
    model: { ...model, ...absolute(model, 'path') },
    mqtt: absoluteMqtt(mqtt, folder),
    ota: {
      ...ota,
      sources: ota.sources.map((source) => (isSourceUrl(source) ? source : resolve(folder, source))),
      ...absolute(ota, 'root_file'),
      ...absolute(ota, 'ca_file'),
    },
  }
}

function absoluteMqtt(mqtt: Config['mqtt'], folder: string): Config['mqtt'] {
  const absolute = absoluteIn(folder)
  return {
    ...mqtt,
    ...absolute(mqtt, 'password_file'),
    ...absolute(mqtt, 'ca_file'),
    ...absolute(mqtt, 'cert_file'),
    ...absolute(mqtt, 'key_file'),
  }
}

function absoluteIn(folder: string) {
  return <Key extends string>(section: { readonly [K in Key]?: string | undefined }, key: Key) =>
    section[key] === undefined ? {} : { [key]: resolve(folder, section[key]) }
}
