import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Fleet } from '../../../src/cli/ota/fleet.ts'
import {
  complaintsOf,
  describeDevice,
  describeFleet,
  deviceJson,
  troublesOf,
} from '../../../src/cli/ota/fleet-table.ts'
import { type UpdateStatus, updatesOff } from '../../../src/core/update-status.ts'
import { saidUpdate } from '../../support/said.ts'
import { modelOne, modelTwo, outcome, updateStatus } from '../../support/updates.ts'

function fleetOf(messages: Readonly<Record<string, string>>, fleet = new Fleet('sightd')): Fleet {
  for (const [topic, payload] of Object.entries(messages))
    fleet.take({ topic: `sightd/${topic}`, payload: Buffer.from(payload) })
  return fleet
}

const one = (status: UpdateStatus, model = modelOne) =>
  fleetOf({ 'porch/update': saidUpdate(status, model), 'porch/status': 'online' }).devices(undefined)

const lines = (status: UpdateStatus, model = modelOne) => describeFleet(one(status, model)).map(({ text }) => text)

describe('the table', () => {
  test('has a row for each device, and how many run what', () => {
    const fleet = fleetOf({
      'shed/update': saidUpdate(updatesOff, modelOne),
      'shed/status': 'offline',
      'porch/status': 'online',
      'porch/update': saidUpdate(
        updateStatus({
          phase: 'download',
          percent: 41.5,
          candidate: modelTwo,
          last: { ...outcome, code: 'cancelled' },
        }),
        modelOne,
      ),
      'attic/status': 'online',
    })
    expect(describeFleet(fleet.devices(undefined)).map(({ text }) => text)).toEqual([
      'DEVICE  STATUS   MODEL                        PHASE          NEXT                         GROUP    ROLLOUT  LAST',
      'attic   online',
      'porch   online   ssdlite-mobilenet-v2-coco 1  download 41 %  ssdlite-mobilenet-v2-coco 2  porches  yes      rolled_back ssdlite-mobilenet-v2-coco 2',
      'shed    offline  ssdlite-mobilenet-v2-coco 1  off',
      '3 devices, 1 offline, 2 with ssdlite-mobilenet-v2-coco 1, 1 with no known model',
    ])
    expect(fleet.devices('porches').map(({ id }) => id)).toEqual(['porch'])
  })

  test('says what a device waits for, and that somebody is asked', () => {
    const waiting = updateStatus({
      phase: 'waiting',
      candidate: modelTwo,
      needs_consent: true,
      paused: true,
      reason: 'it waits for install_update',
    })
    expect(lines(waiting)).toEqual([
      expect.any(String),
      expect.stringContaining('waiting, paused, asks'),
      '  └ it waits for install_update',
      '1 device, 1 with ssdlite-mobilenet-v2-coco 1',
    ])
  })

  test('fits into what a person can read, whatever the names are', () => {
    const long = { name: '犬'.repeat(500), version: 'v'.repeat(500) }
    const status = updateStatus({ candidate: long, group: 'g'.repeat(500), last: { ...outcome, model: long } })
    for (const line of lines(status, long)) expect(line.length).toBeLessThan(400)
  })
})

describe('trouble', () => {
  test.each([
    ['rolled_back', 'bad_output', true],
    ['refused', 'downgrade', true],
    ['failed', 'golden_mismatch', true],
    ['failed', 'something_new', true],
    ['committed', 'done', false],
    ['cancelled', 'cancelled', false],
    ['rolled_back', 'cancelled', false],
    ['rolled_back', 'rolled_back_by_command', false],
  ] as const)('is an update that was %s, %s: %s', (ending, code, isTrouble) => {
    const [device] = one(updateStatus({ last: { ...outcome, outcome: ending, code } }))
    const sentence = `ssdlite-mobilenet-v2-coco 2 ${ending}, ${code}: NaN came out of it`
    expect(device && troublesOf(device)).toEqual(isTrouble ? [sentence] : [])
  })

  test('is metadata that has expired', () => {
    const stale = 'timestamp.json: its signed date of expiry has passed'
    expect(lines(updateStatus({ stale }))).toContain(`  └ nothing new may be installed: ${stale}`)
  })
})

test('a device in one line, and for programs', () => {
  const [device] = one(updateStatus({ phase: 'check', last: outcome }))
  expect(device && describeDevice(device)).toBe(
    'porch is online, model ssdlite-mobilenet-v2-coco 1, phase check, group porches, rollout yes, last rolled_back ssdlite-mobilenet-v2-coco 2; ssdlite-mobilenet-v2-coco 2 rolled_back, bad_output: NaN came out of it',
  )
  expect(device && deviceJson(device)).toMatchObject({
    device: 'porch',
    status: 'online',
    update: { phase: 'check', title: modelOne.name, installed_version: '1', last: outcome },
    troubles: [expect.stringContaining('bad_output')],
  })
})

describe('what devices say', () => {
  test('may lack what we know, and have what we do not', () => {
    const [device] = fleetOf({
      'porch/update': '{"v":1,"enabled":true,"phase":"a_new_one","of_a_later_version":[1]}',
    }).devices(undefined)
    expect(device && describeDevice(device)).toBe('porch is unknown, phase a_new_one')
  })

  test('is taken away with an empty message', () => {
    const fleet = fleetOf({ 'porch/update': saidUpdate(updateStatus(), modelOne), 'porch/status': 'online' })
    expect(fleetOf({ 'porch/status': '' }, fleet).devices(undefined)).toMatchObject([{ status: undefined }])
    expect(fleetOf({ 'porch/update': '', 'attic/update': '' }, fleet).devices(undefined)).toEqual([])
  })

  test.each([
    ['porch/update', 'no JSON'],
    ['porch/update', '{"v":2,"enabled":true,"phase":"idle"}'],
    ['porch/update', '{"v":1,"enabled":true,"phase":7}'],
    ['porch/update', '{"v":1,"enabled":true,"phase":"idle","percent":1e9}'],
    ['porch/update', '{"v":1,"enabled":true,"phase":"idle","last":{}}'],
    ['porch/update', '['.repeat(200_000)],
    ['porch/update', 'null'],
    ['porch/status', 'fine'],
    ['porch/state', '{}'],
    ['Porch/status', 'online'],
    ['update/status', 'online'],
    ['all/update', saidUpdate(updateStatus(), modelOne)],
    ['porch/update/event', '{}'],
  ])('%s with %j is not understood', (topic, payload) => {
    const fleet = fleetOf({ [topic]: payload })
    expect(fleet.devices(undefined)).toEqual([])
    expect(complaintsOf(fleet, [])).toEqual(['messages that are not understood: 1'])
  })

  test('of more devices than there are is left out', () => {
    const fleet = new Fleet('sightd')
    for (let i = 0; i < 10_003; i++) fleetOf({ [`d${i}/status`]: 'online' }, fleet)
    expect(fleet.devices(undefined)).toHaveLength(10_000)
    expect(complaintsOf(fleet, [])).toEqual(['messages of devices that are too many: 3'])
  })

  test('does nothing to a terminal, whatever it is', () => {
    const text = fc.string({ unit: 'binary', minLength: 1, maxLength: 30 })
    const model = fc.record({ name: text, version: text })
    const said = fc.record({
      v: fc.constant(1),
      enabled: fc.constant(true),
      phase: text,
      title: text,
      installed_version: text,
      candidate: model,
      reason: text,
      group: text,
      rollout: text,
      stale: text,
      last: fc.record({ model, outcome: fc.constant('failed'), code: text, reason: text, ts: text }),
    })
    fc.assert(
      fc.property(said, (message) => {
        const devices = fleetOf({ 'porch/update': JSON.stringify(message) }).devices(undefined)
        expect(devices).toHaveLength(1)
        const shown = [...describeFleet(devices).map((line) => line.text), ...devices.map(describeDevice)]
        for (const line of shown) expect(line).not.toMatch(/\p{C}/u)
      }),
    )
  })
})
