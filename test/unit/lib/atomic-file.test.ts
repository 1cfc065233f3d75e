import { execFile } from 'node:child_process'
import { lstat, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, onTestFinished, test } from 'vitest'
import {
  makeFolderDurably,
  removeDurably,
  replaceFiles,
  syncFolder,
  writeFileAtomic,
} from '../../../src/lib/atomic-file.ts'
import { tempFolder } from '../../support/temp-folder.ts'

describe('writeFileAtomic', () => {
  test('writes a file that others may not read, and leaves nothing beside it', async () => {
    const folder = await tempFolder()
    await writeFileAtomic(join(folder, 'state'), 'one')
    expect(await readFile(join(folder, 'state'), 'utf8')).toBe('one')
    expect((await stat(join(folder, 'state'))).mode & 0o777).toBe(0o600)
    expect(await readdir(folder)).toEqual(['state'])
  })

  test('replaces the file and does not write into it: who has the old one open keeps it whole', async () => {
    const path = join(await tempFolder(), 'state')
    await writeFileAtomic(path, 'the old, longer text')
    const before = await stat(path)
    await writeFileAtomic(path, 'new')
    expect(await readFile(path, 'utf8')).toBe('new')
    expect((await stat(path)).ino).not.toBe(before.ino)
  })

  test('takes no notice of a draft that a crash has left', async () => {
    const path = join(await tempFolder(), 'state')
    await writeFile(`${path}.new`, 'a longer draft than what comes')
    await writeFileAtomic(path, 'new')
    expect(await readFile(path, 'utf8')).toBe('new')
  })

  test('does not follow a link that was planted where the draft goes', async () => {
    const folder = await tempFolder()
    await writeFile(join(folder, 'elsewhere'), 'not ours')
    await symlink(join(folder, 'elsewhere'), join(folder, 'state.new'))
    await writeFileAtomic(join(folder, 'state'), 'new')
    expect(await readFile(join(folder, 'elsewhere'), 'utf8')).toBe('not ours')
    expect((await lstat(join(folder, 'state'))).isFile()).toBe(true)
  })

  test('keeps the old file, and no draft, when the new one can not be written', async () => {
    const folder = await tempFolder()
    await writeFileAtomic(join(folder, 'state'), 'old')
    // The kernel cuts a file at this length, as a full disk does.
    const script = `
      process.on('SIGXFSZ', () => {})
      const { writeFileAtomic } = await import(${JSON.stringify(new URL('../../../src/lib/atomic-file.ts', import.meta.url).href)})
      await writeFileAtomic(process.argv[1], 'x'.repeat(8192)).catch(({ code }) => console.log(code))`
    const { stdout } = await promisify(execFile)('prlimit', [
      '--fsize=4096',
      process.execPath,
      '--input-type=module',
      '-e',
      script,
      join(folder, 'state'),
    ])
    expect(stdout).toBe('EFBIG\n')
    expect(await readFile(join(folder, 'state'), 'utf8')).toBe('old')
    expect(await readdir(folder)).toEqual(['state'])
  })

  test('throws when there is no folder, or a folder of that name', async () => {
    const folder = await tempFolder()
    await expect(writeFileAtomic(join(folder, 'none', 'state'), '')).rejects.toMatchObject({ code: 'ENOENT' })
    await mkdir(join(folder, 'state'))
    await expect(writeFileAtomic(join(folder, 'state'), '')).rejects.toMatchObject({ code: 'EISDIR' })
  })
})

describe('replaceFiles', () => {
  const file = (path: string, content: string, mode = 0o644) => ({ path, content, mode, owner: undefined })

  test('replaces all of them, with modes that no umask changes', async () => {
    const folder = await tempFolder()
    const [a, b] = [join(folder, 'a'), join(folder, 'b')]
    await writeFile(a, 'old')
    const umask = process.umask(0o077)
    onTestFinished(() => void process.umask(umask))
    await replaceFiles([file(a, 'new'), file(b, 'secret', 0o600)])
    expect([await readFile(a, 'utf8'), await readFile(b, 'utf8')]).toEqual(['new', 'secret'])
    expect([(await stat(a)).mode & 0o777, (await stat(b)).mode & 0o777]).toEqual([0o644, 0o600])
    expect((await readdir(folder)).sort()).toEqual(['a', 'b'])
  })

  test('replaces none, and leaves no draft, when one of them can not be written', async () => {
    const folder = await tempFolder()
    const a = join(folder, 'a')
    await writeFile(a, 'old')
    await expect(replaceFiles([file(a, 'new'), file(join(folder, 'none', 'b'), '')])).rejects.toMatchObject({
      code: 'ENOENT',
    })
    expect([await readFile(a, 'utf8'), await readdir(folder)]).toEqual(['old', ['a']])
  })

  test.skipIf(process.getuid?.() !== 0)('gives them to someone else (skipped without root)', async () => {
    const path = join(await tempFolder(), 'a')
    await replaceFiles([{ ...file(path, ''), owner: { uid: 4711, gid: 4712 } }])
    expect(await stat(path)).toMatchObject({ uid: 4711, gid: 4712 })
  })
})

describe('removeDurably', () => {
  test('removes a file, and is content when there is none', async () => {
    const folder = await tempFolder()
    await writeFile(join(folder, 'state'), '')
    await removeDurably(join(folder, 'state'))
    expect(await readdir(folder)).toEqual([])
    await removeDurably(join(folder, 'state'))
  })

  test('throws at a folder, and when it can not tell', async () => {
    const folder = await tempFolder()
    await expect(removeDurably(folder)).rejects.toThrow()
    await writeFile(join(folder, 'file'), '')
    await expect(removeDurably(join(folder, 'file', 'state'))).rejects.toMatchObject({ code: 'ENOTDIR' })
  })
})

describe('makeFolderDurably', () => {
  test('makes what is missing, closed to others', async () => {
    const folder = await tempFolder()
    await makeFolderDurably(join(folder, 'a', 'b', 'c'))
    expect((await stat(join(folder, 'a', 'b', 'c'))).mode & 0o777).toBe(0o700)
    await makeFolderDurably(join(folder, 'a', 'b', 'c'))
    await makeFolderDurably(`${folder}/a/../d/`)
    expect(await readdir(folder)).toEqual(['a', 'd'])
  })

  test('gives up where nothing can be made, and the folder above is there all the same', async () => {
    await expect(makeFolderDurably('/proc/sightd/a/b')).rejects.toMatchObject({ code: 'ENOENT' })
  })

  test('throws when a file is in the way', async () => {
    const folder = await tempFolder()
    await writeFile(join(folder, 'file'), '')
    await expect(makeFolderDurably(join(folder, 'file'))).rejects.toMatchObject({ code: 'EEXIST' })
    await expect(makeFolderDurably(join(folder, 'file', 'a'))).rejects.toMatchObject({ code: 'ENOTDIR' })
  })
})

test('syncFolder throws when there is no such folder', async () => {
  await expect(syncFolder(join(await tempFolder(), 'none'))).rejects.toMatchObject({ code: 'ENOENT' })
})
