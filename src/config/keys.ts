import * as v from 'valibot'
import { configSchema } from './schema.ts'

/** What the schema says of one key, for messages and for docs/configuration.md. */
export type KeyDescription = {
  /** `camera.fps` */
  readonly path: string
  /** `camera` */
  readonly parent: string
  /** `fps` */
  readonly name: string
  readonly allowed: string
  readonly fallback: unknown
  readonly isRequired: boolean
  readonly isSection: boolean
  readonly description: string
}

/** Every key of the configuration, sections before their keys. */
export function describeKeys(): KeyDescription[] {
  return [...walk(configSchema, '')]
}

function* walk(section: v.GenericSchema, parent: string): Generator<KeyDescription> {
  for (const [name, schema] of Object.entries(entriesOf(section))) {
    const path = parent === '' ? name : `${parent}.${name}`
    const isSection = Object.keys(entriesOf(schema)).length > 0
    const isOptional = partsOf(schema).some((part) => part.type === 'optional')
    const fallback = partsOf(schema)
      .map((part) => part['default'])
      .find((value) => value !== undefined)
    const description = v.getDescription(schema) ?? ''
    yield { path, parent, name, allowed: allowedBy(schema), fallback, isRequired: !isOptional, isSection, description }
    yield* walk(schema, path)
  }
}

type Part = { readonly kind: string; readonly type: string; readonly [detail: string]: unknown }

/** A schema with everything it wraps and pipes through, outermost first. */
function partsOf(schema: unknown): Part[] {
  if (!isPart(schema)) return []
  const piped = Array.isArray(schema['pipe']) ? schema['pipe'].filter((part) => part !== schema) : []
  const self = { ...schema, pipe: undefined }
  const inner = [schema['wrapped'], ...piped].flatMap(partsOf)
  return [
    self,
    ...inner.filter(
      (part, i) => inner.findIndex((other) => other.type === part.type && other['message'] === part['message']) === i,
    ),
  ]
}

function isPart(value: unknown): value is Part {
  return typeof value === 'object' && value !== null && 'kind' in value && 'type' in value
}

function entriesOf(schema: unknown): { [key: string]: v.GenericSchema } {
  const object = partsOf(schema).find((part) => part.type === 'strict_object')
  // The walk is over valibot's own tree, which types its entries no further than this.
  return (object?.['entries'] ?? {}) as { [key: string]: v.GenericSchema }
}

function allowedBy(schema: unknown): string {
  const words = partsOf(schema).flatMap((part) => {
    const { type, requirement, message, options } = part
    if (typeof message === 'string') return [message]
    if (type === 'picklist' && Array.isArray(options)) return [options.map((option) => `\`${option}\``).join(', ')]
    if (type === 'min_value') return [`at least ${requirement}`]
    if (type === 'max_value') return [`at most ${requirement}`]
    if (type === 'integer') return ['whole']
    if (type === 'number') return ['a number']
    if (type === 'string') return ['text']
    return []
  })
  return words.some((word) => word !== 'text')
    ? words.filter((word) => word !== 'text').join(', ')
    : words.slice(0, 1).join('')
}
