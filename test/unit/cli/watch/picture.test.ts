import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { printable, textWidth } from '../../../../src/cli/text.ts'
import type { WatchedDevice } from '../../../../src/cli/watch/device.ts'
import type { Happening } from '../../../../src/cli/watch/happenings.ts'
import { describePicture, type Picture } from '../../../../src/cli/watch/picture.ts'

// Noon where we are: the times below are of one day.
const nowMs = new Date(2026, 10, 25, 12, 0, 0).getTime()
const ts = '2026-11-25T08:00:00.000Z'
const model = { name: 'ssd', version: '1' }

const porch: WatchedDevice = {
  id: 'porch',
  name: 'Front door',
  status: 'online',
  state: { v: 1, ts, status: 'running', fps: 9.83, model },
  sees: '2 × person',
  metrics: { v: 1, ts, temp_c: 61.4, inference_ms_p50: 21.44 },
  heardMs: nowMs - 2500,
}
const garage: WatchedDevice = {
  ...porch,
  id: 'garage',
  name: 'garage',
  state: { v: 1, ts, status: 'degraded', fps: 0, model, reason: 'no frame for 2 s' },
  sees: 'nothing',
  heardMs: nowMs - 400_000,
}
const hall: WatchedDevice = { ...porch, id: 'hall', name: 'hall', status: 'offline' }

const event = (id: string, text: string, atMs = nowMs - 1000): Happening => ({ id, text, atMs })

const picture = (change: Partial<Picture> = {}): Picture => ({
  title: 'sightd at mqtt://broker',
  trouble: undefined,
  devices: [garage, hall, porch],
  events: [event('porch', 'person came (0.82) at door'), event('garage', 'cat left after 12 s')],
  nowMs,
  ...change,
})

const shown = (change: Partial<Picture>, width = 100, height = 24) =>
  describePicture(picture(change), width, height).map(({ text }) => text.trimEnd())

describe('describePicture', () => {
  test('is a table of devices with their trouble, and the newest events', () => {
    expect(shown({})).toEqual([
      '3 devices, 1 offline, 1 with trouble  sightd at mqtt://broker',
      'DEVICE  NAME        STATUS    SEES        FPS    MS  °C  MODEL  HEARD',
      'garage              degraded  nothing     0.0  21.4  61  ssd 1  7 min',
      '  └ no frame for 2 s',
      'hall                offline                              ssd 1    2 s',
      'porch   Front door  running   2 × person  9.8  21.4  61  ssd 1    2 s',
      '',
      '11:59:59  porch     person came (0.82) at door',
      '11:59:59  garage    cat left after 12 s',
    ])
  })

  test('tells what needs a look from what is well by its tone', () => {
    const down: WatchedDevice = { ...porch, id: 'x', state: { v: 1, ts, status: 'error' } }
    const slow: WatchedDevice = {
      ...porch,
      id: 'y',
      state: { v: 1, ts, status: 'running', outbox: { pending: 1, problem: null } },
    }
    const lines = describePicture(picture({ devices: [garage, hall, porch, down, slow], trouble: 'away' }), 100, 24)
    expect(lines.slice(0, 10).map(({ tone }) => tone)).toEqual([
      ...['head', 'bad', 'head', 'warn', 'warn', 'bad', 'plain', 'bad', 'warn', 'warn'],
    ])
  })

  test('says when there is nobody, and what is wrong with the broker', () => {
    expect(shown({ devices: [], events: [], trouble: 'the broker is away' })).toEqual([
      '0 devices  sightd at mqtt://broker',
      'the broker is away',
      'No device has said anything yet.',
    ])
  })

  test('an event of another day has its date', () => {
    const [line] = shown({ events: [event('porch', 'cat came', nowMs - 86_400_000)] }).slice(-1)
    expect(line).toBe('2026-11-24 12:00:00  porch     cat came')
  })

  test('a narrow screen loses the least important columns, and never the end of an id', () => {
    const devices = [{ ...porch, id: 'raspberrypi-living-room-4-c0ffee' }]
    const heads = [100, 90, 80, 70, 57, 50, 40].map((width) => shown({ devices }, width)[1]?.split(/ +/).join(' '))
    expect(heads).toEqual([
      'DEVICE NAME STATUS SEES FPS MS °C MODEL HEARD',
      'DEVICE NAME STATUS SEES FPS MS °C HEARD',
      'DEVICE STATUS SEES FPS MS HEARD',
      'DEVICE STATUS SEES FPS HEARD',
      'DEVICE STATUS SEES',
      'DEVICE STATUS',
      'DEVICE',
    ])
    for (const width of [100, 70, 40])
      expect(shown({ devices }, width)[2]).toContain('raspberrypi-living-room-4-c0ffee')
  })

  test('a long sight makes room before anything else does', () => {
    const long = { name: 'ssdlite-mobilenet-v2', version: '1' }
    const device = {
      ...porch,
      state: { v: 1 as const, ts, status: 'running' as const, model: long },
      sees: 'cat, '.repeat(40),
    }
    expect(shown({ devices: [device] }, 110)[2]).toMatch(/cat, cat, .*… +21\.4 +61 +ssdlite-mobilenet-v2 1 +2 s$/)
  })

  test('a column of which nothing is known is not there', () => {
    const fresh: WatchedDevice = { id: 'porch', status: 'online', sees: 'cat', heardMs: nowMs - 900 }
    expect(shown({ devices: [fresh], events: [] }).slice(1)).toEqual([
      'DEVICE  STATUS  SEES  HEARD',
      'porch   online  cat     now',
    ])
  })

  test('a low screen counts the devices that it does not show, and leaves a third to events', () => {
    const devices = [...Array.from({ length: 20 }, (_, i) => ({ ...porch, id: `a-${i + 10}` })), garage, hall]
    const events = Array.from({ length: 50 }, (_, i) => event('porch', `event ${i}`))
    const lines = shown({ devices, events }, 100, 15)
    expect(lines).toHaveLength(15)
    expect(lines[8]).toBe('… 16 more, 1 offline, 1 with trouble')
    expect(lines[9]).toBe('')
    expect(lines.slice(10).map((line) => line.slice(-8))).toEqual([45, 46, 47, 48, 49].map((i) => `event ${i}`))
    expect(shown({ devices, events: [] }, 100, 15)[14]).toBe('… 10 more, 1 offline, 1 with trouble')
  })

  test('is never larger than the screen, whatever it shows', () => {
    const text = fc.string({ unit: 'binary', minLength: 1 }).map(printable)
    const device: fc.Arbitrary<WatchedDevice> = fc.record({
      id: fc.stringMatching(/^[a-z0-9-]{1,36}$/),
      name: fc.option(text, { nil: undefined }),
      status: fc.constantFrom('online', 'offline', undefined),
      sees: fc.option(text, { nil: undefined }),
      state: fc.option(
        text.map((reason) => ({ v: 1 as const, ts, status: 'degraded' as const, reason, model, fps: 1e9 })),
        { nil: undefined },
      ),
      heardMs: fc.option(fc.integer(), { nil: undefined }),
    })
    const events = fc.array(fc.record({ id: fc.constant('porch'), text, atMs: fc.integer() }))
    fc.assert(
      fc.property(
        fc.array(device, { maxLength: 30 }),
        events,
        fc.option(text, { nil: undefined }),
        fc.nat(200),
        fc.nat(60),
        (devices, events, trouble, width, height) => {
          const lines = describePicture(picture({ devices, events, trouble }), width, height)
          expect(lines.length).toBeLessThanOrEqual(height)
          for (const { text } of lines) expect(textWidth(text)).toBeLessThanOrEqual(width)
        },
      ),
    )
  })
})
