import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { conditionOf, modelOf, troublesOf } from '../../../../src/cli/watch/device.ts'
import { WatchedDevices } from '../../../../src/cli/watch/devices.ts'
import { readMessage } from '../../../../src/cli/watch/messages.ts'
import { saidCurrent, saidEvent, saidInfo, saidMetrics, saidState } from '../../../support/said.ts'

const startMs = Date.parse('2026-11-25T09:00:00.000Z')

/** Devices, and the words that each message makes. */
function watched() {
  const devices = new WatchedDevices()
  return {
    devices,
    hear(topic: string, payload: string, { isRetained = false, nowMs = startMs } = {}) {
      const heard = readMessage(`sightd/${topic}`, Buffer.from(payload), 'sightd')
      if ('problem' in heard) throw new Error(heard.problem)
      return devices.take(heard, isRetained, nowMs).map(({ id, text }) => `${id} ${text}`)
    },
    get only() {
      const [device] = devices.devices
      if (device === undefined) throw new Error('no device')
      return device
    },
  }
}

describe('what changes is told once, in words', () => {
  test('from what the broker has kept', () => {
    const { hear } = watched()
    expect(hear('porch/state', saidState(), { isRetained: true })).toEqual([])
    expect(hear('porch/current', saidCurrent('cat'), { isRetained: true })).toEqual([])
    expect(hear('porch/status', 'online', { isRetained: true })).toEqual([
      'porch is running',
      'porch runs ssdlite-mobilenet-v2-coco 1',
      'porch sees cat',
    ])
    expect(hear('porch/state', saidState({ fps: 3 }))).toEqual([])
    expect(hear('porch/info', saidInfo('porch'))).toEqual([])
    expect(hear('porch/metrics', saidMetrics())).toEqual([])
  })

  test('of a device that runs into trouble, out of it, and away', () => {
    const { hear } = watched()
    expect(hear('porch/status', 'online')).toEqual(['porch is online'])
    expect(hear('porch/state', saidState({ model: null }))).toEqual(['porch is running'])
    expect(hear('porch/state', saidState({ model: null, status: 'degraded', reason: 'no frame' }))).toEqual([
      'porch is degraded',
      'porch has trouble: no frame',
    ])
    expect(hear('porch/state', saidState({ model: null }))).toEqual([
      'porch is running',
      'porch has no trouble any more',
    ])
    expect(hear('porch/state', saidState())).toEqual(['porch runs ssdlite-mobilenet-v2-coco 1'])
    expect(hear('porch/current', saidCurrent('nothing'))).toEqual(['porch sees nothing'])
    expect(hear('porch/status', 'offline')).toEqual(['porch is offline'])
    expect(hear('porch/current', saidCurrent('cat'))).toEqual([])
    expect(hear('porch/status', 'online')).toEqual([
      'porch is running',
      'porch runs ssdlite-mobilenet-v2-coco 1',
      'porch sees cat',
    ])
  })

  test('of a device of which nothing is kept any more', () => {
    const { hear, devices } = watched()
    hear('porch/status', 'online')
    hear('porch/state', saidState())
    hear('porch/metrics', saidMetrics())
    expect(hear('porch/status', '')).toEqual([])
    expect(hear('porch/state', '')).toEqual(['porch is gone'])
    expect(devices.devices).toEqual([])
    expect(hear('porch/state', '')).toEqual([])
    expect(devices.devices).toEqual([])
  })
})

describe('events', () => {
  test.each([
    [{}, 'person came (0.82)'],
    [{ zones: ['door'] }, 'person came (0.82) at door'],
    [{ zones: ['door', 'yard'], replayed: true }, 'person came (0.82) at door, yard, told late'],
    [{ type: 'end', end: '2026-11-25T08:00:12.000Z', end_reason: 'left' }, 'person left after 12 s'],
    [
      { type: 'end', end: '2026-11-25T08:00:12.000Z', end_reason: 'interrupted' },
      'person out of sight after 12 s: camera, model or inference stopped',
    ],
  ] as const)('%j: %s', (change, words) => {
    const { hear, devices } = watched()
    expect(hear('porch/event', saidEvent({ ...change, zones: [...('zones' in change ? change.zones : [])] }))).toEqual([
      `porch ${words}`,
    ])
    expect(devices.events).toEqual([{ id: 'porch', text: words, atMs: Date.parse('2026-11-25T08:00:00.000Z') }])
  })

  test('of no time that we know stand at the start, and stay as long as we know', () => {
    const { hear, devices } = watched()
    hear('porch/event', saidEvent({ type: 'end', ts: '2026-11-25T08:00:00+23', start: '2026-11-25T08:00:00+23' }))
    expect(devices.events).toEqual([{ id: 'porch', text: 'person left', atMs: 0 }])
  })

  test('updates say nothing new', () => {
    expect(watched().hear('porch/event', saidEvent({ type: 'update' }))).toEqual([])
  })

  test('one that comes twice is told once, but the same of another device is another', () => {
    const { hear } = watched()
    expect(hear('porch/event', saidEvent())).toHaveLength(1)
    expect(hear('porch/event', saidEvent())).toEqual([])
    expect(hear('porch/event', saidEvent({ seq: 1 }))).toHaveLength(1)
    expect(hear('garage/event', saidEvent())).toHaveLength(1)
  })

  test('alone make no device, and the newest 200 are kept', () => {
    const { hear, devices } = watched()
    for (let seq = 0; seq < 300; seq++) hear('porch/event', saidEvent({ seq, label: `l${seq}` }))
    expect(devices.devices).toEqual([])
    expect(devices.events).toHaveLength(200)
    expect(devices.events.at(-1)?.text).toBe('l299 came (0.82)')
    expect(hear('porch/event', saidEvent({ seq: 100, label: 'l100' }))).toEqual([])
    // Older ones are forgotten, so that nothing grows.
    expect(hear('porch/event', saidEvent({ seq: 0, label: 'l0' }))).toEqual(['porch l0 came (0.82)'])
  })
})

describe('devices', () => {
  test('are sorted by id, and at most 500; what others say is counted', () => {
    const { hear, devices } = watched()
    for (let i = 599; i >= 0; i--) hear(`cam-${i}/status`, 'online')
    expect(devices.devices).toHaveLength(500)
    expect(devices.leftOut).toBe(100)
    const ids = devices.devices.map(({ id }) => id)
    expect(ids).toEqual(ids.toSorted())
    expect(hear('cam-599/status', 'offline')).toEqual(['cam-599 is offline'])
    expect(devices.leftOut).toBe(100)
  })

  test.each([
    ['what waits at the broker was said when it says so', saidCurrent('cat'), true, Date.parse('2026-11-25T08:00:00Z')],
    ['but not in the future', saidCurrent('cat', '2027-01-01T00:00:00.000Z'), true, startMs],
    ['what comes now is said now, whatever its clock', saidCurrent('cat', '1970-01-01T00:00:00.000Z'), false, startMs],
    [
      'a time that only the schema takes for one tells nothing',
      saidCurrent('cat', '2026-11-25T08:00:00+23'),
      true,
      undefined,
    ],
  ])('heard: %s', (_, payload, isRetained, heardMs) => {
    const fleet = watched()
    fleet.hear('porch/current', payload, { isRetained })
    expect(fleet.only.heardMs).toBe(heardMs)
  })

  test('heard: a last will is not the word of the device, and an older word changes nothing', () => {
    const fleet = watched()
    fleet.hear('porch/status', 'online', { isRetained: true })
    expect(fleet.only.heardMs).toBe(undefined)
    fleet.hear('porch/state', saidState())
    fleet.hear('porch/status', 'offline', { nowMs: startMs + 5000 })
    fleet.hear('porch/current', saidCurrent('cat'), { isRetained: true, nowMs: startMs + 5000 })
    expect(fleet.only.heardMs).toBe(startMs)
  })

  test('conditions', () => {
    const fleet = watched()
    fleet.hear('porch/state', saidState())
    expect(conditionOf(fleet.only)).toBe('unknown')
    fleet.hear('porch/status', 'online')
    expect(conditionOf(fleet.only)).toBe('running')
    fleet.hear('porch/status', 'offline')
    expect(conditionOf(fleet.only)).toBe('offline')
    expect(modelOf(fleet.only)).toBe('ssdlite-mobilenet-v2-coco 1')
  })

  test('troubles: all that a device says of itself, until it is gone', () => {
    const fleet = watched()
    const state = {
      reason: 'no frame',
      governor: { active: true, reason: 'too hot' },
      outbox: { pending: 12, problem: 'disk full' },
      mqtt: { problem: 'topic refused' },
      settings: { problem: 'not kept' },
    }
    fleet.hear('porch/state', saidState(state))
    fleet.hear('porch/metrics', saidMetrics({ undervoltage: true }))
    expect(troublesOf(fleet.only)).toEqual([
      'no frame',
      'slowed down: too hot',
      'events waiting: 12',
      'disk full',
      'topic refused',
      'not kept',
      'supply voltage too low',
    ])
    fleet.hear('porch/status', 'offline')
    expect(troublesOf(fleet.only)).toEqual([])
  })

  test('nothing of what they say is obeyed by a terminal, or long', () => {
    const text = fc.oneof(fc.string({ unit: 'binary', minLength: 1 }), fc.constant('\x1b[2J\n'.repeat(999)))
    fc.assert(
      fc.property(text, (hostile) => {
        const fleet = watched()
        const words = [
          ...fleet.hear('porch/status', 'online'),
          ...fleet.hear('porch/info', saidInfo('porch', hostile)),
          ...fleet.hear(
            'porch/state',
            saidState({
              reason: hostile,
              model: { name: hostile, version: hostile },
              governor: { active: true, reason: hostile },
              outbox: { pending: 1, problem: hostile },
              mqtt: { problem: hostile },
              settings: { problem: hostile },
            }),
          ),
          ...fleet.hear('porch/current', saidCurrent(hostile)),
          ...fleet.hear('porch/event', saidEvent({ label: hostile, event_id: hostile, zones: Array(9).fill(hostile) })),
        ]
        expect(words.length).toBeGreaterThan(4)
        const texts: string[] = []
        JSON.stringify(fleet.only, (_, value) => (typeof value === 'string' ? texts.push(value) : value))
        expect(texts.length).toBeGreaterThan(8)
        for (const line of [...words, ...texts]) {
          expect(line).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u)
          expect(line.length).toBeLessThan(2500)
        }
      }),
      { numRuns: 50 },
    )
  })
})
