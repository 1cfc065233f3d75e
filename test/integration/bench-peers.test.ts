import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { classifier } from '../../bench/peers/contenders.ts'
import { findProgram } from '../support/mosquitto.ts'

const path = (relative: string) => fileURLToPath(new URL(`../../${relative}`, import.meta.url))

/** What has to be there for which contender: each skips by name without it. */
const hasMosquitto = findProgram('mosquitto') !== undefined
const hasPython = hasMosquitto && existsSync(path('bench/peers/.cache/venv/bin/python'))
const hasClassifier = hasMosquitto && existsSync(classifier)
const contenders = [
  ['sightd', hasMosquitto],
  ['python onnxruntime', hasPython],
  ['node sharp', hasMosquitto],
  ['sightd', hasClassifier],
  ['python litert', hasPython && hasClassifier],
] as const

type Row = {
  name: string
  skipped: string | null
  performance: (Record<string, number> & { cpuByThread: Record<string, number> }) | null
}

test('each contender that can be had performs and is measured; the others are skipped with the reason', async () => {
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [
    path('bench/main.ts'),
    'peers',
    '--quick',
    '--json',
  ])
  expect(stderr).toBe('')
  const groups: { rows: Row[] }[] = JSON.parse(stdout).groups
  const rows = groups.flatMap((group) => group.rows)
  expect(rows.map(({ name, skipped }) => [name, skipped === null])).toEqual(contenders)
  for (const { name, skipped, performance } of rows) {
    if (skipped !== null) expect(skipped).toMatch(/not installed|missing/)
    const { cpuByThread = {}, ...figures } = performance ?? {}
    for (const [figure, value] of Object.entries({ ...figures, ...cpuByThread }))
      expect(value, `${name} ${figure}`).toBeGreaterThan(0)
    if (name === 'sightd' && performance !== null)
      expect(Object.keys(cpuByThread)).toEqual(expect.arrayContaining(['vision/main WorkerThread', 'src/main main']))
    expect(performance === null).toBe(skipped !== null)
  }
}, 120_000)
