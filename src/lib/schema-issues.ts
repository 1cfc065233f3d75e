import { distance } from 'fastest-levenshtein'
import type * as v from 'valibot'

/** One thing wrong with a document: where, what was found, what is allowed, and the name that was probably meant. */
export type SchemaIssue = {
  readonly path: readonly (string | number)[]
  readonly kind: 'unknown' | 'missing' | 'wrong'
  readonly found: string
  readonly allowed: string
  readonly nearest?: string
}

/** What a schema allows, for messages about keys that are not there or should not be. */
export type SchemaGuide = {
  keysIn(section: readonly (string | number)[]): readonly string[]
  allowedAt(path: readonly (string | number)[]): string
}

type Issue = v.BaseIssue<unknown>

const noGuide: SchemaGuide = { keysIn: () => [], allowedAt: () => '' }

/** A parser's issues in the order in which they were found. */
export function schemaIssues(issues: readonly Issue[], guide: SchemaGuide = noGuide): SchemaIssue[] {
  return issues.map((issue) => {
    const path = issuePath(issue)
    const known = guide.keysIn(path.slice(0, -1))
    if (issue.type === 'strict_object' && issue.expected === 'never') {
      const key = String(path.at(-1))
      return { path, kind: 'unknown', found: key, allowed: known.join(', '), ...nearestOf(key, known) }
    }
    if (issue.type === 'strict_object' && issue.received === 'undefined') {
      return { path, kind: 'missing', found: 'nothing', allowed: guide.allowedAt(path) }
    }
    const allowed = allowedValues(issue, guide.keysIn(path))
    if (issue.type === 'variant' && issue.received === 'undefined') {
      return { path, kind: 'missing', found: 'nothing', allowed }
    }
    const found = shorten(valueAt(issue))
    return {
      path,
      kind: 'wrong',
      found,
      allowed,
      ...(typeof issue.input === 'string' ? nearestOf(issue.input, pickable(issue)) : {}),
    }
  })
}

/** `a.b[0]: has to be …, found …`. */
export function formatSchemaIssue({ path, kind, found, allowed, nearest }: SchemaIssue): string {
  const at = formatPath(path)
  const hint = nearest === undefined ? '' : ` (did you mean ${nearest}?)`
  if (kind === 'unknown') return `${at}: unknown key${hint}${allowed === '' ? '' : `; known here: ${allowed}`}`
  if (kind === 'missing') return `${at}: missing${allowed === '' ? '' : `; has to be ${allowed}`}`
  return `${at === '' ? '' : `${at}: `}found ${found}, has to be ${allowed}${hint}`
}

/**
 * The candidate that was probably meant: one edit away, else the only one that begins with `word` or begins it (`user`,
 * `username`), else the closest, if it is close enough to be a slip of the finger.
 */
export function nearestName(word: string, candidates: readonly string[]): string | undefined {
  const [best] = candidates
    .map((candidate) => ({ candidate, edits: distance(word, candidate) }))
    .sort((a, b) => a.edits - b.edits)
  if (best === undefined) return undefined
  const relatives = best.edits <= 1 ? [] : candidates.filter((candidate) => isRelative(word, candidate))
  if (relatives.length === 1) return relatives[0]
  return best.edits <= Math.max(2, word.length / 3) ? best.candidate : undefined
}

/** Shorter beginnings say nothing. */
const leastShared = 3

function isRelative(a: string, b: string): boolean {
  return Math.min(a.length, b.length) >= leastShared && (a.startsWith(b) || b.startsWith(a))
}

function nearestOf(word: string, candidates: readonly string[]): { nearest?: string } {
  const nearest = nearestName(word, candidates)
  return nearest === undefined ? {} : { nearest }
}

/** A check over several keys has the whole section for its input, and is forwarded to the key that it is about. */
function valueAt({ path, input }: Issue): unknown {
  const last = path?.at(-1)
  return last === undefined ? input : last.value
}

function issuePath(issue: Issue): (string | number)[] {
  return (issue.path ?? []).map(({ key }) => (typeof key === 'number' ? key : String(key)))
}

function formatPath(path: readonly (string | number)[]): string {
  return path.reduce<string>(
    (text, key) => (typeof key === 'number' ? `${text}[${key}]` : text === '' ? key : `${text}.${key}`),
    '',
  )
}

/**
 * Our own checks say in `message` what is allowed; the parser's own types say it in `expected`. `keys` are those of the
 * section that has to be there instead, as far as they are known.
 */
function allowedValues(issue: Issue, keys: readonly string[]): string {
  if (!issue.message.startsWith('Invalid ')) return issue.message
  if (issue.type === 'integer') return 'a whole number'
  const expected = issue.expected ?? 'something else'
  const match = /^(>=|<=|>|<)(.*)$/.exec(expected)
  if (match === null) {
    const choices = expected.replace(/^\((.*)\)$/, '$1').split(' | ')
    return choices.map((choice) => plainWords(choice, keys)).join(' or ')
  }
  const words = { '>=': 'at least', '<=': 'at most', '>': 'above', '<': 'below' }
  const [, sign, bound] = match
  return `${words[sign as keyof typeof words]} ${bound}`
}

/** Who writes a configuration need not know what the parser calls a type. */
function plainWords(type: string, keys: readonly string[]): string {
  if (type === 'Object') return `keys with values, such as { ${keys[0] ?? 'key'}: … }`
  return type === 'Array' ? 'a list' : type
}

function pickable(issue: Issue): string[] {
  return issue.type === 'picklist'
    ? [...(issue.expected ?? '').matchAll(/"([^"]+)"/g)].map(([, word]) => word ?? '')
    : []
}

const maxSearched = 1000

/** What was found, without the user name and password that a URL in it may hold: messages end up in logs. */
function shorten(input: unknown): string {
  const text = withoutLogins(asText(input))
  return text.length > 60 ? `${text.slice(0, 57)}...` : text
}

function asText(input: unknown): string {
  if (input === undefined) return 'nothing'
  try {
    return typeof input === 'bigint' ? String(input) : (JSON.stringify(input) ?? String(input))
  } catch {
    return 'something nested too deep'
  }
}

/** Looks at the beginning only, since the search takes the square of the length; a login that reaches further goes with the rest. */
function withoutLogins(text: string): string {
  const start = text.slice(0, maxSearched).replace(/:(\/\/)?[^"]*@/g, ':$1***@')
  return text.indexOf('@', maxSearched) < 0 ? start : start.replace(/:.*/s, ':***')
}
