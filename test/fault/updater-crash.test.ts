import { describe, expect, test } from 'vitest'
import { emptyDisk, explore, type Scenario, type Situation } from '../support/crash-explorer.ts'
import {
  offering,
  rolledBackByCommand,
  withFirst,
  withSecond,
  withSecondFetched,
  withWorld,
} from '../support/update-scenarios.ts'

withWorld()

/** All second crashes, not only some of them: `CRASH_TEST=all`. */
const all = process.env['CRASH_TEST'] === 'all'

const badOutput = { fault: 'bad_output', message: 'NaN came out of it' } as const
const died = { fault: 'died', message: 'SIGSEGV' } as const

describe('a crash at any moment, and another one after it, of', () => {
  test.each<[string, number, () => Promise<readonly [Situation, Scenario]>]>([
    ['the first update', 2, async () => [emptyDisk, offering('1', { active: '1' })]],
    ['an update', 2, async () => [await withFirst(), offering('2', { active: '2' })]],
    ['a look at a new timestamp', 20, async () => [await withFirst(), offering('a new timestamp', { active: '1' })]],
    [
      'a trial that ends with NaN',
      4,
      async () => [await withSecondFetched(), offering('2', { active: '1', bad: '2', failures: { '2': badOutput } })],
    ],
    [
      'a trial in which three processes die',
      4,
      async () => [await withSecondFetched(), offering('2', { active: '1', bad: '2', failures: { '2': died } })],
    ],
    ['a rollback by command', 8, async () => [await withSecond(), rolledBackByCommand()]],
  ])(
    '%s',
    async (what, perLife, prepare) => {
      const since = process.cpuUsage()
      const [start, scenario] = await prepare()
      const { crashes, once, twice, problems } = await explore(start, scenario, {
        perLife: all ? 'all' : perLife,
        seed: 1,
      })
      const cpuS = (process.cpuUsage(since).user / 1e6).toFixed(1)
      console.info(`${what}: ${crashes} crashes, ${once} of them differ, ${twice} second ones; ${cpuS} s`)
      expect(problems.length, problems.slice(0, 20).join('\n')).toBe(0)
    },
    all ? 3_600_000 : 120_000,
  )
})
