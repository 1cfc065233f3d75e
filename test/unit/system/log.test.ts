import { describe, expect, test } from 'vitest'
import { humanLine } from '../../../src/system/log.ts'

/** Noon where the test runs: a person at a terminal reads local time. */
const time = new Date(2026, 0, 31, 12, 0, 1).toISOString()
const lineOf = (record: object) => humanLine(JSON.stringify({ level: 'info', time, ...record }))

describe('humanLine', () => {
  test.each([
    ['the time and the message', { msg: 'connected' }, '12:00:01 connected'],
    ['how bad it is, unless it is plain news', { level: 'warn', msg: 'camera failed' }, '12:00:01 warn camera failed'],
    [
      'texts without their names',
      { level: 'error', msg: 'broker not reachable', url: 'mqtt://host', problem: 'refused' },
      '12:00:01 error broker not reachable: mqtt://host, refused',
    ],
    [
      'all else with its name',
      { msg: 'model loaded', loadMs: 120, ok: true },
      '12:00:01 model loaded: loadMs 120, ok true',
    ],
    ['what has parts as JSON', { msg: 'stopped', frames: { captured: 3 } }, '12:00:01 stopped: frames {"captured":3}'],
    ['a null as it is', { msg: 'camera', reason: null }, '12:00:01 camera: reason null'],
  ])('shows %s', (_, record, line) => {
    expect(lineOf(record)).toBe(line)
  })
})
