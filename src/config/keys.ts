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
  /** The choices of the section's deciding key that have this key; empty where it is always there. */
  readonly only: readonly string[]
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
  for (const { name, schema, only } of entriesOf(section)) {
    const path = parent === '' ? name : `${parent}.${name}`
    const parts = partsOf(schema)
    const isOptional = parts.some((part) => part.type === 'optional')
    const fallback = parts.map((part) => part['default']).find((value) => value !== undefined)
    const isSection = entriesOf(schema).length > 0
    const description = v.getDescription(schema) ?? ''
    yield {
      path,
      parent,
      name,
      only,
      allowed: allowedBy(schema),
      fallback,
      isRequired: !isOptional,
      isSection,
      description,
    }
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

type Entry = { readonly name: string; readonly schema: v.GenericSchema; readonly only: readonly string[] }

/**
 * The keys of a section. Where one key decides over the others (`camera.source`), the keys of every choice, each with the
 * choices that have it; the deciding key itself takes any of them.
 */
function entriesOf(schema: unknown): Entry[] {
  const parts = partsOf(schema)
  // The walk is over valibot's own tree, which types its entries no further than this.
  const object = parts.find((part) => part.type === 'strict_object') as ObjectPart | undefined
  if (object !== undefined)
    return Object.entries(object.entries).map(([name, entry]) => ({ name, schema: entry, only: [] }))
  const variant = parts.find((part) => part.type === 'variant') as VariantPart | undefined
  if (variant === undefined) return []
  const choices = variant.options.map((option) =>
    String(
      partsOf(option.entries[variant.key])
        .map((part) => part['literal'])
        .find((literal) => literal !== undefined),
    ),
  )
  const entries = variant.options.flatMap((option, i) =>
    Object.entries(option.entries).map(([name, entry]) => ({ name, schema: entry, choice: choices[i] ?? '' })),
  )
  const alike = Map.groupBy(entries, ({ name, schema: entry }) =>
    name === variant.key ? name : `${name} ${v.getDescription(entry)}`,
  )
  return [...alike.values()].map((group) => {
    const [{ name, schema: entry } = { name: '', schema: v.never() }] = group
    if (name === variant.key)
      return {
        name,
        schema: v.pipe(
          v.picklist(choices),
          v.description('Which kind of camera; it decides which of the other keys there are.'),
        ),
        only: [],
      }
    return { name, schema: entry, only: group.length === choices.length ? [] : group.map(({ choice }) => choice) }
  })
}

type ObjectPart = { readonly entries: Record<string, v.GenericSchema> }
type VariantPart = {
  readonly key: string
  readonly options: readonly { readonly entries: Record<string, v.GenericSchema> }[]
}

function allowedBy(schema: unknown): string {
  const all = partsOf(schema).flatMap((part) => {
    const { type, requirement, message, options } = part
    if (typeof message === 'string') return [message]
    if (type === 'picklist' && Array.isArray(options)) return [options.map((option) => `\`${option}\``).join(', ')]
    if (type === 'min_value') return [`at least ${requirement}`]
    if (type === 'max_value') return [`at most ${requirement}`]
    if (type === 'integer') return ['whole']
    if (type === 'number') return ['a number']
    if (type === 'boolean') return ['`true` or `false`']
    if (type === 'string') return ['text']
    if (type === 'array') return ['a list']
    if (type === 'record') return ['names with values']
    return []
  })
  const words = [...new Set(all)]
  return words.some((word) => word !== 'text')
    ? words.filter((word) => word !== 'text').join(', ')
    : words.slice(0, 1).join('')
}
