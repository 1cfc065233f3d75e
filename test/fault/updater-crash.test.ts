import { describe, expect, test } from 'vitest'
import {
  crashesAt,
  emptyDisk,
  explore,
  liveOn,
  loadOf,
  powerCutsAt,
  type Scenario,
  type Situation,
  seeded,
} from '../support/crash-explorer.ts'
import type { LoadPlace } from '../support/simulated-vision.ts'
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
    ['the first update', 1, async () => [emptyDisk, offering('1', { active: '1' })]],
    ['an update', 1, async () => [await withFirst(), offering('2', { active: '2' })]],
    ['a look at a new timestamp', 20, async () => [await withFirst(), offering('a new timestamp', { active: '1' })]],
    [
      'a trial that ends with NaN',
      1,
      async () => [await withSecondFetched(), offering('2', { active: '1', bad: '2', failures: { '2': badOutput } })],
    ],
    [
      'a trial in which three processes die',
      1,
      async () => [await withSecondFetched(), offering('2', { active: '1', bad: '2', failures: { '2': died } })],
    ],
    ['a rollback by command', 4, async () => [await withSecond(), rolledBackByCommand()]],
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
    all ? 3_600_000 : 300_000,
  )
})

const walks = 40

test(`row 61: ${walks} times, an update that is cut short at nine moments before its end, two of them by a kill`, async () => {
  const chance = seeded(2)
  const starts = [await withFirst(), await withSecondFetched()]
  const update = offering('2', { active: '2' })
  const problems: string[] = []
  for (let walk = 0; walk < walks; walk++) {
    const kills = new Set([chance(9), chance(9)])
    let situation = starts[walk % 2] ?? emptyDisk
    for (let cut = 0; cut < 9; cut++) {
      const lived = await liveOn(situation, update)
      problems.push(...lived.problems)
      const before = lived.moments.filter(({ facts }) => facts.settled === '1')
      const moment = before[chance(before.length)]
      if (moment === undefined) break
      const ways = [...powerCutsAt(moment, situation.story)]
      const [kill] = crashesAt(moment, situation.story)
      situation = (kills.has(cut) ? kill : ways[chance(ways.length)]) ?? situation
    }
    problems.push(...(await liveOn(situation, update, { records: false })).problems)
  }
  expect(problems.length, problems.slice(0, 20).join('\n')).toBe(0)
}, 300_000)

/** All goes down with each load of the second model at that place, as often as that happens or `most` times. */
async function downWithLoads(place: LoadPlace, by: 'a kill' | 'a power cut', most: number) {
  let situation = await withFirst()
  for (let loads = 0; loads < most; loads++) {
    const { moments } = await liveOn(situation, offering('2', { active: '2' }))
    const moment = moments.find(({ next }) => next === loadOf('2', place))
    if (moment === undefined) return { situation, loads }
    const ways = by === 'a kill' ? crashesAt(moment, situation.story) : powerCutsAt(moment, situation.story)
    const [way] = [...ways]
    if (way === undefined) throw new Error('no way to go down')
    situation = way
  }
  return { situation, loads: most }
}

describe('a model that takes all down at each load', () => {
  const places: readonly LoadPlace[] = ['self_test', 'spare', 'charge']

  test.each(places)('row 56: at the %s, is not loaded again after three deaths', async (place) => {
    const { situation, loads } = await downWithLoads(place, 'a kill', 20)
    expect(loads).toBe(3)
    expect((await liveOn(situation, offering('2', { active: '1', bad: '2' }))).problems).toEqual([])
  })

  test.each(places)('at the %s, is not loaded again after ten power cuts', async (place) => {
    const { situation, loads } = await downWithLoads(place, 'a power cut', 20)
    expect(loads).toBe(10)
    expect((await liveOn(situation, offering('2', { active: '1', bad: '2' }))).problems).toEqual([])
  })

  test.each(places)('row 61: at the %s, nine times by a power cut, stays when it works after all', async (place) => {
    const { situation, loads } = await downWithLoads(place, 'a power cut', 9)
    expect(loads).toBe(9)
    expect((await liveOn(situation, offering('2', { active: '2' }))).problems).toEqual([])
  })
})
