import { describeError } from '../core/errors.ts'
import { OtaError } from './ota-error.ts'

export type JsonValue = null | boolean | number | string | JsonValue[] | { [key: string]: JsonValue }

export type JsonLimits = { readonly maxBytes: number; readonly maxDepth?: number }

/** Levels of arrays and objects; the deepest TUF metadata has seven, and what is `custom` in it needs a few more. */
const defaultMaxDepth = 16

/**
 * Parses JSON that an attacker may have written, in time linear in its length: UTF-8 (RFC 8259) of at most `maxBytes`, and
 * narrower than `JSON.parse` where two readers could understand different things: no key twice in an object, no
 * `__proto__`, no number that a double can't hold, no lone surrogate. `what` names it in errors. Throws an OtaError
 * `too_large` or `malformed`.
 */
export function parseStrictJson(bytes: Uint8Array, what: string, limits: JsonLimits): JsonValue {
  const { maxBytes, maxDepth = defaultMaxDepth } = limits
  if (bytes.length > maxBytes)
    throw new OtaError('too_large', what, `it has ${bytes.length} bytes, at most ${maxBytes} are allowed`)
  try {
    // A byte order mark is kept, so that JSON.parse refuses it.
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
    scan(text, maxDepth)
    return JSON.parse(text)
  } catch (error) {
    throw new OtaError('malformed', what, `not JSON as we take it (${describeError(error)})`)
  }
}

/** Looks for what JSON.parse lets pass. Text that is no JSON may pass here: JSON.parse comes after. */
function scan(text: string, maxDepth: number): void {
  /** One for each array or object around this place: the keys of an object so far. */
  const around: (Set<string> | undefined)[] = []
  let isKeyNext = false
  for (let at = 0; at < text.length; ) {
    const char = text[at]
    if (char === '"') {
      const end = endOfString(text, at)
      const keys = around.at(-1)
      const string = decodeString(text.slice(at, end))
      if (isKeyNext && keys !== undefined) addKey(keys, string)
      isKeyNext = false
      at = end
      continue
    }
    if (char === '{' || char === '[') {
      if (around.length >= maxDepth) throw new Error(`nested more than ${maxDepth} deep`)
      around.push(char === '{' ? new Set() : undefined)
      isKeyNext = char === '{'
    } else if (char === '}' || char === ']') {
      around.pop()
      isKeyNext = false
    } else if (char === ',') {
      isKeyNext = around.at(-1) !== undefined
    } else if (char !== undefined && /[-0-9]/.test(char)) {
      at = endOfNumber(text, at)
      continue
    }
    at++
  }
}

function addKey(keys: Set<string>, key: string): void {
  if (key === '__proto__') throw new Error('a key named __proto__')
  if (keys.has(key)) throw new Error(`the key ${JSON.stringify(key.slice(0, 40))} twice in one object`)
  keys.add(key)
}

/** The place after the closing quote. */
function endOfString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    if (text[at] === '\\') at++
    else if (text[at] === '"') return at + 1
  }
  throw new Error('a string without an end')
}

/** Two lone surrogates become the same bytes when they are hashed, so that one signature would fit both. */
function decodeString(token: string): string {
  if (!token.includes('\\')) return token.slice(1, -1)
  const value: string = JSON.parse(token)
  if (!value.isWellFormed()) throw new Error('a string that is not Unicode')
  return value
}

function endOfNumber(text: string, start: number): number {
  const digits = /[-+0-9.eE]*/y
  digits.lastIndex = start
  const token = digits.exec(text)?.[0] ?? ''
  if (!(Math.abs(Number(token)) <= Number.MAX_SAFE_INTEGER)) throw new Error(`the number ${token.slice(0, 40)}`)
  return start + token.length
}
