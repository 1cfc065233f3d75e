import * as v from 'valibot'
import { describe, expect, test } from 'vitest'
import { schemaFiles } from '../../../docs/schemas.ts'
import { remoteKeys } from '../../../src/config/live-config.ts'
import { metricEntries } from '../../../src/core/metrics.ts'
import { updateOutcomes, updatePhases, updatesOff } from '../../../src/core/update-status.ts'
import { broadcastCommands, deviceCommands, deviceProperties } from '../../../src/mqtt/device-commands.ts'
import * as schemas from '../../../src/mqtt/messages.ts'
import { deviceTopics } from '../../../src/mqtt/topics.ts'
import { updateHintSchema } from '../../../src/mqtt/update-hints.ts'
import { blocks, messages, section } from '../../support/topics-page.ts'

const topics = {
  info: { schema: schemas.infoSchema, examples: 1 },
  state: { schema: schemas.stateSchema, examples: 1 },
  current: { schema: schemas.currentSchema, examples: 1 },
  event: { schema: schemas.eventSchema, examples: 3 },
  result: { schema: schemas.resultSchema, examples: 2 },
  metrics: { schema: schemas.metricsSchema, examples: 1 },
  update: { schema: schemas.updateSchema, examples: 3 },
  'update/event': { schema: schemas.updateEventSchema, examples: 1 },
  crash: { schema: schemas.crashSchema, examples: 1 },
}

const plain = ['v', 'id', 'name', 'ts', 'xmin', 'ymin', 'xmax', 'ymax', 'width', 'height', 'version']

/** Every property that a JSON Schema names, however deep. */
function propertiesOf(schema: unknown): string[] {
  if (typeof schema !== 'object' || schema === null) return []
  return Object.entries(schema).flatMap(([key, value]) => [
    ...(key === 'properties' ? Object.keys(value) : []),
    ...propertiesOf(value),
  ])
}

describe('docs/mqtt-topics.md', () => {
  test.each(Object.entries(topics))('the examples of %s are what is published', (topic, { schema, examples }) => {
    const found = blocks('json', section(`## ${topic}`)).map((block): unknown => JSON.parse(block))
    expect(found).toHaveLength(examples)
    for (const message of found) expect(v.parse(schema, message)).toEqual(message)
  })

  test.each(Object.keys(topics))('every field of %s is explained', (topic) => {
    const names = new Set(propertiesOf(JSON.parse(schemaFiles().get(`${topic.replace('/', '-')}.json`) ?? '')))
    // These say what they are, or the top of the page does.
    for (const name of plain) names.delete(name)
    const words = new Set(
      [
        ...section(`## ${topic}`)
          .replaceAll(/^```.*?^```$/gms, '')
          .matchAll(/`([^`]+)`/g),
      ].flatMap(([, code]) => (code ?? '').split(/[^a-z0-9_]+/)),
    )
    expect([...names].filter((name) => !words.has(name))).toEqual([])
  })

  test('the metrics are those that there are', () => {
    const rows = [...section('## metrics').matchAll(/^\| `(\w+)` \| (.*) \|$/gm)].map(([, key, what]) => [key, what])
    expect(rows).toEqual(Object.entries(metricEntries).map(([key, schema]) => [key, v.getDescription(schema)]))
  })

  test('every phase and every ending of an update is told', () => {
    const words = [...updatePhases, ...updateOutcomes].map((word) => `\`${word}\``)
    expect(words.filter((word) => !section('## update').includes(word))).toEqual([])
  })

  test('a hint looks as a device takes it', () => {
    const [, hint = ''] = /-t sightd\/update\/hint -m '(.*?)'/.exec(section('## Hints')) ?? []
    expect(v.is(updateHintSchema, JSON.parse(hint))).toBe(true)
  })

  test('the commands that may be asked of all are told', () => {
    const [, list = ''] = /It takes (.*?) only/.exec(section('## Commands')) ?? []
    expect([...list.matchAll(/`(\w+)`/g)].map(([, name]) => name)).toEqual([...broadcastCommands])
  })

  test('the messages to and from commands are such, on topics that there are', () => {
    const { request, response, own } = deviceTopics('sightd', 'porch')
    for (const { topic, payload } of messages()) {
      const json = (): unknown => JSON.parse(payload === '' ? '{}' : payload)
      if (topic.startsWith(response)) v.parse(schemas.responseSchema, json())
      else if (topic.startsWith(request)) v.parse(schemas.requestSchema, json())
      else expect(topic).toMatch(new RegExp(`^${own}\\w+/set$`))
    }
  })

  test('every command, property and settable key is there, and no other', () => {
    const device = {
      info: () => ({}),
      takePicture: () => undefined,
      restart: async () => {},
      settings: () => ({ config: {}, overlay: {} }),
      change: async () => undefined,
      updates: undefined,
      updateStatus: () => updatesOff,
    }
    const headings = [...section('## Commands').matchAll(/^### (.*)$/gm)].map(([, name]) => name)
    expect(headings.sort()).toEqual(Object.keys(deviceCommands(device, () => {})).sort())
    const properties = [...section('## Properties').matchAll(/^\| `(\w+)`/gm)].map(([, name]) => name)
    expect(properties).toEqual(Object.keys(deviceProperties(device)))
    const settable = /What can be set: (.*?), as in/s.exec(section('### set_config').replaceAll(/^```.*?^```$/gms, ''))
    expect(settable?.[1]?.split(/,\s+/)).toEqual(remoteKeys.map((key) => `\`${key}\``))
  })
})
