import { spawnSync } from 'node:child_process'
import fc from 'fast-check'
import * as v from 'valibot'
import { expect, test } from 'vitest'
import { dailyWindowSchema, isInWindow } from '../../../src/core/daily-window.ts'

const minutesOfDay = 24 * 60
const minute = fc.integer({ min: 0, max: minutesOfDay - 1 })
const clock = (minutes: number) =>
  [Math.floor(minutes / 60), minutes % 60].map((number) => String(number).padStart(2, '0')).join(':')

/** A winter's day, on which no clock is changed. */
const at = (minutes: number) => new Date(2026, 0, 15, 0, minutes, 59)

test('a moment is in a window when it is less after its beginning than its end is', () => {
  fc.assert(
    fc.property(minute, minute, minute, (from, to, now) => {
      fc.pre(from !== to)
      const after = (minutes: number) => (minutes - from + minutesOfDay) % minutesOfDay
      expect(isInWindow(`${clock(from)}-${clock(to)}`, at(now))).toBe(after(now) < after(to))
    }),
  )
})

test('each moment is either in a window or in the rest of the day', () => {
  fc.assert(
    fc.property(minute, minute, minute, (from, to, now) => {
      fc.pre(from !== to)
      const [window, rest] = [`${clock(from)}-${clock(to)}`, `${clock(to)}-${clock(from)}`]
      expect(isInWindow(window, at(now))).toBe(!isInWindow(rest, at(now)))
    }),
  )
})

test('every window of two times that differ is one', () => {
  fc.assert(
    fc.property(minute, minute, (from, to) => {
      expect(v.is(dailyWindowSchema, `${clock(from)}-${clock(to)}`)).toBe(from !== to)
    }),
  )
})

test.each([
  '',
  '02:00',
  '02:00-02:00',
  '2:00-4:00',
  '02:00-24:00',
  '02:60-03:00',
  '02:00 - 04:00',
  '02:00-04:00\n',
  '02:00–04:00',
])('%j is no window', (text) => {
  expect(v.is(dailyWindowSchema, text)).toBe(false)
})

test.each([
  ['2026-03-28T12:00:00Z', 0],
  ['2026-10-24T12:00:00Z', 120],
  ['2026-11-24T12:00:00Z', 60],
])('of the night after %s in Berlin, %d minutes are in 02:00-03:00', (noon, minutes) => {
  const count = `
    import { isInWindow } from ${JSON.stringify(new URL('../../../src/core/daily-window.ts', import.meta.url).href)}
    const day = Array.from({ length: 1440 }, (_, i) => new Date(Date.parse('${noon}') + i * 60_000))
    console.log(day.filter((at) => isInWindow('02:00-03:00', at)).length)`
  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '--eval', count], {
    env: { ...process.env, TZ: 'Europe/Berlin' },
    encoding: 'utf8',
  })
  expect(stdout.trim()).toBe(String(minutes))
})
