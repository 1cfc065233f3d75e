import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { judge, ratioOf, readBaseline, renewBaseline, type Verdict } from '../../../bench/baseline.ts'
import { compared, type Figure, told } from '../../../bench/measurement.ts'
import { describeOutcomes } from '../../../bench/report.ts'
import { tempFolder } from '../../support/temp-folder.ts'

test.each<[Figure, number]>([
  [compared(2, 'ms'), 0.2],
  [compared(2000, 'us'), 0.2],
  [compared(1000, '/s'), 10],
  [compared(120, 'MB'), 120],
  [compared(1.05, 'x'), 1.05],
])('where a bare run takes 10 ms, %j is %d', (figure, expected) => {
  expect(ratioOf(figure, 10)).toBeCloseTo(expected, 9)
})

test.each<[Figure, number, number | undefined, Verdict]>([
  [compared(1, 'ms'), 0.1, 0.1, 'as before'],
  [compared(1, 'ms'), 0.13, 0.1, 'as before'],
  [compared(1, 'ms'), 0.15, 0.1, 'WORSE'],
  [compared(1, 'ms'), 0.05, 0.1, 'better'],
  [compared(1, '/s'), 0.05, 0.1, 'WORSE'],
  [compared(1, '/s'), 0.15, 0.1, 'better'],
  [compared(1, 'MB'), 150, 100, 'WORSE'],
  [compared(1, 'ms'), 0.1, undefined, 'new'],
  [told(1, 'ms'), 9, 0.1, 'not compared'],
  [compared(1.11, 'x', 1.1), 1.11, 1.1, 'TOO MUCH'],
  [compared(1.11, 'x', 1.1), 1.11, undefined, 'TOO MUCH'],
  [compared(1.12, 'x', 1.1), 1.12, 1.11, 'as before'],
  [compared(1.6, 'x', 1.1), 1.6, 1.11, 'WORSE'],
  [compared(1.1, 'x', 1.1), 1.1, 1.1, 'as before'],
])('%j with ratio %d against %d is %s', (figure, ratio, before, expected) => {
  expect(judge(figure, ratio, before)).toBe(expected)
})

describe('renewing', () => {
  test('replaces what was measured, for this architecture only', async () => {
    const path = join(await tempFolder(), 'baseline.json')
    const other = { another: { 'spool: event': 3 } }
    writeFileSync(path, JSON.stringify({ ...other, [process.arch]: { 'swap: gap': 1, 'decode: p50': 2 } }))
    renewBaseline(path, readBaseline(path), new Map([['decode: p50', 0.123456]]))
    expect(readBaseline(path)).toEqual({ ...other, [process.arch]: { 'decode: p50': 0.1235, 'swap: gap': 1 } })
    expect(readFileSync(path, 'utf8')).toMatch(/^\{\n.*\n\}\n$/s)
  })
})

test('a table tells what is worse, and what was left out and why', () => {
  const text = describeOutcomes([
    { name: 'mqtt', skipped: 'mosquitto is not installed', bareMs: null, figures: [] },
    {
      name: 'swap',
      skipped: null,
      bareMs: 20,
      figures: [{ key: 'swap: gap', ...compared(1.5, 'x', 1.4), ratio: 1.5, baseline: 1.1, verdict: 'TOO MUCH' }],
    },
  ])
  expect(text).toContain('mqtt: skipped, mosquitto is not installed')
  expect(text).toMatch(/^swap \(a bare run takes 20\.00 ms\)$/m)
  expect(text).toMatch(/^ {2}gap +1\.500 x +1\.500 +1\.100 {2}TOO MUCH \(the aim, 1\.4, is missed\)$/m)
})
