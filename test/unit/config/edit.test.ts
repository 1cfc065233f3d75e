import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { stringify } from 'yaml'
import { editConfig } from '../../../src/config/edit.ts'
import { parseConfig, parseKeys } from '../../../src/config/load.ts'
import { type JsonObject, mergePatch } from '../../../src/lib/json.ts'
import { packageRoot } from '../../../src/lib/package.ts'

const edit = (text: string, patch: JsonObject) => editConfig(text, '/etc/c.yaml', patch).text

const written = `# Our porch.
name: "The porch"   # as the neighbours call it

camera:
  # The old one, until spring.
  source: libcamera     # ribbon cable
  rotation: 180

  # Not faster: it gets hot.
  fps: 5
mqtt: { url: 'mqtt://a', username: u }   # in the cellar
events:
  allow:
  - person
  - cat     # ours
  # - dog
# The end.
`

describe('editConfig', () => {
  test('changes values and leaves every other character as it is', () => {
    const patch = { name: 'Garden', camera: { fps: 2 }, mqtt: { url: 'mqtts://b', username: 'v, w' } }
    expect(edit(written, patch)).toBe(
      written
        .replace('"The porch"', 'Garden')
        .replace('fps: 5', 'fps: 2')
        .replace("'mqtt://a'", '"mqtts://b"')
        .replace(': u }', ': "v, w" }'),
    )
  })

  test('adds keys at the end of their section, in its own form, and sections at the end', () => {
    const patch = { camera: { hflip: true }, mqtt: { password_file: 'pw' }, home_assistant: { enabled: false } }
    expect(edit(written, patch)).toBe(
      `${written
        .replace('  fps: 5\n', '  fps: 5\n  hflip: true\n')
        .replace(': u }', ': u, password_file: "pw" }')}\nhome_assistant:\n  enabled: false\n`,
    )
  })

  test('takes keys away with their line only', () => {
    expect(edit(written, { name: null, camera: { rotation: null }, mqtt: { username: null } })).toBe(
      written
        .replace(/name:.*\n/, '')
        .replace('  rotation: 180\n', '')
        .replace(', username: u', ''),
    )
    expect(edit(written, { mqtt: { url: null } })).toContain('mqtt: { username: u }   # in the cellar')
  })

  test('makes another camera of one whose keys span lines', () => {
    const text =
      'camera:\n  source: libcamera\n  roi:\n    x: 0\n    y: 0\n    width: 1\n    height: 1 # all\n  fps: 3\n'
    expect(edit(text, { camera: { roi: null, source: 'v4l2', device: '/dev/video0' } })).toBe(
      'camera:\n  source: v4l2\n  fps: 3\n  device: /dev/video0\n',
    )
  })

  test('turns the example of the file that the package brings into the real key', () => {
    const text = readFileSync(join(packageRoot, 'deploy/config.yaml'), 'utf8')
    const edited = edit(text, { name: 'Kitchen', mqtt: { username: 'kitchen' }, home_assistant: { enabled: false } })
    expect(edited).toBe(
      `${text
        .replace('#name: Porch', 'name: Kitchen')
        .replace('1883\n', '1883\n  username: kitchen\n')}\nhome_assistant:\n  enabled: false\n`,
    )
  })

  test.each([
    ['no text', '', 'name: A\n\ncamera:\n  source: synthetic\n'],
    ['comments only', '# Mine.\n', '# Mine.\n\nname: A\n\ncamera:\n  source: synthetic\n'],
    ['a section without anything', 'camera:\n', 'name: A\n\ncamera:\n  source: synthetic\n'],
    ['an empty section', 'camera: {}', 'name: A\n\ncamera: { source: "synthetic" }'],
    ['no line end', 'log:\n  level: info', 'name: A\n\nlog:\n  level: info\n\ncamera:\n  source: synthetic\n'],
    [
      'line ends of Windows',
      'log:\r\n  level: info\r\n',
      'name: A\r\n\r\nlog:\r\n  level: info\r\n\r\ncamera:\r\n  source: synthetic\r\n',
    ],
    ['markers of a document', '---\nlog: {}\n...\n', '---\nlog: {}\n\ncamera:\n  source: synthetic\n\nname: A\n...\n'],
    [
      'a key without a value',
      'name: # who?\ncamera:\n  source: file\n',
      'name: A # who?\ncamera:\n  source: synthetic\n',
    ],
  ])('begins with %s', (_, before, after) => {
    expect(edit(before, { camera: { source: 'synthetic' }, name: 'A' })).toBe(after)
  })

  test('puts a key of the top first where no comment is torn from what it is about', () => {
    expect(edit('# Head.\n\ncamera:\n  source: synthetic\n', { name: 'A' })).toBe(
      '# Head.\n\nname: A\n\ncamera:\n  source: synthetic\n',
    )
    expect(edit('# Its camera.\ncamera:\n  source: synthetic\n', { name: 'A' })).toBe(
      '# Its camera.\ncamera:\n  source: synthetic\n\nname: A\n',
    )
  })

  test('gives what the new text comes to, with absolute paths', () => {
    const { config } = editConfig(written, '/etc/c.yaml', { mqtt: { password_file: 'pw' } })
    expect(config).toMatchObject({ name: 'The porch', mqtt: { password_file: '/etc/pw' } })
  })

  test('refuses what no configuration may hold, with the lines of the text as it was', () => {
    expect(() => edit(written, { camera: { fps: 0 } })).toThrow('/etc/c.yaml:10: camera.fps: found 0')
    expect(() => edit(`${written}odd: 1\n`, { camera: { hflip: true } })).toThrow('/etc/c.yaml:18: odd: unknown key')
    expect(() => edit(written, { mqtt: { ca_file: 'ca.pem' } })).toThrow('/etc/c.yaml:11: mqtt.url')
  })

  test.each([
    ['? name\n: x\ncamera: { source: synthetic }\n', { name: null }],
    ['camera: { source: synthetic }\nmqtt: !!map\n  url: mqtt://a\n', { mqtt: { username: 'x' } }],
    ['{ camera: { source: synthetic } }\n', { mqtt: { url: 'mqtt://a' } }],
  ])('never gives a text that means something else, however it is written: %j', (text, patch) => {
    const wanted = mergePatch(parseKeys(text, 'c.yaml'), patch)
    let edited: string | undefined
    try {
      edited = edit(text, patch)
    } catch (error) {
      expect(String(error)).toContain('written in a way that only a person can change')
    }
    if (edited !== undefined) expect(parseKeys(edited, 'c.yaml')).toEqual(wanted)
  })

  test('keeps every comment and every other key of any file, and what it should change is changed', () => {
    fc.assert(
      fc.property(file, patch, (text, change) => {
        const edited = edit(text, change)
        expect(parseKeys(edited, 'c.yaml')).toEqual(mergePatch(parseKeys(text, 'c.yaml'), change))
        const comments = (of: string, where: string) => of.match(new RegExp(`# ${where} \\d+`, 'g')) ?? []
        expect(comments(edited, 'above')).toEqual(comments(text, 'above'))
        // What stands beside a value goes with it.
        const gone = JSON.stringify(change).match(/null/g)?.length ?? 0
        expect(comments(edited, 'beside').length).toBeGreaterThanOrEqual(comments(text, 'beside').length - gone)
        expect(edit(edited, change)).toBe(edited)
        parseConfig(edited, 'c.yaml')
      }),
    )
  })
})

const word = fc.stringMatching(/^[A-Za-z][A-Za-z0-9 :,'"{}%&*!-]{0,20}[a-z]$/)
const comment = fc.option(fc.nat({ max: 999 }), { nil: undefined })

/** A file in block style with comments wherever a person might put them. */
const file = fc
  .record({
    name: fc.option(word, { nil: undefined }),
    camera: fc.record({ source: fc.constant('synthetic'), fps: fc.integer({ min: 1, max: 9 }) }),
    mqtt: fc.option(fc.record({ url: fc.constant('mqtt://a'), username: word }), { nil: undefined }),
    events: fc.option(fc.record({ allow: fc.array(word, { minLength: 1, maxLength: 3 }) }), { nil: undefined }),
  })
  .chain((config) => {
    const { name, camera, mqtt, events } = config
    const kept = Object.entries({ name, camera, mqtt, events }).filter(([, value]) => value !== undefined)
    const lines = stringify(Object.fromEntries(kept), { lineWidth: 0 }).trimEnd().split('\n')
    return fc
      .array(fc.tuple(comment, comment, fc.boolean()), { minLength: lines.length, maxLength: lines.length })
      .map((extras) =>
        lines
          .flatMap((line, i) => {
            const [above, beside, isApart] = extras[i] ?? []
            const indent = /^ */.exec(line)?.[0] ?? ''
            return [
              ...(isApart ? [''] : []),
              ...(above === undefined ? [] : [`${indent}# above ${above}`]),
              beside === undefined ? line : `${line}  # beside ${beside}`,
            ]
          })
          .join('\n'),
      )
  })

const patch = fc.record(
  {
    name: fc.option(word),
    camera: fc.record({ fps: fc.option(fc.integer({ min: 10, max: 20 })), width: fc.option(fc.constant(320)) }),
    mqtt: fc.record({ url: fc.constantFrom('mqtt://b', 'wss://c/d?e=#'), username: fc.option(word) }),
    home_assistant: fc.record({ enabled: fc.boolean() }),
  },
  { requiredKeys: [] },
)
