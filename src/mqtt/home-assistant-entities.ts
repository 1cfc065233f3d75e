import { createHash } from 'node:crypto'
import type { Topics } from './topics.ts'

/** What Home Assistant shows of the device, entity by entity. */

export type HomeAssistantDevice = {
  readonly baseTopic: string
  readonly id: string
  readonly name: string
  readonly sw: string
  readonly board: string | null
  readonly serial: string | null
  /** Each gets a binary sensor, and one more in each zone. */
  readonly labels: readonly string[]
  readonly zones: readonly string[]
  /** Whether pictures are published: on request, and of events. */
  readonly hasSnapshot: boolean
  readonly hasEventSnapshot: boolean
  readonly maxFpsOfCamera: number
}

export const platforms = ['sensor', 'binary_sensor', 'image', 'update', 'button', 'switch', 'number'] as const

/** One entity; with nothing but its platform, it is taken away. */
export type Component = {
  readonly p: (typeof platforms)[number]
  readonly [field: string]: string | number | readonly string[]
}

/**
 * Home Assistant refuses what has a field that it doesn't know, and a version that is null. It offers only what is newer than
 * what is installed, unless it can't compare them: with a name before it, a version is like no other, so that the way back
 * to an older one is offered too, and one of another model.
 */
const updateTemplate = `
{% set candidate = value_json.candidate %}
{% set installed = value_json.title ~ ' ' ~ value_json.installed_version %}
{{ {
  'installed_version': installed,
  'latest_version': candidate.name ~ ' ' ~ candidate.version if candidate else installed,
  'in_progress': value_json.in_progress,
  'update_percentage': value_json.update_percentage
} | tojson if value_json.title else '{}' }}`
  .replaceAll(/\n */g, ' ')
  .trim()

/** Without a message for so long, its values count for nothing: three beats of `state` and `metrics`. */
const expiry = { exp_aft: 180 }

const diagnostic = { ent_cat: 'diagnostic' }
const config = { ent_cat: 'config' }

/** Home Assistant's automations take an area with such a sensor for occupied, so it is for people only. */
const people = /^(person|people|pedestrian|human|face|man|woman|boy|girl|child)$/i

/** What every device has. A key stays what it is: it can't change its platform, since it is named once in a message. */
export function ownComponents(
  { hasSnapshot, hasEventSnapshot, maxFpsOfCamera }: HomeAssistantDevice,
  topics: Topics,
): { readonly [key: string]: Component } {
  const state = (expression: string) => ({ stat_t: topics.state, val_tpl: `{{ ${expression} }}` })
  const metrics = (expression: string) => ({ stat_t: topics.metrics, val_tpl: `{{ ${expression} }}` })
  const attributes = (expression: string) => ({
    json_attr_t: topics.state,
    json_attr_tpl: `{{ ${expression} | tojson }}`,
  })
  // QoS 1: a command should not get lost without a trace.
  const setting = (name: string) => ({ cmd_t: `${topics.own}${name}/set`, qos: 1 })
  const picture = { p: 'image', cont_type: 'image/jpeg' } as const
  return {
    in_view: {
      p: 'sensor',
      name: 'In view',
      stat_t: topics.current,
      // Home Assistant takes no state that is longer.
      val_tpl: '{{ value_json.summary[:255] }}',
      json_attr_t: topics.current,
    },
    inference: { p: 'switch', name: 'Inference', ...state('value_json.inference'), ...setting('inference') },
    threshold: {
      p: 'number',
      name: 'Threshold',
      min: 0,
      max: 1,
      step: 0.01,
      mode: 'slider',
      ...config,
      // Null becomes `None`, which Home Assistant takes for unknown; so it does below.
      ...state('value_json.threshold'),
      ...setting('threshold'),
    },
    max_fps: {
      p: 'number',
      name: 'Rate limit',
      min: 0.01,
      max: maxFpsOfCamera,
      step: 0.01,
      mode: 'box',
      unit_of_meas: 'fps',
      ...config,
      // A limit above what the camera gives is none; Home Assistant would complain of it in its log.
      ...state(`value_json.max_fps if value_json.max_fps is none else [value_json.max_fps, ${maxFpsOfCamera}] | min`),
      ...setting('max_fps'),
    },
    restart: {
      p: 'button',
      name: 'Restart',
      dev_cla: 'restart',
      ...config,
      cmd_t: `${topics.request}restart`,
      pl_prs: '{}',
      qos: 1,
    },
    ...(hasSnapshot ? { snapshot: { ...picture, name: 'Snapshot', img_t: topics.snapshot } } : {}),
    ...(hasEventSnapshot ? { event_snapshot: { ...picture, name: 'Newest event', img_t: topics.eventSnapshot } } : {}),
    status: {
      p: 'sensor',
      name: 'Status',
      dev_cla: 'enum',
      ops: ['starting', 'running', 'paused', 'degraded', 'error'],
      ...diagnostic,
      ...state('value_json.status'),
      ...attributes("{'reason': value_json.reason}"),
      ...expiry,
    },
    camera: {
      p: 'binary_sensor',
      name: 'Camera',
      dev_cla: 'problem',
      ...diagnostic,
      ...state("{'online': 'OFF', 'starting': 'None', 'unknown': 'None'}.get(value_json.camera.state, 'ON')"),
      ...attributes('value_json.camera'),
      ...expiry,
    },
    model: {
      p: 'sensor',
      name: 'Model',
      ...diagnostic,
      ...state("value_json.model.name ~ ' ' ~ value_json.model.version if value_json.model else none"),
      ...expiry,
    },
    model_update: {
      p: 'update',
      name: 'Model update',
      ...config,
      stat_t: topics.update,
      val_tpl: updateTemplate,
      json_attr_t: topics.update,
      json_attr_tpl:
        "{{ {'phase': value_json.phase, 'reason': value_json.reason, 'stale': value_json.stale, 'last': value_json.last} | tojson }}",
      cmd_t: `${topics.request}install_update`,
      pl_inst: '{}',
      qos: 1,
    },
    fps: {
      p: 'sensor',
      name: 'Inference rate',
      unit_of_meas: 'fps',
      stat_cla: 'measurement',
      sug_dsp_prc: 1,
      ...diagnostic,
      ...state('value_json.fps'),
      ...expiry,
    },
    events_waiting: {
      p: 'sensor',
      name: 'Events waiting',
      stat_cla: 'measurement',
      ...diagnostic,
      ...state('value_json.outbox.pending'),
      ...attributes("{'problem': value_json.outbox.problem}"),
      ...expiry,
    },
    temperature: {
      p: 'sensor',
      name: 'Temperature',
      dev_cla: 'temperature',
      unit_of_meas: '°C',
      stat_cla: 'measurement',
      ...diagnostic,
      ...metrics('value_json.temp_c'),
      ...expiry,
    },
    throttled: {
      p: 'binary_sensor',
      name: 'Throttled',
      dev_cla: 'problem',
      ...diagnostic,
      ...metrics("{true: 'ON', false: 'OFF'}.get(value_json.throttled, 'None')"),
      ...expiry,
    },
  }
}

/** Whether each label is in view, there and in each zone, and how much is in each zone. Names are what the user chose. */
export function sightComponents(
  { labels, zones }: HomeAssistantDevice,
  topics: Topics,
): { readonly [key: string]: Component } {
  const isThere = (label: string, name: string, place: string): Component => ({
    p: 'binary_sensor',
    name: sentence(name.toWellFormed()),
    ...(people.test(label) ? { dev_cla: 'occupancy' } : {}),
    stat_t: topics.current,
    val_tpl: `{{ 'ON' if ${place}.get(${literal(label)}) else 'OFF' }}`,
  })
  const everywhere = labels.map((label): [string, Component] => [
    `label-${slug(label)}`,
    isThere(label, label, 'value_json.labels'),
  ])
  const inZones = zones.flatMap((zone): [string, Component][] => {
    const place = `value_json.zones.get(${literal(zone)}, {})`
    const zoneName = zone.replaceAll('_', ' ')
    return [
      [
        `zone-${zone}`,
        {
          p: 'sensor',
          name: `Objects in ${zoneName}`,
          stat_cla: 'measurement',
          stat_t: topics.current,
          val_tpl: `{{ ${place}.values() | sum(attribute='count') }}`,
        },
      ],
      ...labels.map((label): [string, Component] => [
        `zone-${zone}-${slug(label)}`,
        isThere(label, `${label} in ${zoneName}`, place),
      ]),
    ]
  })
  return Object.fromEntries([...everywhere, ...inZones])
}

/** `hot dog` is `hot_dog`; what would lose more than its spaces on the way gets a digest, after a hyphen. */
function slug(label: string): string {
  const readable = label
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '_')
    .slice(0, 40)
  if (readable.replaceAll('_', ' ') === label) return readable
  return `${readable}-${createHash('sha256').update(label).digest('hex').slice(0, 16)}`
}

/**
 * A string in a Jinja2 template. It decodes what stands between the quotes like Python's `unicode_escape` (jinja2/lexer.py,
 * Lexer.wrap), so that all that could end the string, or the template, or be lost, is written as its code point.
 */
function literal(text: string): string {
  const escaped = Array.from(text, (char) => {
    if (/[\w ,.-]/.test(char)) return char
    const code = (char.codePointAt(0) ?? 0).toString(16)
    return code.length > 4 ? `\\U${code.padStart(8, '0')}` : `\\u${code.padStart(4, '0')}`
  })
  return `'${escaped.join('')}'`
}

function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}
