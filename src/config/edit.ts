import { isDeepStrictEqual } from 'node:util'
import { SightdError } from '../core/errors.ts'
import { isJsonObject, type JsonObject } from '../lib/json.ts'
import { buildConfig, type KeyPlace, locateSection, parseConfig, scalarText } from './load.ts'
import type { Config } from './schema.ts'

/**
 * Changes a configuration's text as an RFC 7396 patch says, at most one section deep, and leaves every other character as it
 * is: comments are the reason why people write files. (The YAML package prints a document anew, with all comments at the end
 * of a section moved into it.) Gives the new text with what it comes to, with absolute paths. Throws a SightdError
 * `config_invalid`, which names lines of the text as it was, when the result would not be allowed.
 */
export function editConfig(text: string, path: string, patch: JsonObject): { text: string; config: Config } {
  const wanted = parseConfig(text, path, patch)
  const edited = changesIn(patch).reduce(change, text)
  const config = attempt(() => parseConfig(edited, path))
  // Whatever forms YAML has that are not thought of here.
  if (!isDeepStrictEqual(config, wanted)) {
    const keys = changesIn(patch).map(({ section, key }) => (section === undefined ? key : `${section}.${key}`))
    throw new SightdError(
      'config_invalid',
      `${path}: written in a way that only a person can change: ${keys.join(', ')}`,
    )
  }
  return { text: edited, config: buildConfig(edited, path) }
}

function attempt(act: () => Config): Config | undefined {
  try {
    return act()
  } catch (error) {
    if (error instanceof SightdError) return undefined
    throw error
  }
}

type Change = { readonly section: string | undefined; readonly key: string; readonly value: unknown }

/** What is taken away comes last, so that no section is ever empty in between. */
function changesIn(patch: JsonObject): Change[] {
  return Object.entries(patch)
    .flatMap(([name, value]): Change[] =>
      isJsonObject(value)
        ? Object.entries(value).map(([key, inner]) => ({ section: name, key, value: inner }))
        : [{ section: undefined, key: name, value }],
    )
    .sort((a, b) => Number(a.value === null) - Number(b.value === null))
}

function change(text: string, { section, key, value }: Change): string {
  const place = locateSection(text, section)
  const present = place?.keys.find(({ name }) => name === key)
  if (value === null) return place && present ? without(text, place.keys, place.form, present) : text
  if (present) return withValue(text, present, place?.form === 'flow' ? JSON.stringify(value) : scalarText(value))
  return withKey(text, { section, key, value })
}

function withValue(text: string, { valueStart, valueEnd }: KeyPlace, value: string): string {
  // Between colon and value, and between value and comment, there has to be a space.
  const before = valueStart === valueEnd && text[valueStart - 1] === ':' ? ' ' : ''
  const after = text[valueEnd] === '#' ? ' ' : ''
  return splice(text, valueStart, valueEnd, `${before}${value}${after}`)
}

function withKey(text: string, { section, key, value }: Change): string {
  const eol = text.includes('\r\n') ? '\r\n' : '\n'
  const place = locateSection(text, section)
  if (section === undefined) {
    // A line that is there as an example becomes the real one.
    const example = new RegExp(`^#${key}:[^\\r\\n]*`, 'm')
    const line = `${key}: ${scalarText(value)}`
    if (example.test(text)) return text.replace(example, () => line)
    const first = place?.keys[0]?.start
    // Between a comment and what it is about there is no room.
    if (first !== undefined && endsParagraph(text.slice(0, first))) return withLines(text, first, [line, ''], eol)
    const end = place?.end ?? text.length
    return withLines(text, end, endsParagraph(text.slice(0, end)) ? [line] : ['', line], eol)
  }
  switch (place?.form) {
    case undefined: {
      const end = locateSection(text, undefined)?.end ?? text.length
      const gap = endsParagraph(text.slice(0, end)) ? [] : ['']
      return withLines(text, end, [...gap, `${section}:`, `  ${key}: ${scalarText(value)}`], eol)
    }
    case 'empty':
      return withLines(text, place.end, [`  ${key}: ${scalarText(value)}`], eol)
    case 'flow': {
      const last = place.keys.at(-1)
      const entry = `${key}: ${JSON.stringify(value)}`
      return last === undefined
        ? splice(text, place.end, place.end, ` ${entry} `)
        : splice(text, last.valueEnd, last.valueEnd, `, ${entry}`)
    }
    case 'block': {
      const start = place.keys[0]?.start ?? 0
      const indent = text.slice(text.lastIndexOf('\n', start - 1) + 1, start)
      return withLines(text, place.end, [`${indent}${key}: ${scalarText(value)}`], eol)
    }
    case 'other':
      return text
  }
}

/** Lines of their own, from the next beginning of a line on. */
function withLines(text: string, offset: number, lines: readonly string[], eol: string): string {
  const at = lineStart(text, offset)
  const gap = at > 0 && text[at - 1] !== '\n' ? eol : ''
  return splice(text, at, at, gap + lines.map((line) => `${line}${eol}`).join(''))
}

function without(text: string, keys: readonly KeyPlace[], form: string, { start, valueEnd }: KeyPlace): string {
  if (form !== 'flow') return splice(text, text.lastIndexOf('\n', start - 1) + 1, lineStart(text, valueEnd), '')
  const before = keys.findLast((other) => other.valueEnd <= start)
  const after = keys.find((other) => other.start >= valueEnd)
  if (before !== undefined) return splice(text, before.valueEnd, valueEnd, '')
  return splice(text, start, after?.start ?? valueEnd, '')
}

function endsParagraph(text: string): boolean {
  return text === '' || /\n\r?\n$/.test(text)
}

/** The offset itself where a line begins, else that of the next line, or the end. */
function lineStart(text: string, offset: number): number {
  if (offset === 0 || text[offset - 1] === '\n') return offset
  const end = text.indexOf('\n', offset)
  return end < 0 ? text.length : end + 1
}

function splice(text: string, start: number, end: number, insert: string): string {
  return text.slice(0, start) + insert + text.slice(end)
}
