import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import * as v from 'valibot'
import { describe, expect, test } from 'vitest'
import { packageRoot } from '../../../src/lib/package.ts'
import {
  type Discovery,
  discoveryPayload,
  discoveryTopic,
  type HomeAssistantDevice,
} from '../../../src/mqtt/home-assistant.ts'
import { currentSchema, stateSchema, updateSchema } from '../../../src/mqtt/messages.ts'
import { device, exampleMessages } from '../../support/home-assistant.ts'

type Names = { readonly required: readonly string[]; readonly names: readonly string[] }
type Values = { readonly values: readonly string[] }
type Fields = { readonly [name: string]: unknown }

const accepted: {
  readonly root: Names
  readonly device: Names
  readonly origin: Names
  readonly entity: Names
  readonly platforms: { readonly [platform: string]: Names }
  readonly update_payload: Names
  readonly abbreviations: { readonly [level in 'root_and_entity' | 'device' | 'origin']: { [short: string]: string } }
  readonly values: {
    readonly entity_category: Values
    readonly state_class: Values
    readonly mode: Values
    readonly temperature_unit: Values
    readonly device_class: { readonly [platform: string]: Values }
  }
} = JSON.parse(readFileSync(join(packageRoot, 'test/fixtures/home-assistant-fields.json'), 'utf8'))

const bare = {
  ...device,
  board: null,
  serial: null,
  labels: [],
  zones: [],
  hasSnapshot: false,
  hasEventSnapshot: false,
}

const zoneName = fc.stringMatching(/^[a-z0-9_]{1,40}$/)
const anyDevice: fc.Arbitrary<HomeAssistantDevice> = fc.record({
  baseTopic: fc.constantFrom('sightd', 'home/cameras'),
  id: fc.stringMatching(/^[a-z0-9-]{1,36}$/),
  name: fc.string({ unit: 'binary', minLength: 1 }),
  sw: fc.constant('0.1.0'),
  board: fc.option(fc.string({ minLength: 1 })),
  serial: fc.option(fc.string({ minLength: 1 })),
  labels: fc.uniqueArray(fc.string({ unit: 'binary', minLength: 1, maxLength: 100 }), { maxLength: 5 }),
  zones: fc.uniqueArray(zoneName, { maxLength: 3 }),
  hasSnapshot: fc.boolean(),
  hasEventSnapshot: fc.boolean(),
  maxFpsOfCamera: fc.integer({ min: 1, max: 120 }),
})

/** The fields under their full names, as Home Assistant sees them. */
function expand(fields: object, level: keyof typeof accepted.abbreviations): Fields {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [accepted.abbreviations[level][name] ?? name, value]),
  )
}

const entitiesOf = ({ cmps }: Discovery) =>
  Object.entries(cmps).map(([key, component]) => {
    const { p: platform } = component
    return { key, platform, fields: expand(component, 'root_and_entity') }
  })

function expectFields(fields: object, { required, names }: Names): void {
  expect(names).toEqual(expect.arrayContaining(Object.keys(fields)))
  expect(Object.keys(fields)).toEqual(expect.arrayContaining([...required]))
}

function expectAccepted(payload: Discovery): void {
  expectFields(expand(payload, 'root_and_entity'), accepted.root)
  expectFields(expand(payload.dev, 'device'), accepted.device)
  expectFields(expand(payload.o, 'origin'), accepted.origin)
  for (const { platform, fields } of entitiesOf(payload)) {
    const own = accepted.platforms[platform]
    expect(own).toBeDefined()
    expectFields(fields, {
      required: [...accepted.entity.required, ...(own?.required ?? [])],
      names: [...accepted.entity.names, ...(own?.names ?? [])],
    })
    const choices = { ...accepted.values, device_class: accepted.values.device_class[platform] ?? { values: [] } }
    for (const name of ['entity_category', 'state_class', 'mode', 'device_class'] as const)
      expect([undefined, ...choices[name].values]).toContain(fields[name])
  }
}

describe('discoveryTopic', () => {
  test('has an object id that Home Assistant takes', () => {
    expect(discoveryTopic('homeassistant', device.id)).toBe('homeassistant/device/sightd_porch-a1b2c3/config')
  })
})

describe('discoveryPayload', () => {
  test.each([device, bare])('has the fields and values that Home Assistant accepts', (some) => {
    expectAccepted(discoveryPayload(some))
  })

  test('whatever the labels and names are, it is accepted and ids are unique', () => {
    fc.assert(
      fc.property(anyDevice, (some) => {
        const payload = discoveryPayload(some)
        expectAccepted(payload)
        const entities = entitiesOf(payload)
        const { labels, zones } = some
        const ownCount = entitiesOf(discoveryPayload({ ...some, labels: [], zones: [] })).length
        expect(entities.length - ownCount).toBe(labels.length + zones.length + labels.length * zones.length)
        expect(new Set(entities.map(({ fields }) => fields['unique_id'])).size).toBe(entities.length)
        for (const { key } of entities) expect(key).toMatch(/^[a-z][a-z0-9_-]{0,150}$/)
        expect(JSON.parse(JSON.stringify(payload))).toEqual(payload)
      }),
    )
  })

  test('labels and zones that look alike stay apart', () => {
    const labels = ['hot dog', 'hot_dog', 'Hot dog', 'hot  dog', ' hot dog', 'hot-dog', 'b', 'b c', 'Катя', '犬']
    const zones = ['a', 'a_b', 'a__b', 'hot_dog']
    const { cmps } = discoveryPayload({ ...bare, labels, zones })
    const own = Object.keys(discoveryPayload(bare).cmps).length
    expect(Object.keys(cmps)).toHaveLength(own + labels.length + zones.length + labels.length * zones.length)
    expect(Object.keys(cmps)).toEqual(expect.arrayContaining(['label-hot_dog', 'zone-a_b', 'zone-a_b-b_c']))
  })

  test('keys and ids are the same under another name, version and choice of labels', () => {
    const ids = (some: HomeAssistantDevice) =>
      new Map(entitiesOf(discoveryPayload(some)).map(({ key, fields }) => [key, fields]))
    const labels = ['cat', ...device.labels]
    const after = ids({ ...device, name: 'Garden', sw: '9.0.0', labels, zones: ['a', 'door'] })
    for (const [key, { unique_id, default_entity_id }] of ids({ ...device, zones: ['door'] }))
      expect(after.get(key)).toMatchObject({ unique_id, default_entity_id })
    expect(after.get('label-hot_dog')).toMatchObject({
      unique_id: 'sightd_porch-a1b2c3_label-hot_dog',
      default_entity_id: 'binary_sensor.porch_a1b2c3_label_hot_dog',
    })
  })

  test('suggests entity ids of the right platform, and never by object_id, which Home Assistant dropped', () => {
    for (const { platform, fields } of entitiesOf(discoveryPayload(device))) {
      expect(fields['default_entity_id']).toMatch(new RegExp(`^${platform}\\.[a-z0-9_]+$`))
      expect(fields).not.toHaveProperty('object_id')
    }
  })

  test('names topics of ours only, each the one that fits', () => {
    const topics = entitiesOf(discoveryPayload(device)).flatMap(({ fields }) =>
      Object.entries(fields).flatMap(([name, value]) => (name.endsWith('_topic') ? [`${name} ${value}`] : [])),
    )
    const own = 'sightd/porch-a1b2c3'
    expect([...new Set(topics)].sort()).toEqual([
      `command_topic ${own}/inference/set`,
      `command_topic ${own}/max_fps/set`,
      `command_topic ${own}/request/install_update`,
      `command_topic ${own}/request/restart`,
      `command_topic ${own}/threshold/set`,
      `image_topic ${own}/event/snapshot`,
      `image_topic ${own}/snapshot`,
      `json_attributes_topic ${own}/current`,
      `json_attributes_topic ${own}/state`,
      `json_attributes_topic ${own}/update`,
      `state_topic ${own}/current`,
      `state_topic ${own}/metrics`,
      `state_topic ${own}/state`,
      `state_topic ${own}/update`,
    ])
    expect(discoveryPayload(device).avty_t).toBe(`${own}/status`)
  })

  test('templates read fields that the messages have', () => {
    const messages = new Map(
      Object.entries(exampleMessages).map(([name, message]) => [`sightd/porch-a1b2c3/${name}`, message]),
    )
    const templates = entitiesOf(discoveryPayload(device)).flatMap(({ fields }) => [
      { topic: fields['state_topic'], template: fields['value_template'] },
      { topic: fields['json_attributes_topic'], template: fields['json_attributes_template'] },
    ])
    const paths = templates.flatMap(({ topic, template }) =>
      [...`${template}`.matchAll(/value_json((?:\.\w+)+)(\()?/g)].map(([, path = '', call]) => ({
        message: messages.get(`${topic}`),
        path: path
          .split('.')
          .slice(1, call === undefined ? undefined : -1)
          .join('.'),
      })),
    )
    expect(paths.length).toBeGreaterThan(20)
    for (const { message, path } of paths) expect(message).toHaveProperty(path)
  })

  test('the example messages are what is published', () => {
    expect(v.parse(stateSchema, exampleMessages.state)).toEqual(exampleMessages.state)
    expect(v.parse(currentSchema, exampleMessages.current)).toEqual(exampleMessages.current)
    expect(v.parse(updateSchema, exampleMessages.update)).toEqual(exampleMessages.update)
  })

  test("an update is installed by our own command, and what the template makes of it has Home Assistant's fields only", () => {
    const entity = discoveryPayload(device).cmps['model_update']
    expect(entity?.['pl_inst']).toBe('{}')
    const fields = [...`${entity?.['val_tpl']}`.matchAll(/'(\w+)':/g)].map(([, name]) => name)
    expect(fields).toHaveLength(4)
    expect(accepted.update_payload.names).toEqual(expect.arrayContaining(fields))
  })

  test('the status is one of those that it announces', () => {
    expect(discoveryPayload(device).cmps['status']?.['ops']).toEqual(stateSchema.entries.status.options)
  })

  test('only what comes every 60 s expires, after at least two of them', () => {
    for (const { fields } of entitiesOf(discoveryPayload(device))) {
      if (fields['expire_after'] === undefined) continue
      expect(fields['expire_after']).toBeGreaterThanOrEqual(120)
      expect(fields['state_topic']).toMatch(/\/(state|metrics)$/)
    }
  })

  test('pictures are there only where they are published', () => {
    const images = (some: HomeAssistantDevice) =>
      entitiesOf(discoveryPayload(some)).filter(({ platform }) => platform === 'image').length
    expect(images(device)).toBe(2)
    expect(images({ ...device, hasSnapshot: false, hasEventSnapshot: false })).toBe(0)
  })

  test('people occupy an area, hot dogs do not; a button sends JSON; a temperature has a unit of its class', () => {
    const { cmps } = discoveryPayload(device)
    expect(cmps['zone-door-person']).toMatchObject({ dev_cla: 'occupancy', name: 'Person in door' })
    expect(cmps['label-hot_dog']).not.toHaveProperty('dev_cla')
    expect(cmps['restart']).toMatchObject({ pl_prs: '{}' })
    expect(cmps['temperature']).toMatchObject({ dev_cla: 'temperature', unit_of_meas: '°C' })
    expect(accepted.values.temperature_unit.values).toContain('°C')
  })

  test('a label in a template is plain ASCII that ends nothing, and decodes to the label', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', minLength: 1 }), (label) => {
        const { cmps } = discoveryPayload({ ...bare, labels: [label] })
        const template = Object.entries(cmps).find(([key]) => key.startsWith('label-'))?.[1]['val_tpl']
        const [, literal = ''] =
          /^\{\{ 'ON' if value_json\.labels\.get\('(.*)'\) else 'OFF' \}\}$/.exec(`${template}`) ?? []
        expect(literal).toMatch(/^(?:[\w ,.-]|\\u[0-9a-f]{4}|\\U[0-9a-f]{8})+$/)
        const decoded = literal.replaceAll(/\\[uU]([0-9a-f]{8}|[0-9a-f]{4})/g, (_, code) =>
          String.fromCodePoint(Number.parseInt(code, 16)),
        )
        expect(decoded).toBe(label)
      }),
    )
  })

  test('a usual device fits into the smallest packets that brokers are set to', () => {
    expect(
      Buffer.byteLength(JSON.stringify(discoveryPayload({ ...device, labels: ['person'], zones: [] }))),
    ).toBeLessThan(6000)
  })
})
