import * as v from 'valibot'
import {
  type Component,
  type HomeAssistantDevice,
  ownComponents,
  platforms,
  sightComponents,
} from './home-assistant-entities.ts'
import { deviceTopics } from './topics.ts'

/**
 * How the device shows up in Home Assistant, by MQTT device discovery (home-assistant.io/integrations/mqtt, "Device
 * discovery payload"; homeassistant/components/mqtt in home-assistant/core). Field names are its documented abbreviations:
 * it expands them before it looks at anything, the message is an eighth smaller, and some brokers cap messages. What it
 * accepts is listed in test/fixtures/home-assistant-fields.json.
 */

export type { HomeAssistantDevice }

export type Discovery = {
  readonly dev: { readonly [field: string]: string | readonly string[] }
  readonly o: { readonly name: string; readonly sw: string }
  readonly avty_t: string
  readonly cmps: { readonly [key: string]: Component }
}

/** 50 labels in 20 zones, and what every device has. */
const maxRemoved = 1100

/** `<prefix>/device/<object id>/config`; Home Assistant allows letters, digits, `_` and `-` there, and so does our id. */
export function discoveryTopic(prefix: string, id: string): string {
  return `${prefix}/device/${uniqueId(id)}/config`
}

export function discoveryPayload(device: HomeAssistantDevice): Discovery {
  const { baseTopic, id, name, sw, board, serial } = device
  const topics = deviceTopics(baseTopic, id)
  const components = { ...ownComponents(device, topics), ...sightComponents(device, topics) }
  return {
    dev: {
      ids: [uniqueId(id)],
      name: name.toWellFormed(),
      sw,
      ...(board === null ? {} : { mdl: board }),
      ...(board?.startsWith('Raspberry Pi') ? { mf: 'Raspberry Pi' } : {}),
      ...(serial === null ? {} : { sn: serial }),
    },
    o: { name: 'sightd', sw },
    // The words that mean there and gone are `online` and `offline` unless told otherwise.
    avty_t: topics.status,
    cmps: Object.fromEntries(
      Object.entries(components).map(([key, component]) => [
        key,
        {
          ...component,
          uniq_id: `${uniqueId(id)}_${key}`,
          def_ent_id: `${component.p}.${`${id}_${key}`.replaceAll(/[^a-z0-9]+/g, '_')}`,
        },
      ]),
    ),
  }
}

/**
 * `next`, and by name what an earlier message had that `next` has not: Home Assistant takes an entity away that is sent
 * with its platform only. Undefined when there is nothing to take away. What comes from the broker may be anybody's.
 */
export function removalPayload(previousText: string, next: Discovery): Discovery | undefined {
  const removed = earlierComponents(previousText).filter(([key]) => !Object.hasOwn(next.cmps, key))
  if (removed.length === 0) return undefined
  return { ...next, cmps: { ...next.cmps, ...Object.fromEntries(removed.slice(0, maxRemoved)) } }
}

const earlierSchema = v.object({ cmps: v.record(v.string(), v.unknown()) })
const earlierKey = /^[a-z][a-z0-9_-]{0,150}$/
const earlierComponentSchema = v.looseObject({ p: v.picklist(platforms) })

function earlierComponents(text: string): [string, Component][] {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    return []
  }
  const message = v.safeParse(earlierSchema, json)
  if (!message.success) return []
  return Object.entries(message.output.cmps).flatMap(([key, value]): [string, Component][] => {
    const component = v.safeParse(earlierComponentSchema, value)
    // One with nothing but its platform was taken away already.
    const isThere = component.success && Object.keys(component.output).length > 1
    return isThere && earlierKey.test(key) ? [[key, { p: component.output.p }]] : []
  })
}

/** The same however the device is called. An id has no `_`, so what follows it can't be taken for a part of it. */
function uniqueId(id: string): string {
  return `sightd_${id}`
}
