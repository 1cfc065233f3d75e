import { describe, expect, test } from 'vitest'
import { CrashDisk } from '../support/crash-disk.ts'
import { copyOf, type FolderNode } from '../support/crash-disk-tree.ts'
import { emptyDisk, liveOn, loadOf, type Situation } from '../support/crash-explorer.ts'
import { StoredUpdates } from '../support/stored-updates.ts'
import { type Facts, noFacts } from '../support/update-facts.ts'
import { Life } from '../support/update-life.ts'
import { offering, withFirst, withSecond, withWorld } from '../support/update-scenarios.ts'
import { transportOf } from '../support/update-world.ts'

withWorld()

type Damage = (bytes: Buffer) => Buffer | undefined

const flipped =
  (share: number): Damage =>
  (bytes) => {
    const changed = Buffer.from(bytes)
    const at = Math.min(bytes.length - 1, Math.floor(share * bytes.length))
    changed[at] = (bytes[at] ?? 0) ^ 1
    return changed
  }

const damages: readonly [string, Damage][] = [
  ...[0, 0.02, 0.3, 0.6, 1].map((share): [string, Damage] => [`a bit at ${100 * share} %`, flipped(share)]),
  ['cut in half', (bytes) => bytes.subarray(0, bytes.length >> 1)],
  ['empty', () => Buffer.of()],
  ['all zeros', (bytes) => Buffer.alloc(bytes.length)],
  ['gone', () => undefined],
]

function* filesBelow(folder: FolderNode, path: string): Generator<{ path: string; name: string; folder: FolderNode }> {
  for (const [name, node] of folder.now)
    if (node.kind === 'folder') yield* filesBelow(node, `${path}${name}/`)
    else if (node.kind === 'file') yield { path: `${path}${name}`, name, folder }
}

const pathsOn = ({ root }: Situation) => [...filesBelow(root, '')].map(({ path }) => path)

function damaged(situation: Situation, paths: readonly string[], damage: Damage, what: string): Situation {
  const root = copyOf(situation.root)
  for (const { path, name, folder } of filesBelow(root, '')) {
    const node = folder.now.get(name)
    if (!paths.includes(path) || node?.kind !== 'file') continue
    const bytes = damage(node.now)
    for (const names of [folder.now, folder.durable])
      if (bytes === undefined) names.delete(name)
      else names.set(name, { ...node, now: bytes, durable: bytes })
  }
  return { ...situation, root, story: [`${paths[0]}: ${what}`] }
}

/** From each of these to the end, with model 2 in charge, and nothing left over. */
async function expectHealed(
  situations: readonly Situation[],
  scenario = offering('2', { active: '2' }),
): Promise<void> {
  const problems: string[] = []
  for (const situation of situations) {
    const lived = await liveOn(situation, scenario, { records: false })
    problems.push(...lived.problems)
  }
  console.info(`${situations.length} damaged disks`)
  expect(problems.length, problems.slice(0, 20).join('\n')).toBe(0)
  expect(situations.length).toBeGreaterThan(8)
}

const each = (situation: Situation, paths: readonly string[]) =>
  damages.flatMap(([what, damage]) => paths.map((path) => damaged(situation, [path], damage, what)))

/** With a model for the time in between. */
const until2 = ({ facts, ...situation }: Situation, underWay: string) => ({
  ...situation,
  facts: { ...facts, underWay },
})

function blobsOf({ root }: Situation, role: 'active' | 'previous'): string[] {
  using disk = new CrashDisk(copyOf(root))
  return new StoredUpdates(disk).blobs[role].map((sha256) => `ota/blobs/${sha256}`)
}

describe('row 53: damage to', () => {
  test('any file of the model in charge: the one before serves until it is there again', async () => {
    const second = await withSecond()
    const blobs = blobsOf(second, 'active')
    expect(blobs.length).toBe(3)
    await expectHealed(each(until2(second, '1'), blobs))
  })

  test('any file of the model before: nobody sees it, and it is no model to go back to', async () => {
    const second = await withSecond()
    const scenario = offering('2', { active: '2', isPreviousLost: true })
    const refusals: string[] = []
    const script = async (life: Life) => {
      await life.rollback('1')
      refusals.push(...life.said)
      await scenario.script(life)
    }
    const situations = each(second, blobsOf(second, 'previous'))
    await expectHealed(situations, { ...scenario, script })
    expect(refusals).toEqual(situations.map(() => 'the files of the model before are damaged'))
  })

  test('any file of a model on probation: it is no fault of it, and it comes anew', async () => {
    const { moments } = await liveOn(await withFirst(), offering('2', { active: '2' }))
    const moment = moments.find(({ next }) => next === loadOf('2', 'charge'))
    if (moment === undefined) throw new Error('it never was in charge')
    await expectHealed(each({ ...moment, story: [] }, blobsOf(await withSecond(), 'active')))
  })

  test('both: the first model serves until the one in charge is there again', async () => {
    const second = await withSecond()
    const blobs = [...blobsOf(second, 'active'), ...blobsOf(second, 'previous')]
    await expectHealed(damages.map(([what, damage]) => damaged(until2(second, '0'), blobs, damage, what)))
  })

  test('either record: nothing changes, and no floor is lower', async () => {
    await expectHealed(each(await withSecond(), ['ota/record.0', 'ota/record.1']))
  })

  test('both records: it begins with the first model', async () => {
    const { facts, ...second } = await withSecond()
    const unknown = { ...second, facts: { ...noFacts, metadata: facts.metadata } }
    const paths = ['ota/record.0', 'ota/record.1']
    await expectHealed(damages.map(([what, damage]) => damaged(unknown, paths, damage, what)))
  })

  test('any file of metadata, row 55: root as well, comes anew, and no other version falls', async () => {
    const { facts, ...second } = await withSecond()
    const situations = ['root', 'timestamp', 'snapshot', 'targets', 'deploy'].flatMap((role, lost) => {
      const metadata = facts.metadata.map((version, i) => (i === lost ? 0 : version))
      return each({ ...second, facts: { ...facts, metadata } }, [`ota/tuf/${role}.json`])
    })
    await expectHealed(situations)
  })
})

test('a file of the model in charge that can not be read any more comes anew, to another place on the disk', async () => {
  const second = until2(await withSecond(), '1')
  const scenario = offering('2', { active: '2' })
  const blobs = blobsOf(second, 'active')
  for (const blob of blobs) {
    using disk = new CrashDisk(copyOf(second.root))
    let isReplaced = false
    disk.fault = ({ name, path }) => {
      if (path !== blob) return undefined
      isReplaced ||= name === 'rename'
      return name === 'read' && !isReplaced ? 'EIO' : undefined
    }
    const transport = transportOf(scenario.offer.files)
    const life = await Life.start({ ...scenario, disk, transport, bootId: 'a', facts: second.facts })
    await scenario.script(life)
    expect([...life.problems, ...scenario.check(life)]).toEqual([])
    expect(isReplaced).toBe(true)
    await life.end()
  }
  expect(blobs.length).toBe(3)
})

test('rows 54 and 62: without part of its state, or all, a device comes back to the model that it should run', async () => {
  const second = await withSecond()
  const paths = pathsOn(second)
  const without = (start: string, facts: Facts) =>
    damages.map(([what, damage]) => {
      const lost = paths.filter((path) => path.startsWith(start))
      return damaged({ ...second, facts }, lost, damage, `all that begins so, ${what}`)
    })
  await expectHealed([
    emptyDisk,
    ...without('ota/', noFacts),
    ...without('ota/record.', noFacts),
    ...without('ota/blobs/', { ...second.facts, underWay: '0' }),
    ...without('ota/tuf/', { ...second.facts, metadata: noFacts.metadata }),
  ])
})
