import { spawnSync } from 'node:child_process'
import { globSync, readFileSync } from 'node:fs'
import * as v from 'valibot'
import { describe, expect, test } from 'vitest'
import { schemaFiles, messages as schemas } from '../../../docs/schemas.ts'
import { CommandDesk, command } from '../../../src/mqtt/commands.ts'
import { deviceTopics } from '../../../src/mqtt/topics.ts'
import type { OutgoingMessage } from '../../../src/mqtt/wire.ts'
import { blocks, messages, section } from '../../support/topics-page.ts'

const folder = new URL('../../../docs/schemas/', import.meta.url)
const read = (name: string) => readFileSync(new URL(name, folder), 'utf8')

describe('docs/schemas', () => {
  test.each([...schemaFiles()])('%s is what `npm run docs` writes', (name, text) => {
    expect(read(name)).toBe(text)
  })

  test('there are no other files', () => {
    expect(globSync('*', { cwd: folder }).sort()).toEqual([...schemaFiles().keys()].sort())
  })

  test.each([...schemaFiles()])('%s says what it is, and refuses no field of a later version', (name, text) => {
    const schema: unknown = JSON.parse(text)
    expect(schema).toMatchObject({
      title: `sightd ${name.replace('.json', '')}`,
      description: expect.stringMatching(/On `<base>\/<id>\/[a-z]/),
    })
    expect(text).not.toMatch(/"additionalProperties": false|"\$id"/)
  })
})

const parseObject = (text: string) => v.parse(v.record(v.string(), v.unknown()), JSON.parse(text || '{}'))

/** What the fields of these names never are. */
const wrong = { v: 2, ts: 1, status: 'fine', in_progress: 'no', transaction: {} }

/** For each schema, payloads that it must take, and such that it must not. */
const cases = Object.keys(schemas).map((name) => {
  const sent = messages().filter(({ topic }) => topic.includes(`/${name}/`))
  const examples = (
    sent.length > 0 ? sent.map(({ payload }) => payload) : blocks('json', section(`## ${name.replace('-', '/')}`))
  ).map(parseObject)
  return {
    name,
    schema: parseObject(read(`${name}.json`)),
    good: [...examples, ...examples.map((payload) => ({ ...payload, of_a_later_version: { a: [1] } }))],
    bad: examples.flatMap((payload) =>
      Object.entries(wrong)
        .filter(([key]) => key in payload)
        .map(([key, value]) => ({ ...payload, [key]: value })),
    ),
  }
})

/** An implementation of JSON Schema that has nothing to do with what made ours. */
const validator = `
import json, sys
from jsonschema import Draft202012Validator as Validator
for case in json.load(sys.stdin):
    Validator.check_schema(case["schema"])
    validator = Validator(case["schema"], format_checker=Validator.FORMAT_CHECKER)
    for payload in case["good"]:
        validator.validate(payload)
    for payload in case["bad"]:
        assert not validator.is_valid(payload), (case["name"], payload)
`
const python = (code: string, input = '') => spawnSync('python3', ['-c', code], { input, encoding: 'utf8' })
const hasValidator = python('import jsonschema').status === 0

describe.skipIf(!hasValidator)("with Python's jsonschema (skipped where it is not installed)", () => {
  test("they take the page's examples, also with fields of a later version, and refuse what is wrong", () => {
    for (const { good, bad } of cases) expect([good.length, bad.length]).not.toContain(0)
    expect(python(validator, JSON.stringify(cases))).toMatchObject({ status: 0, stderr: '' })
  })
})

test.each([
  [{}, 'ok'],
  [{ transaction: 'a'.repeat(64) }, 'ok'],
  [{ transaction: 2 ** 53 - 1, expires: '2999-01-01T00:00:00Z' }, 'ok'],
  [{ transaction: 'a'.repeat(65) }, 'error'],
  [{ transaction: 2 ** 53 }, 'error'],
  [{ transaction: 1.5 }, 'error'],
  [{ transaction: null }, 'error'],
  [{ expires: '2999-01-01' }, 'error'],
])('a request is taken or refused as the schema says: %j', async (request, status) => {
  const answers: OutgoingMessage[] = []
  const topics = deviceTopics('sightd', 'porch')
  const desk = new CommandDesk({
    topics,
    commands: { ping: command({}, () => ({})) },
    properties: {},
    broadcast: [],
    reply: (answer) => answers.push(answer),
    log: { info: () => {}, warn: () => {} },
    signal: new AbortController().signal,
  })
  await desk.take({ topic: `${topics.request}ping`, payload: Buffer.from(JSON.stringify(request)), isRetained: false })
  expect(answers.map(({ payload }) => JSON.parse(String(payload)).status)).toEqual([status])
  expect(v.is(schemas.request, request)).toBe(status === 'ok')
})
