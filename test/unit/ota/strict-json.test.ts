import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseStrictJson } from '../../../src/ota/strict-json.ts'

const maxBytes = 65_536
const parse = (text: string | Uint8Array, maxDepth = 16) =>
  parseStrictJson(typeof text === 'string' ? Buffer.from(text) : text, 'it', { maxBytes, maxDepth })

describe('strict JSON', () => {
  test.each([
    ['deeper than 16', `${'['.repeat(17)}${']'.repeat(17)}`],
    ['10^5 deep', '['.repeat(60_000)],
    ['10^5 deep in objects', '{"a":'.repeat(13_000)],
    ['a key twice', '{"a":1,"a":1}'],
    ['a key twice, once escaped', '{"a":1,"\\u0061":1}'],
    ['a key twice, an object in between', '{"a":{"b":[{}]},"c":[1,{}],"a":1}'],
    ['a key twice, deep inside', '[[{"x":{"a":1,"b":2,"a":3}}]]'],
    ['__proto__', '{"__proto__":{}}'],
    ['__proto__, escaped', '{"\\u005f_proto__":{}}'],
    ['NaN', '{"a":NaN}'],
    ['Infinity', '[Infinity]'],
    ['a number that becomes Infinity', '[1e400]'],
    ['a whole number that a double can not hold', '[9007199254740993]'],
    ['its negative', '[-9007199254740993]'],
    ['it with an exponent', '[1e16]'],
    ['a leading zero', '[01]'],
    ['a hexadecimal number', '[0x10]'],
    ['a plus', '[+1]'],
    ['a comment', '[1/**/]'],
    ['a trailing comma', '[1,]'],
    ['single quotes', "{'a':1}"],
    ['something behind', '{} {}'],
    ['NUL behind', '{}\0'],
    ['nothing', ''],
    ['blanks', '   '],
    ['a byte order mark', '\ufeff{}'],
    ['a lone surrogate', '["\\ud800"]'],
    ['a lone surrogate in a key', '{"\\udc00":1}'],
    ['a string without an end', '["a'],
    ['many quotes without an end', `"${'\\"'.repeat(32_000)}`],
    ['a raw line feed in a string', '["a\nb"]'],
    ['an array closed as an object', '[1}'],
  ])('row 27: %s: refused', (_, text) => {
    expect(() => parse(text)).toThrow(expect.objectContaining({ reason: 'malformed' }))
  })

  test.each([
    ['a byte that is no UTF-8', Buffer.from([0x22, 0xff, 0x22])],
    ['an overlong slash', Buffer.from([0x22, 0xc0, 0xaf, 0x22])],
    ['an encoded surrogate', Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22])],
    ['UTF-16', Buffer.from('{}', 'utf16le')],
  ])('row 27: %s: refused', (_, bytes) => {
    expect(() => parse(bytes)).toThrow(expect.objectContaining({ reason: 'malformed' }))
  })

  test('row 27: more bytes than allowed: refused before any is looked at', () => {
    const bytes = Buffer.alloc(2 ** 28)
    const startMs = performance.now()
    expect(() => parse(bytes)).toThrow(expect.objectContaining({ reason: 'too_large' }))
    expect(performance.now() - startMs).toBeLessThan(50)
    expect(parse(`"${'a'.repeat(maxBytes - 2)}"`)).toHaveLength(maxBytes - 2)
    expect(() => parse(`"${'a'.repeat(maxBytes - 1)}"`)).toThrow(expect.objectContaining({ reason: 'too_large' }))
  })

  test.each([
    ['brackets', '['.repeat(maxBytes)],
    ['quotes', '"'.repeat(maxBytes)],
    ['escaped quotes', '\\"'.repeat(maxBytes / 2)],
    ['backslashes', `"${'\\'.repeat(maxBytes - 1)}`],
    ['digits', '1'.repeat(maxBytes)],
    ['minus signs', '-'.repeat(maxBytes)],
    ['exponents', '1e'.repeat(maxBytes / 2)],
    ['keys', `{${Array.from({ length: 6000 }, (_, i) => `"k${i}":0`).join(',')}}`],
    ['commas', `[${','.repeat(maxBytes - 1)}`],
  ])('row 27: 64 KiB of %s take no time', (_, text) => {
    const startMs = performance.now()
    try {
      parse(text)
    } catch {
      // Refused or not, it was fast.
    }
    expect(performance.now() - startMs).toBeLessThan(500)
  })

  test('names what it read, and says why', () => {
    expect(() => parse('{"a":1,"a":2}')).toThrow('it: it is not what it should look like')
    expect(() => parse('{"a":1,"a":2}')).toThrow('the key "a" twice')
  })

  const small = { maxDepth: 3 }

  test('reads as JSON.parse does what JSON.stringify writes', () => {
    fc.assert(
      fc.property(fc.json(small), fc.constantFrom(undefined, 1), (text, indent) => {
        fc.pre(isPlain(text))
        const written = JSON.stringify(JSON.parse(text), undefined, indent)
        expect(parse(written)).toEqual(JSON.parse(written))
      }),
      { numRuns: 300 },
    )
  })

  test('takes nothing that JSON.parse refuses, and reads nothing otherwise', () => {
    const fragment = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"',
      '\\',
      '"a"',
      '"b"',
      '1',
      '-',
      '1e5',
      'null',
      ' ',
    )
    fc.assert(
      fc.property(
        fc.oneof(
          fc.array(fragment).map((all) => all.join('')),
          fc.string(),
          mutated(),
        ),
        (text) => {
          // What is no Unicode becomes something else on its way into bytes.
          const sent = text.toWellFormed()
          const [ours, theirs] = [attempt(() => parse(sent)), attempt(() => JSON.parse(sent))]
          if (ours !== undefined) expect(theirs).toEqual(ours)
        },
      ),
      { numRuns: 2000 },
    )
  })

  /** JSON with one character changed, removed or doubled. */
  function mutated() {
    return fc
      .tuple(fc.json(small), fc.nat(), fc.constantFrom('', '"', '{', ',', '0', '\\', 'a'))
      .map(([text, at, put]) => {
        const place = at % Math.max(1, text.length)
        return text.slice(0, place) + put + text.slice(place + 1)
      })
  }

  function attempt(read: () => unknown): { value: unknown } | undefined {
    try {
      return { value: read() }
    } catch {
      return undefined
    }
  }

  /** Without what we refuse and JSON.stringify writes. */
  function isPlain(text: string): boolean {
    if (text.includes('__proto__') || /\\u[dD][89a-fA-F]/.test(text)) return false
    return !/[-0-9.]+[eE]\+|[0-9]{16,}/.test(text)
  }
})
