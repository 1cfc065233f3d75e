import { spawnSync } from 'node:child_process'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { cameraStateSchema } from '../../src/core/camera-state.ts'
import { type UpdateStatus, updatePhases, updatesOff } from '../../src/core/update-status.ts'
import { discoveryPayload } from '../../src/mqtt/home-assistant.ts'
import { updateMessage } from '../../src/mqtt/update-message.ts'
import { device, exampleMessages } from '../support/home-assistant.ts'
import { modelOne, modelTwo, outcome, updateStatus } from '../support/updates.ts'

type Job = { readonly template: string; readonly payload: string }

/**
 * Home Assistant renders in a sandbox that changes nothing, and strips the result (homeassistant/helpers/template); a
 * missing field is only logged there, but shall be an error here.
 */
const renderer = `
import json, sys
from jinja2 import StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined)
def render(job):
    template = environment.from_string(job['template'])
    return template.render(value=job['payload'], value_json=json.loads(job['payload'])).strip()
json.dump([render(job) for job in json.load(sys.stdin)], sys.stdout)
`

function renderAll(jobs: readonly Job[]): string[] {
  const { stdout, stderr } = spawnSync('python3', ['-c', renderer], { input: JSON.stringify(jobs), encoding: 'utf8' })
  expect(stderr).toBe('')
  return JSON.parse(stdout)
}

const { current, state, metrics, update } = exampleMessages
const { labels, zones } = current

/** What an entity shows after a message. */
function valuesOf(entity: string, messages: readonly object[], field = 'val_tpl') {
  const template = `${discoveryPayload(device).cmps[entity]?.[field]}`
  return renderAll(messages.map((message) => ({ template, payload: JSON.stringify(message) })))
}

const hasJinja = spawnSync('python3', ['-c', 'import jinja2']).status === 0

describe.skipIf(!hasJinja)('templates for Home Assistant (skipped where python3 has no jinja2)', () => {
  test.each([
    ['in_view', [current, { ...current, summary: 'nothing' }], ['2 × person, cat', 'nothing']],
    ['in_view', [{ ...current, summary: 'x'.repeat(300) }], ['x'.repeat(255)]],
    ['inference', [state, { ...state, inference: 'OFF' }], ['ON', 'OFF']],
    ['threshold', [state, { ...state, threshold: 0.88 }, { ...state, threshold: null }], ['0.5', '0.88', 'None']],
    ['max_fps', [{ ...state, max_fps: 2.5 }, { ...state, max_fps: 30 }, state], ['2.5', '10', 'None']],
    ['status', [state], ['running']],
    ['model', [state, { ...state, model: null }], ['ssdlite-mobilenet-v2-coco 1', 'None']],
    ['fps', [state], ['9.8']],
    ['events_waiting', [{ ...state, outbox: { pending: 7, problem: null } }], ['7']],
    ['temperature', [metrics, { ...metrics, temp_c: 88 }, { ...metrics, temp_c: null }], ['58.9', '88', 'None']],
    ['throttled', [metrics, { ...metrics, throttled: true }, { ...metrics, throttled: null }], ['OFF', 'ON', 'None']],
    ['label-person', [current, { ...current, labels: {} }], ['ON', 'OFF']],
    ['label-hot_dog', [current, { ...current, labels: { 'hot dog': { count: 1, score: 0.6 } } }], ['OFF', 'ON']],
    [
      'zone-door-person',
      [current, { ...current, zones: { door: {} } }, { ...current, zones: {} }],
      ['ON', 'OFF', 'OFF'],
    ],
    ['zone-lawn-person', [current], ['OFF']],
    ['zone-door', [current, { ...current, zones: { door: labels } }, { ...current, zones: {} }], ['1', '3', '0']],
    ['zone-lawn', [current, { ...current, zones: { ...zones, lawn: { cat: labels.cat } } }], ['0', '1']],
  ])('%s', (entity, messages, values) => {
    expect(valuesOf(entity, messages)).toEqual(values)
  })

  test('the camera is a problem unless it is online, or nobody knows yet', () => {
    const states = [...cameraStateSchema.options, 'unknown']
    const shown = valuesOf(
      'camera',
      states.map((name) => ({ ...state, camera: { ...state.camera, state: name } })),
    )
    const expected = new Map([
      ['online', 'OFF'],
      ['starting', 'None'],
      ['unknown', 'None'],
    ])
    expect(shown).toEqual(states.map((name) => expected.get(name) ?? 'ON'))
  })

  test('attributes are JSON, whatever the words', () => {
    const words = `"it's" <b>{{ 1 }}</b> \\ 犬\n`
    const message = {
      ...state,
      reason: words,
      camera: { ...state.camera, reason: words },
      outbox: { pending: 1, problem: words },
    }
    const attributes = (entity: string) =>
      valuesOf(entity, [message, state], 'json_attr_tpl').map((text) => JSON.parse(text))
    expect(attributes('status')).toEqual([{ reason: words }, { reason: null }])
    expect(attributes('camera')).toEqual([message.camera, state.camera])
    expect(attributes('events_waiting')).toEqual([{ problem: words }, { problem: null }])
  })

  describe('the update entity', () => {
    const one = 'ssdlite-mobilenet-v2-coco 1'
    const two = 'ssdlite-mobilenet-v2-coco 2'
    const shows = (status: UpdateStatus, model: typeof modelOne | undefined = modelOne) =>
      valuesOf('model_update', [updateMessage(status, model, 0)]).map((text) => JSON.parse(text))

    test.each(updatePhases)('has what Home Assistant takes, and no more, in phase %s', (phase) => {
      const isBusy = !['idle', 'check', 'waiting'].includes(phase)
      const next = { latest_version: two, in_progress: isBusy, update_percentage: isBusy ? 41 : null }
      expect(shows(updateStatus({ phase, candidate: modelTwo, percent: 41 }))).toEqual([
        { installed_version: one, ...next },
      ])
      expect(shows(updateStatus({ phase, candidate: modelTwo, percent: 41 }), modelTwo)).toEqual([
        { installed_version: two, ...next },
      ])
    })

    test('has nothing to offer while none is to come, whether there is a repository or not', () => {
      const nothing = { installed_version: one, latest_version: one, in_progress: false, update_percentage: null }
      expect([...shows(updateStatus()), ...shows(updatesOff)]).toEqual([nothing, nothing])
    })

    test('offers an older model and another one by a name that no version has', () => {
      const older = updateStatus({ phase: 'waiting', candidate: modelOne, needs_consent: true, active: modelTwo })
      expect(shows(older, modelTwo)).toMatchObject([
        { installed_version: two, latest_version: one, in_progress: false },
      ])
      const other = updateStatus({ phase: 'waiting', candidate: { name: 'cats', version: '1' } })
      expect(shows(other)).toMatchObject([{ installed_version: one, latest_version: 'cats 1' }])
    })

    test('says nothing before a model is known, which Home Assistant passes over', () => {
      expect(valuesOf('model_update', [updateMessage(updatesOff, undefined, 0)])).toEqual(['{}'])
    })

    test('is JSON whatever the words', () => {
      const words = `"it's" <b>{{ 1 }}</b> \\ 犬\n`
      const named = updateStatus({ candidate: { name: words, version: words }, reason: words })
      expect(shows(named)).toMatchObject([{ latest_version: `${words} ${words}` }])
      const message = updateMessage({ ...named, phase: 'waiting', stale: words, last: outcome }, modelOne, 0)
      const attributes = valuesOf('model_update', [message], 'json_attr_tpl').map((text) => JSON.parse(text))
      expect(attributes).toEqual([{ phase: 'waiting', reason: words, stale: words, last: outcome }])
    })
  })

  test('every template renders, whatever is null and whatever is in view', () => {
    const messages = new Map<unknown, readonly object[]>([
      ['sightd/porch-a1b2c3/current', [current, { ...current, labels: {}, zones: {} }]],
      ['sightd/porch-a1b2c3/state', [state, { ...state, model: null, threshold: null, max_fps: 5 }]],
      ['sightd/porch-a1b2c3/metrics', [metrics, { ...metrics, temp_c: null, throttled: null }]],
      ['sightd/porch-a1b2c3/update', [update, updateMessage(updatesOff, modelOne, 0)]],
    ])
    const jobs = Object.values(discoveryPayload(device).cmps).flatMap((component) =>
      ['val_tpl', 'json_attr_tpl'].flatMap((field) =>
        (messages.get(component['stat_t']) ?? []).flatMap((message) =>
          component[field] === undefined ? [] : [{ template: `${component[field]}`, payload: JSON.stringify(message) }],
        ),
      ),
    )
    expect(jobs.length).toBeGreaterThan(40)
    for (const shown of renderAll(jobs)) expect(shown).not.toBe('')
  })

  test('a label is found whatever is in it, and no other one', () => {
    const nasty = [
      `it's`,
      '"',
      '\\',
      '\\n',
      '\\u0041',
      '{{ 1 }}',
      "') }}{% raw %}",
      '{# #}',
      '\r\n',
      '犬',
      '🐕',
      '\0',
      ' a ',
    ]
    const random = fc.sample(fc.string({ unit: 'binary', minLength: 1, maxLength: 100 }), 300)
    const jobs = [...nasty, ...random].flatMap((label) => {
      const { cmps } = discoveryPayload({ ...device, labels: [label], zones: ['door'] })
      const found = { [label]: { count: 1, score: 0.88 } }
      const there = JSON.stringify({ ...current, labels: found, zones: { door: found } })
      const other = { [`${label}.`]: { count: 1, score: 0.88 } }
      const gone = JSON.stringify({ ...current, labels: other, zones: { door: other } })
      return Object.entries(cmps).flatMap(([key, { val_tpl }]) =>
        /^(label|zone-door)-/.test(key) ? [there, gone].map((payload) => ({ template: `${val_tpl}`, payload })) : [],
      )
    })
    expect(jobs).toHaveLength((nasty.length + random.length) * 4)
    expect(renderAll(jobs)).toEqual(jobs.map((_, index) => (index % 2 === 0 ? 'ON' : 'OFF')))
  })
})
