import { constants } from 'node:fs'
import { lstat, mkdir, open, readdir, readFile, readlink, rename, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { writeFileAtomic } from '../../src/lib/atomic-file.ts'
import { errorCode } from '../../src/lib/disk-error.ts'
import { CrashDisk } from '../support/crash-disk.ts'
import { afterPowerCut, copyOf, keyOf } from '../support/crash-disk-tree.ts'
import { tempFolder } from '../support/temp-folder.ts'

/** The disk that other tests of crashes stand on. */

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_RDONLY, O_RDWR } = constants

async function withFile(path: string, content = 'one'): Promise<void> {
  await writeFile(path, content, { flag: 'wx' })
}

const kindOf = (stats: Awaited<ReturnType<typeof stat>>) => [
  stats.isFile(),
  stats.isDirectory(),
  stats.isSymbolicLink(),
  stats.isFile() && [stats.size, stats.nlink, stats.uid],
]

const calls: readonly [string, (folder: string) => Promise<unknown>][] = [
  ['open of nothing', (folder) => open(join(folder, 'a'))],
  ['open without the folder above', (folder) => open(join(folder, 'a', 'b'), 'wx')],
  ['open below a file', async (folder) => withFile(join(folder, 'a')).then(() => open(join(folder, 'a', 'b')))],
  ['wx of what is there', async (folder) => withFile(join(folder, 'a')).then(() => open(join(folder, 'a'), 'wx'))],
  [
    'wx of a link to nothing',
    async (folder) => symlink('b', join(folder, 'a')).then(() => open(join(folder, 'a'), 'wx')),
  ],
  [
    'O_NOFOLLOW of a link',
    async (folder) => symlink('b', join(folder, 'a')).then(() => open(join(folder, 'a'), O_NOFOLLOW)),
  ],
  ['O_RDWR of a folder', async (folder) => mkdir(join(folder, 'a')).then(() => open(join(folder, 'a'), O_RDWR))],
  ['a link in a circle', async (folder) => symlink('a', join(folder, 'a')).then(() => stat(join(folder, 'a')))],
  ['mkdir of what is there', async (folder) => withFile(join(folder, 'a')).then(() => mkdir(join(folder, 'a')))],
  ['mkdir without the folder above', (folder) => mkdir(join(folder, 'a', 'b'))],
  ['rm of nothing', (folder) => rm(join(folder, 'a'))],
  ['rm of a folder', async (folder) => mkdir(join(folder, 'a')).then(() => rm(join(folder, 'a')))],
  ['rename of nothing', (folder) => rename(join(folder, 'a'), join(folder, 'b'))],
  ['readdir of a file', async (folder) => withFile(join(folder, 'a')).then(() => readdir(join(folder, 'a')))],
  ['readlink of a file', async (folder) => withFile(join(folder, 'a')).then(() => readlink(join(folder, 'a')))],
  ['readFile of a folder', async (folder) => mkdir(join(folder, 'a')).then(() => readFile(join(folder, 'a')))],
  ['stat of a link to nothing', async (folder) => symlink('b', join(folder, 'a')).then(() => stat(join(folder, 'a')))],
  [
    'files in folders by links',
    async (folder) => {
      await mkdir(join(folder, 'a', 'b'), { recursive: true })
      await withFile(join(folder, 'c'), 'two')
      await symlink('../../c', join(folder, 'a', 'b', 'd'))
      const path = join(folder, 'a', 'b', 'd')
      return [String(await readFile(path)), kindOf(await stat(path)), kindOf(await lstat(path)), await readlink(path)]
    },
  ],
  [
    'bytes in places',
    async (folder) => {
      const file = await open(join(folder, 'a'), O_CREAT | O_EXCL | O_NOFOLLOW | O_RDWR, 0o600)
      await file.write(Buffer.from('abcdef'), 1, 4, 3)
      await file.truncate(5)
      await file.write(Buffer.from('XY'), 0, 2, 8)
      const read = await file.read(Buffer.alloc(20), 2, 18, 4)
      const stats = await file.stat()
      await file.close()
      await expect(file.stat()).rejects.toMatchObject({ code: 'EBADF' })
      return [read.bytesRead, read.buffer.toString('hex'), kindOf(stats), String(await readFile(join(folder, 'a')))]
    },
  ],
  [
    'names that come and go',
    async (folder) => {
      await mkdir(join(folder, 'a'))
      await withFile(join(folder, 'a', 'b'), 'two')
      await withFile(join(folder, 'c'))
      await rename(join(folder, 'a', 'b'), join(folder, 'c'))
      await rm(join(folder, 'none'), { force: true })
      await rm(join(folder, 'a'), { recursive: true })
      return [await readdir(folder), String(await readFile(join(folder, 'c')))]
    },
  ],
  [
    'an open file whose name is another',
    async (folder) => {
      await withFile(join(folder, 'a'))
      await using file = await open(join(folder, 'a'), O_RDONLY)
      await rename(join(folder, 'a'), join(folder, 'b'))
      await withFile(join(folder, 'a'), 'two')
      return [(await file.stat()).ino === (await lstat(join(folder, 'b'))).ino, String(await file.readFile())]
    },
  ],
]

async function outcome(call: (folder: string) => Promise<unknown>, folder: string): Promise<unknown> {
  try {
    return await call(folder)
  } catch (error) {
    return errorCode(error)
  }
}

test.each(calls)('%s: as on a real disk', async (_, call) => {
  using disk = new CrashDisk()
  const real = await outcome(call, await tempFolder())
  expect(real).toBeDefined()
  expect(await outcome(call, disk.path)).toEqual(real)
})

/** What a power cut can leave, as texts `name:content`. */
function left(disk: CrashDisk): string[] {
  const texts = [...afterPowerCut(disk.root)].map((root) => {
    using found = new CrashDisk(root)
    const names = found.names(found.path).sort()
    return names.map((name) => `${name}:${found.peek(join(found.path, name))}`).join(' ')
  })
  return [...new Set(texts)].sort()
}

async function sync(path: string): Promise<void> {
  await using file = await open(path)
  await file.sync()
}

describe('after a power cut', () => {
  test('a new file is there or not, and holds what it may', async () => {
    using disk = new CrashDisk()
    await withFile(join(disk.path, 'a'), 'abcd')
    expect(left(disk)).toEqual(['', 'a:', 'a:\0\0\0\0', 'a:\0\0cd', 'a:ab\0\0', 'a:abcd'])
    await sync(join(disk.path, 'a'))
    expect(left(disk)).toEqual(['', 'a:abcd'])
    await sync(disk.path)
    expect(left(disk)).toEqual(['a:abcd'])
  })

  test('a name may be there before its bytes', async () => {
    using disk = new CrashDisk()
    await withFile(join(disk.path, 'a'), 'ab')
    await sync(disk.path)
    expect(left(disk)).toEqual(['a:', 'a:\0\0', 'a:\0b', 'a:a\0', 'a:ab'])
  })

  test('a file that replaces another is one of the two', async () => {
    using disk = new CrashDisk()
    await writeFileAtomic(join(disk.path, 'a'), 'old')
    const states: string[][] = []
    disk.onChange = () => states.push(left(disk))
    await writeFileAtomic(join(disk.path, 'a'), 'new')
    expect(new Set(states.flat().map((text) => /(^| )(a:\w+)/.exec(text)?.[2]))).toEqual(new Set(['a:old', 'a:new']))
    expect(left(disk)).toEqual(['a:new'])
  })

  test('a folder takes all with it', async () => {
    using disk = new CrashDisk()
    await mkdir(join(disk.path, 'a'))
    await withFile(join(disk.path, 'a', 'b'))
    await sync(join(disk.path, 'a', 'b'))
    await sync(join(disk.path, 'a'))
    expect([...afterPowerCut(disk.root)].map(({ now }) => [...now.keys()])).toEqual([[], ['a']])
  })

  test('what a killed process has not synced is lost as well', async () => {
    using disk = new CrashDisk()
    await withFile(join(disk.path, 'a'), 'ab')
    using next = new CrashDisk(copyOf(disk.root))
    expect(String(await readFile(join(next.path, 'a')))).toBe('ab')
    expect(left(next)).toEqual(left(disk))
    expect(keyOf(next.root)).toBe(keyOf(disk.root))
    await rm(join(next.path, 'a'))
    expect(keyOf(next.root)).not.toBe(keyOf(disk.root))
    expect(left(disk).length).toBe(6)
  })

  test('what a failed sync has dropped is not kept by the next one', async () => {
    using disk = new CrashDisk()
    await withFile(join(disk.path, 'a'), 'ab')
    await sync(disk.path)
    disk.fault = ({ name }) => (name === 'sync' ? 'EIO' : undefined)
    await expect(sync(join(disk.path, 'a'))).rejects.toMatchObject({ code: 'EIO' })
    disk.fault = () => undefined
    await sync(join(disk.path, 'a'))
    expect(String(await readFile(join(disk.path, 'a')))).toBe('ab')
    expect(left(disk)).toEqual(['a:'])
  })
})
