import { describe, expect, test } from 'vitest'
import { CrashDisk, type DiskOperation } from '../support/crash-disk.ts'
import { afterPowerCut, copyOf } from '../support/crash-disk-tree.ts'
import { liveOn, type Situation } from '../support/crash-explorer.ts'
import { Life } from '../support/update-life.ts'
import { offering, withFirst, withWorld } from '../support/update-scenarios.ts'

withWorld()

const writes = ['write', 'truncate']
const changes = [...writes, 'openForWriting', 'create', 'mkdir', 'symlink', 'rename', 'rm']

type Fault = {
  readonly code: string
  readonly strikes: (operation: DiskOperation) => boolean
  /** From then on, not only once. */
  readonly lasts: boolean
}

const faults: readonly [string, Fault][] = [
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
  ['row 50: failing once to read', { code: 'EIO', strikes: ({ name }) => name === 'read', lasts: false }],
  [
    'row 50: failing at all bytes that are written from then on',
    { code: 'EIO', strikes: ({ name }) => ['sync', ...writes].includes(name), lasts: true },
  ],
  ['row 50: read-only from then on', { code: 'EROFS', strikes: ({ name }) => changes.includes(name), lasts: true }],
]

const told = /full|read-only|disk fails|damaged|bytes were written|could not be stored/

describe('an update on a disk that is', () => {
  test.each(faults)(
    '%s, at any moment: told, survived, and done when the disk is well',
    async (name, fault) => {
      const start = await withFirst()
      const problems: string[] = []
      let lives = 0
      let at = 0
      for (let isHit = true; isHit; at++) {
        const outcome = await suffer(start, fault, at + 1)
        isHit = outcome.isHit
        for (const left of outcome.left) {
          lives++
          problems.push(...(await liveOn(left, offering('2', { active: '2' }), { records: false })).problems)
        }
        problems.push(...outcome.problems.map((problem) => `at ${at + 1}: ${problem}`))
      }
      console.info(`${name}: at ${at - 1} moments, with ${lives} power cuts after it`)
      expect(problems.length, problems.slice(0, 20).join('\n')).toBe(0)
      expect(at).toBeGreaterThan(9)
    },
    120_000,
  )
})

/** One life with a fault at its nth chance. `left`: what a power cut makes of it before the disk is well again. */
async function suffer(start: Situation, { code, strikes, lasts }: Fault, nth: number) {
  using disk = new CrashDisk(copyOf(start.root))
  const scenario = offering('2', { active: '2' })
  let chances = 0
  let isWell = false
  let hit: string | undefined
  disk.fault = (operation) => {
    if (isWell || !strikes(operation)) return undefined
    chances++
    // A short write comes to its end when it goes on, as on a real disk.
    const isHit = chances === nth || (chances > nth && (lasts || (code === 'SHORT' && chances === nth + 1)))
    if (!isHit) return undefined
    hit ??= `${operation.name} ${operation.path}`
    return code === 'SHORT' && chances > nth ? 'ENOSPC' : code
  }
  // What can't be read is as good as gone: then the model before has its turn, or the first one.
  const underWay = code === 'EIO' ? '0' : undefined
  const options = { disk, ...scenario, bootId: 'a', facts: { ...start.facts, underWay } }
  let life = await Life.start(options)
  const problems: string[] = []
  if (!life.isOpen) {
    problems.push(`not opened: ${life.problems}`)
    isWell = true
    life = await Life.start(options)
  }
  await life.look()
  const { reason, last } = life.updater.status
  if (hit !== undefined && life.serving !== '2' && !told.test(`${reason} ${last?.reason}`))
    problems.push(`nothing is said of it: ${reason}; ${last?.reason}`)
  if (life.serving === 'nothing') problems.push('nothing serves')
  const left = [...afterPowerCut(disk.root)].filter((_, i, all) => i === 0 || i === all.length - 1)
  const { facts } = life
  isWell = true
  await life.look()
  await scenario.script(life)
  problems.push(...life.problems, ...scenario.check(life, disk))
  await life.end()
  const atTheEnd = [...afterPowerCut(disk.root)].slice(0, 1)
  return {
    isHit: hit !== undefined,
    problems: problems.map((problem) => `${hit}: ${problem}`),
    left: [
      ...left.map((root) => ({ root, bootId: 'b', facts, story: [`${code} at ${hit}`, 'power cut'] })),
      ...atTheEnd.map((root) => ({
        root,
        bootId: 'b',
        facts: life.facts,
        story: [`${code} at ${hit}`, 'power cut at the end'],
      })),
    ],
  }
}
