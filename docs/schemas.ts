import { mkdirSync, writeFileSync } from 'node:fs'
import { type ConversionConfig, toJsonSchema } from '@valibot/to-json-schema'
import { isJsonObject } from '../src/lib/json.ts'
import {
  crashSchema,
  currentSchema,
  eventSchema,
  infoSchema,
  metricsSchema,
  requestSchema,
  responseSchema,
  resultSchema,
  stateSchema,
  updateEventSchema,
  updateSchema,
} from '../src/mqtt/messages.ts'

/** docs/schemas/: JSON Schemas of the MQTT messages, for those who don't speak TypeScript. `npm run docs` writes them. */

export const messages = {
  info: infoSchema,
  state: stateSchema,
  current: currentSchema,
  event: eventSchema,
  result: resultSchema,
  metrics: metricsSchema,
  update: updateSchema,
  'update-event': updateEventSchema,
  crash: crashSchema,
  request: requestSchema,
  response: responseSchema,
} as const

const config: ConversionConfig = { target: 'draft-2020-12', errorMode: 'throw' }

/** The width that Biome gives a line. */
const lineWidth = 120

/** The text of each file, by its name. */
export function schemaFiles(): ReadonlyMap<string, string> {
  return new Map(
    Object.entries(messages).map(([name, schema]) => {
      const { $schema, description, ...rest } = toJsonSchema(schema, config)
      return [`${name}.json`, format({ $schema, title: `sightd ${name}`, description, ...openToMore(rest) })]
    }),
  )
}

/**
 * Without `additionalProperties: false`: our own schemas are closed, so that nothing undocumented is sent, but who reads
 * messages has to ignore fields that a later version adds, and must not refuse them by a schema of this one.
 */
function openToMore(schema: object): object {
  const opened = (value: unknown): unknown =>
    Array.isArray(value) ? value.map(opened) : isJsonObject(value) ? openToMore(value) : value
  return Object.fromEntries(
    Object.entries(schema)
      .filter(([key, value]) => !(key === 'additionalProperties' && value === false))
      .map(([key, value]) => [key, opened(value)]),
  )
}

/** As Biome formats JSON: a list of simple values stands in one line if it fits. */
function format(value: object): string {
  const text = JSON.stringify(value, null, 2).replaceAll(
    /^(.*)\[\n([^[\]{}]*)\n *\](,?)$/gm,
    (found, head, items, comma) => {
      const line = `${head}[${items.trim().replaceAll(/,\n */g, ', ')}]${comma}`
      return line.length <= lineWidth ? line : found
    },
  )
  return `${text}\n`
}

if (import.meta.main) {
  const folder = new URL('schemas/', import.meta.url)
  mkdirSync(folder, { recursive: true })
  for (const [name, text] of schemaFiles()) writeFileSync(new URL(name, folder), text)
}
