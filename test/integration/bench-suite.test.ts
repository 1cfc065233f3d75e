import { execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { findProgram } from '../support/mosquitto.ts'
import { tempFolder } from '../support/temp-folder.ts'

const entry = fileURLToPath(new URL('../../bench/main.ts', import.meta.url))

/** Runs it to its end; exit codes other than 0 are no error. */
async function bench(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const run = promisify(execFile)(process.execPath, [entry, ...args])
  return run.then(
    (output) => ({ code: 0, ...output }),
    (error: { code: number; stdout: string; stderr: string }) => error,
  )
}

async function baselineFile(text: string): Promise<string> {
  const path = join(await tempFolder(), 'baseline.json')
  writeFileSync(path, text)
  return path
}

type Outcome = {
  name: string
  skipped: string | null
  figures: { key: string; value: number; ratio: number; verdict: string }[]
}

test('every measurement gives figures, in JSON', async () => {
  const { stdout, stderr } = await bench('--quick', '--json', '--against', await baselineFile('{}'))
  expect(stderr).toBe('')
  const outcomes: Outcome[] = JSON.parse(stdout).outcomes
  expect(outcomes.map(({ name }) => name)).toEqual(
    'overhead preprocess decode handover spool mqtt swap memory startup'.split(' '),
  )
  const withBroker = ['mqtt', 'memory', 'startup']
  const hasMosquitto = findProgram('mosquitto') !== undefined
  for (const { name, skipped, figures } of outcomes) {
    const isSkipped = withBroker.includes(name) && !hasMosquitto
    expect(skipped, name).toEqual(isSkipped ? expect.stringContaining('mosquitto is not installed') : null)
    expect(figures.length > 0, name).toBe(!isSkipped)
    for (const { key, value, ratio } of figures) {
      expect(key.startsWith(`${name}: `)).toBe(true)
      expect(value, key).toBeGreaterThan(0)
      expect(ratio, key).toBeGreaterThan(0)
    }
  }
}, 60_000)

test('a baseline is renewed, and a figure that is far worse than it ends with 1', async () => {
  const path = await baselineFile('{}')
  const renewed = await bench('spool', '--quick', '--renew', '--against', path)
  expect(renewed.code).toBe(0)
  expect(renewed.stdout).toMatch(/^ {2}event in memory p50 .* new$/m)
  const figures: Record<string, number> = JSON.parse(readFileSync(path, 'utf8'))[process.arch]
  expect(Object.keys(figures)).toEqual(['spool: event in memory p50'])
  const [ratio = 0] = Object.values(figures)
  const faster = await baselineFile(JSON.stringify({ [process.arch]: { 'spool: event in memory p50': ratio / 1000 } }))
  const worse = await bench('spool', '--quick', '--against', faster)
  expect(worse.code).toBe(1)
  expect(worse.stdout).toMatch(/^ {2}event in memory p50 .* WORSE$/m)
})

test('its help names all of them and says how to renew the baseline; a name that is none is refused', async () => {
  const { stdout } = await bench('--help')
  for (const word of ['overhead', 'startup', 'peers', '--renew']) expect(stdout).toContain(word)
  const { code, stderr } = await bench('speed')
  expect([code, stderr]).toEqual([2, expect.stringContaining('nothing is called speed; there are overhead,')])
})
