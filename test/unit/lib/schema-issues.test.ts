import fc from 'fast-check'
import * as v from 'valibot'
import { describe, expect, test } from 'vitest'
import { formatSchemaIssue, nearestName, schemaIssues } from '../../../src/lib/schema-issues.ts'

const schema = v.strictObject({
  colour: v.optional(v.picklist(['red', 'green', 'blue'])),
  size: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(9))),
  share: v.optional(v.pipe(v.number(), v.gtValue(0), v.ltValue(1))),
  name: v.optional(
    v.pipe(
      v.string(),
      v.check((text) => !text.includes(' '), 'one word'),
    ),
  ),
  points: v.optional(v.array(v.strictObject({ x: v.number() }))),
  sizes: v.optional(v.record(v.string(), v.strictObject({ least: v.optional(v.number()) }))),
})

/** The messages for a document, without a guide unless `keys` are given. */
function messagesFor(document: unknown, keys?: readonly string[]): string[] {
  const guide = keys && { keysIn: () => keys, allowedAt: () => 'a number' }
  const { issues } = v.safeParse(schema, document)
  return schemaIssues(issues ?? [], guide).map(formatSchemaIssue)
}

describe('messages about a document', () => {
  test.each([
    ['a wrong type', { size: '3' }, 'size: found "3", has to be number'],
    ['a fraction', { size: 1.5 }, 'size: found 1.5, has to be a whole number'],
    ['too little', { size: 0 }, 'size: found 0, has to be at least 1'],
    ['too much', { size: 10 }, 'size: found 10, has to be at most 9'],
    ['the excluded lower end', { share: 0 }, 'share: found 0, has to be above 0'],
    ['the excluded upper end', { share: 1 }, 'share: found 1, has to be below 1'],
    ['what a check of our own forbids', { name: 'a b' }, 'name: found "a b", has to be one word'],
    [
      'a misspelt choice',
      { colour: 'gren' },
      'colour: found "gren", has to be "red" or "green" or "blue" (did you mean green?)',
    ],
    ['no choice at all', { colour: 'magenta' }, 'colour: found "magenta", has to be "red" or "green" or "blue"'],
    ['a place inside a list', { points: [{ x: 1 }, { x: '2' }] }, 'points[1].x: found "2", has to be number'],
    ['a number for keys', { sizes: { a: 0.6 } }, 'sizes.a: found 0.6, has to be keys with values, such as { key: … }'],
    ['a text for named sections', { sizes: 'a' }, 'sizes: found "a", has to be keys with values, such as { key: … }'],
    ['a text for a list', { points: 'a' }, 'points: found "a", has to be a list'],
    ['a missing key', { points: [{}] }, 'points[0].x: missing'],
    ['an unknown key', { sise: 3 }, 'sise: unknown key'],
  ])('name %s', (_, document, message) => {
    expect(messagesFor(document)).toEqual([message])
  })

  test('say all that is wrong at once', () => {
    expect(messagesFor({ size: 0, share: 2, name: 3 })).toHaveLength(3)
  })

  test('use the guide for what is known and what was probably meant', () => {
    expect(messagesFor({ sise: 3 }, ['name', 'size'])).toEqual([
      'sise: unknown key (did you mean size?); known here: name, size',
    ])
    expect(messagesFor({ sizes: 3 }, ['least', 'most'])).toEqual([
      'sizes: found 3, has to be keys with values, such as { least: … }',
    ])
    expect(messagesFor({ points: [{}] }, [])).toEqual(['points[0].x: missing; has to be a number'])
  })

  test('cut what was found after 60 characters', () => {
    expect(messagesFor({ size: 'x'.repeat(100) })).toEqual([`size: found "${'x'.repeat(56)}..., has to be number`])
  })

  test.each([
    'mqtt://user:hunter2@host',
    'mqtt://:hunter2@host',
    'mqtt://user:hunter2@with@host',
    'mqtt://user:with/hunter2@host',
    `mqtt://${'user'.repeat(11)}:hunter2@host`,
  ])('never repeat the secrets of %s', (url) => {
    for (const document of [{ size: url }, { size: [url] }, { size: { url } }]) {
      const [message] = messagesFor(document)
      expect(message).toContain('mqtt://***@host')
      expect(message).not.toContain('hunter2')
    }
  })
})

describe('nearestName', () => {
  test.each([
    ['fsp', ['fps', 'path', 'width'], 'fps'],
    ['pasword_file', ['username', 'password_file'], 'password_file'],
    ['threads', ['threads', 'threshold'], 'threads'],
    ['user', ['url', 'username', 'password_file'], 'username'],
    ['password', ['url', 'username', 'password_file'], 'password_file'],
    ['url_of_broker', ['url', 'username'], 'url'],
    ['us', ['url', 'username'], 'url'],
    ['max', ['max_fps', 'max_memory_mb'], undefined],
    ['umbrella', ['fps', 'path', 'width'], undefined],
    ['fps', [], undefined],
  ])('of %s in %j is %s', (word, candidates, nearest) => {
    expect(nearestName(word, candidates)).toBe(nearest)
  })

  test('finds a name with one character left out', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[a-z]{6}$/), fc.nat(5), (name, at) => {
        expect(nearestName(name.slice(0, at) + name.slice(at + 1), [name, '0123456789'])).toBe(name)
      }),
    )
  })
})

test('a value of any length or depth is described at once, and no login with it', () => {
  const schema = v.pipe(
    v.unknown(),
    v.check(() => false, 'something else'),
  )
  const found = (input: unknown) => schemaIssues(v.safeParse(schema, input).issues ?? []).map(({ found }) => found)
  const deep = JSON.parse(`${'['.repeat(8000)}${']'.repeat(8000)}`)
  const startMs = performance.now()
  expect(found(':'.repeat(1_000_000))).toEqual([expect.stringMatching(/^":+\.\.\.$/)])
  expect(found(deep)[0]?.length).toBeLessThanOrEqual(60)
  expect(performance.now() - startMs).toBeLessThan(1000)
  expect(found(`mqtt://me:${'secret'.repeat(300)}@host`)[0]).not.toContain('secret')
  expect(found('mqtt://me:secret@host')).toEqual(['"mqtt://***@host"'])
})
