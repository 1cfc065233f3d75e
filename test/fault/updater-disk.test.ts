import { describe, expect, test } from 'vitest'
import { CrashDisk, type DiskOperation } from '../support/crash-disk.ts'
import { afterPowerCut, copyOf, type FolderNode } from '../support/crash-disk-tree.ts'
import { liveOn, type Scenario, type Situation } from '../support/crash-explorer.ts'
import type { Facts } from '../support/update-facts.ts'
import { Life } from '../support/update-life.ts'
import { offering, withFirst, withWorld } from '../support/update-scenarios.ts'
import { transportOf } from '../support/update-world.ts'

withWorld()

const writes = ['write', 'truncate']
const changes = [...writes, 'openForWriting', 'create', 'mkdir', 'symlink', 'rename', 'rm']

type Fault = {
  readonly code: string
  readonly strikes: (operation: DiskOperation) => boolean
  /** From then on, not only once. */
  readonly lasts: boolean
}

const writing: readonly [string, Fault][] = [
  ['row 49: full once', { code: 'ENOSPC', strikes: ({ grows }) => grows, lasts: false }],
  ['row 49: full from then on', { code: 'ENOSPC', strikes: ({ grows }) => grows, lasts: true }],
  [
    'row 49: full in the middle of a write',
    { code: 'SHORT', strikes: ({ name, grows }) => name === 'write' && grows, lasts: false },
  ],
  [
    'row 49: full also for what is there, once',
    { code: 'ENOSPC', strikes: ({ name }) => name === 'write', lasts: false },
  ],
  ['row 50: failing once to write', { code: 'EIO', strikes: ({ name }) => writes.includes(name), lasts: false }],
  ['row 50: failing once to sync', { code: 'EIO', strikes: ({ name }) => name === 'sync', lasts: false }],
  [
    'row 50: failing at all bytes that are written from then on',
    { code: 'EIO', strikes: ({ name }) => ['sync', ...writes].includes(name), lasts: true },
  ],
  ['row 50: read-only from then on', { code: 'EROFS', strikes: ({ name }) => changes.includes(name), lasts: true }],
]

const told = /full|read-only|disk fails|damaged|bytes were written|could not be stored/

const isReading = ({ name }: DiskOperation) => name === 'read'
const reading: readonly [string, Fault][] = [
  ['row 50: failing once to read', { code: 'EIO', strikes: isReading, lasts: false }],
]

const badOutput = { fault: 'bad_output', message: 'NaN came out of it' } as const

describe('with a disk that is', () => {
  test.each([...writing, ...reading])(
    '%s, at any moment: an update is done when it is well',
    async (name, fault) => {
      await survive(name, fault, offering('2', { active: '2' }))
    },
    300_000,
  )

  test.each(writing)(
    '%s, at any moment: a model that fails is not tried again',
    async (name, fault) => {
      await survive(name, fault, offering('2', { active: '1', bad: '2', failures: { '2': badOutput } }))
    },
    300_000,
  )
})

async function survive(name: string, fault: Fault, scenario: Scenario): Promise<void> {
  const start = await withFirst()
  const problems: string[] = []
  let lives = 0
  let moments = 0
  for (let isHit = true; isHit && problems.length < 20; ) {
    const outcome = await suffer(start, scenario, fault, moments + 1)
    isHit = outcome.isHit
    if (isHit) moments++
    for (const left of outcome.left) {
      lives++
      problems.push(...(await liveOn(left, scenario, { records: false })).problems)
    }
    problems.push(...outcome.problems)
  }
  console.info(`${name}: at ${moments} moments, with ${lives} power cuts after it`)
  expect(problems.length, problems.slice(0, 20).join('\n')).toBe(0)
  expect(moments).toBeGreaterThan(8)
}

/** One life with a fault at its nth chance. `left`: what power cuts before, and after, the disk is well again make of it. */
async function suffer(start: Situation, scenario: Scenario, { code, strikes, lasts }: Fault, nth: number) {
  using disk = new CrashDisk(copyOf(start.root))
  let chances = 0
  let isWell = false
  let hit: string | undefined
  disk.fault = (operation) => {
    if (isWell || !strikes(operation)) return undefined
    chances++
    // A short write comes to its end when it goes on, as on a real disk.
    const isHit = chances === nth || (chances > nth && (lasts || (code === 'SHORT' && chances === nth + 1)))
    if (!isHit) return undefined
    hit ??= `${code} at ${operation.name} ${operation.path} (${nth})`
    return code === 'SHORT' && chances > nth ? 'ENOSPC' : code
  }
  // What can't be read is as good as gone: then the model before has its turn, or the first one.
  const before = code === 'EIO' ? { ...start.facts, underWay: '0' } : start.facts
  const transport = transportOf(scenario.offer.files)
  const life = await Life.start({ ...scenario, disk, transport, bootId: 'a', facts: before })
  if (!life.isOpen) return { isHit: true, problems: [`${hit}: ${life.problems}`], left: [] }
  await life.look()
  const { reason, last } = life.updater.status
  const logged = life.said.find((line) => line.startsWith('that a model was rolled back could not be stored'))
  const isDone = scenario.check(life).length === 0
  if (hit !== undefined && !isDone && !told.test(`${reason} ${last?.reason} ${logged}`))
    life.problems.push(`nothing is said of it: ${reason}; ${last?.reason}`)
  if (life.serving === 'nothing') life.problems.push('nothing serves')
  // What could not be stored is forgotten.
  const stored: Facts = { ...life.facts, bad: [], underWay: life.facts.underWay ?? '2' }
  const left = ends(disk).map((root) => ({ root, facts: stored, event: 'power cut' }))
  isWell = true
  await life.look()
  await scenario.script(life)
  life.problems.push(...scenario.check(life))
  await life.end()
  left.push(...ends(disk).map((root) => ({ root, facts: life.facts, event: 'power cut when it was well again' })))
  return {
    isHit: hit !== undefined,
    problems: life.problems.map((problem) => `${hit}: ${problem}`),
    left: left.map(({ root, facts, event }) => ({ root, bootId: 'b', facts, story: [hit ?? 'no fault', event] })),
  }
}

/** With nothing, and with all, of what was not synced. */
function ends({ root }: CrashDisk): FolderNode[] {
  return [...afterPowerCut(root)].filter((_, i, all) => i === 0 || i === all.length - 1)
}
