import { describe, expect, test } from 'vitest'
import { WatchedDevices } from '../../../../src/cli/watch/devices.ts'
import { changeLines } from '../../../../src/cli/watch/lines.ts'
import { readMessage } from '../../../../src/cli/watch/messages.ts'
import { saidCurrent, saidEvent } from '../../../support/said.ts'

const startMs = Date.parse('2026-11-25T09:00:00.000Z')

function lines() {
  const linesFor = changeLines(new WatchedDevices())
  return (topic: string, payload: string, nowMs: number) => {
    const heard = readMessage(`sightd/porch/${topic}`, Buffer.from(payload), 'sightd')
    if ('problem' in heard) throw new Error(heard.problem)
    return linesFor(heard, false, nowMs)
  }
}

describe('changeLines', () => {
  test('each begins with the time at which it was heard, whatever the clock of the device', () => {
    const hear = lines()
    expect([
      ...hear('status', 'online', startMs),
      ...hear('current', saidCurrent('person', '2026-11-25T12:00:00.000Z'), startMs + 100),
      ...hear('event', saidEvent({ ts: '2026-11-25T08:00:00.000Z' }), startMs + 300),
    ]).toEqual([
      '2026-11-25T09:00:00.000Z porch is online\n',
      '2026-11-25T09:00:00.100Z porch sees person\n',
      '2026-11-25T09:00:00.300Z porch person came (0.82)\n',
    ])
  })

  test('no time is before that of the line above, even if the clock is set back', () => {
    const hear = lines()
    hear('status', 'online', startMs)
    expect(hear('status', 'offline', startMs - 60_000)).toEqual(['2026-11-25T09:00:00.000Z porch is offline\n'])
    expect(hear('status', 'online', startMs + 1)).toEqual(['2026-11-25T09:00:00.001Z porch is online\n'])
  })

  test('an event that was told late says of when it is', () => {
    const hear = lines()
    expect(hear('event', saidEvent({ replayed: true, ts: '2026-11-24T08:00:00.000Z' }), startMs)).toEqual([
      '2026-11-25T09:00:00.000Z porch person came (0.82), told late: 2026-11-24T08:00:00.000Z\n',
    ])
    expect(hear('event', saidEvent({ seq: 2, replayed: true, ts: '2026-11-25T08:00:00+23' }), startMs)).toEqual([
      '2026-11-25T09:00:00.000Z porch person came (0.82), told late\n',
    ])
  })
})
