import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { lstat, mkdir, readFile, rm, symlink, truncate, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { freshRecord, RecordFiles } from '../../../src/ota/update-record.ts'
import { failOpening } from '../../support/failing-open.ts'
import { pathsIn, reopened, sealed, written } from '../../support/written-record.ts'

type Damage = (path: string, victim: string) => Promise<unknown>

const damages: readonly [string, Damage][] = [
  [
    'torn between old and new',
    async (path) => {
      const bytes = await readFile(path)
      await writeFile(path, Buffer.concat([bytes.subarray(0, 512), randomBytes(4096 - 512)]))
    },
  ],
  ['cut off', (path) => truncate(path, 2048)],
  ['empty', (path) => truncate(path, 0)],
  ['too long', (path) => truncate(path, 8192)],
  ['blank', (path) => writeFile(path, Buffer.alloc(4096))],
  ['gone', (path) => unlink(path)],
  ['a link to another file', async (path, victim) => planted(path, () => symlink(victim, path))],
  ['a link to nothing', async (path) => planted(path, () => symlink('nowhere', path))],
  ['a FIFO', async (path) => planted(path, async () => execFileSync('mkfifo', [path]))],
  ['a folder with something in it', async (path) => planted(path, () => mkdir(join(path, 'x'), { recursive: true }))],
  [
    'a socket',
    async (path) =>
      planted(path, async () =>
        execFileSync('python3', ['-c', `import socket;socket.socket(1).bind(${JSON.stringify(path)})`]),
      ),
  ],
]

async function planted(path: string, plant: () => Promise<unknown>): Promise<void> {
  await rm(path, { force: true })
  await plant()
}

describe('row 53: a record whose newest file is', () => {
  test.each(damages)('%s: the one before holds, and both are mended', async (_, damage) => {
    for (const times of [2, 3]) {
      const { folder } = await written(times)
      const newest = pathsIn(folder)[(times + 1) % 2] ?? ''
      const victim = join(folder, 'victim')
      // A record that is whole: what is wrong with it is only whose it is.
      const foreign = sealed({ ...freshRecord, seq: 99, floor: 99 })
      await writeFile(victim, foreign)
      await damage(newest, victim)
      const { record, isLost, files } = await reopened(folder)
      expect(record).toEqual({ ...freshRecord, floor: times - 1, seq: times - 1 })
      expect(isLost).toBe(false)
      for (let i = 0; i < 3; i++) await files.write(({ floor }) => ({ floor: floor + 1 }))
      expect((await reopened(folder)).record).toMatchObject({ floor: times + 2 })
      for (const path of pathsIn(folder)) {
        const stats = await lstat(path)
        expect([stats.isFile(), stats.size]).toEqual([true, 4096])
      }
      expect(await readFile(victim)).toEqual(foreign)
    }
  })

  test.each(damages)('%s, and the other one too: nothing is known any more, and that is told', async (what, damage) => {
    const { folder } = await written(3)
    for (const path of pathsIn(folder)) await damage(path, join(folder, 'victim'))
    const { record, isLost, files } = await reopened(folder)
    expect(record).toEqual(freshRecord)
    // Nobody can tell them from files that never were.
    expect(isLost).toBe(!['blank', 'gone'].includes(what))
    await files.write(() => ({ floor: 1 }))
    expect((await reopened(folder)).record).toMatchObject({ floor: 1, seq: 1 })
  })

  test('on a place of the disk that has gone bad: the one before holds, and a new file takes its place', async () => {
    const { folder } = await written(3)
    const heal = failOpening('record.0', 'EIO', 1)
    const { record, isLost, files } = await reopened(folder)
    expect(record).toMatchObject({ floor: 2, seq: 2 })
    expect(isLost).toBe(false)
    heal()
    await files.write(() => ({ floor: 9 }))
    expect((await reopened(folder)).record).toMatchObject({ floor: 9 })
  })

  test('one that can not be opened for want of something else: it is left as it is', async () => {
    const { folder } = await written(3)
    const heal = failOpening('record.0', 'EMFILE', 1)
    await expect(RecordFiles.open(folder)).rejects.toMatchObject({ reason: 'store_failed' })
    heal()
    expect((await reopened(folder)).record).toMatchObject({ floor: 3, seq: 3 })
  })

  test('changed in one bit, wherever it is: the one before holds', async () => {
    const { folder } = await written(3)
    const [newest = ''] = pathsIn(folder)
    const bytes = await readFile(newest)
    await fc.assert(
      fc.asyncProperty(fc.nat(4095), fc.nat(7), async (at, bit) => {
        const flipped = Buffer.from(bytes)
        flipped[at] = (flipped[at] ?? 0) ^ (1 << bit)
        await writeFile(newest, flipped)
        expect((await reopened(folder)).record).toMatchObject({ floor: 2, seq: 2 })
      }),
    )
  })
})
