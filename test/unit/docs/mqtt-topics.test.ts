import { readFileSync } from 'node:fs'
import * as v from 'valibot'
import { expect, test } from 'vitest'
import { infoSchema, resultSchema, stateSchema } from '../../../src/mqtt/messages.ts'

const page = readFileSync(new URL('../../../docs/mqtt-topics.md', import.meta.url), 'utf8')

/** The JSON example below a heading. */
function example(heading: string): unknown {
  const section = page.split(/^## /m).find((text) => text.startsWith(`${heading}\n`)) ?? ''
  return JSON.parse(/```json\n([^`]+)```/.exec(section)?.[1] ?? '')
}

test.each([
  ['info', infoSchema],
  ['state', stateSchema],
  ['result', resultSchema],
] as const)('the example of %s is what the schema says', (topic, schema) => {
  const message = example(topic)
  expect(v.parse(schema, message)).toEqual(message)
})
