import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { chmod, mkdir, readdir, realpath, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { lockPath } from '../../../src/lib/path-lock.ts'
import { tempFolder } from '../../support/temp-folder.ts'

const module = new URL('../../../src/lib/path-lock.ts', import.meta.url).href

/** Another process that has the lock, and then does as `after` says. */
async function holder(folder: string, after = 'setInterval(() => {}, 1000)') {
  const code = `import { lockPath } from '${module}'
    globalThis.lock = await lockPath('test', ${JSON.stringify(folder)})
    ${after}
    console.log(globalThis.lock === undefined ? 'taken' : 'mine')`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', code], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => {
    child.kill('SIGKILL')
  })
  const [said] = await once(child.stdout.setEncoding('utf8'), 'data')
  return { child, said: String(said).trim() }
}

async function ended(program: string, args: readonly string[], options: { uid: number }): Promise<number> {
  const [code] = await once(spawn(program, args, { stdio: 'ignore', ...options }), 'exit')
  return code
}

describe('a locked folder', () => {
  test('is one holder’s at a time, in this process and in others', async () => {
    const folder = await tempFolder()
    const first = await lockPath('test', folder)
    expect(await lockPath('test', folder)).toBeUndefined()
    expect((await holder(folder)).said).toBe('taken')
    await first?.[Symbol.asyncDispose]()
    await using again = await lockPath('test', folder)
    expect(again).toBeDefined()
  })

  test('is free again when its holder was killed', async () => {
    const folder = await tempFolder()
    const { child, said } = await holder(folder)
    expect(said).toBe('mine')
    expect(await lockPath('test', folder)).toBeUndefined()
    child.kill('SIGKILL')
    await once(child, 'exit')
    await using mine = await lockPath('test', folder)
    expect(mine).toBeDefined()
  })

  test('is not kept by what its holder has started', async () => {
    const folder = await tempFolder()
    const start = `const { spawn } = await import('node:child_process')
      const started = spawn('sleep', ['60'], { stdio: 'ignore' })
      console.log(started.pid)`
    const { child, said } = await holder(folder, start)
    child.kill('SIGKILL')
    await once(child, 'exit')
    const pid = Number.parseInt(said, 10)
    try {
      await using mine = await lockPath('test', folder)
      expect(mine).toBeDefined()
    } finally {
      process.kill(pid, 'SIGKILL')
    }
  })

  test('nobody takes by a name that all on this machine share', async () => {
    const folder = await tempFolder()
    const name = createHash('sha256')
      .update(await realpath(folder))
      .digest('hex')
      .slice(0, 32)
    const squatter = createServer().listen(`\0sightd-test-${name}`)
    await once(squatter, 'listening')
    onTestFinished(() => {
      squatter.close()
    })
    await using mine = await lockPath('test', folder)
    expect(mine).toBeDefined()
  })

  test.skipIf(process.getuid?.() !== 0)('nobody else can open (skipped but for root)', async () => {
    const folder = await tempFolder()
    await chmod(folder, 0o755)
    await (await lockPath('test', folder))?.[Symbol.asyncDispose]()
    const [name = ''] = await readdir(folder)
    expect((await stat(join(folder, name))).mode & 0o777).toBe(0o600)
    expect(await ended('flock', ['--nonblock', '--shared', join(folder, name), 'true'], { uid: 65534 })).not.toBe(0)
    expect(await ended('flock', ['--nonblock', '--shared', join(folder, name), 'true'], { uid: 0 })).toBe(0)
  })

  test('a lock that others could open is closed to them', async () => {
    const folder = await tempFolder()
    await writeFile(join(folder, '.test.lock'), '')
    await chmod(join(folder, '.test.lock'), 0o666)
    await using _ = await lockPath('test', folder)
    expect((await stat(join(folder, '.test.lock'))).mode & 0o777).toBe(0o600)
  })

  test('a link in place of the lock is not followed', async () => {
    const folder = await tempFolder()
    await symlink(join(folder, 'elsewhere'), join(folder, '.test.lock'))
    await expect(lockPath('test', folder)).rejects.toThrow("can't be locked")
    expect(await readdir(folder)).toEqual(['.test.lock'])
  })

  test('no folder, no lock, and nothing is made', async () => {
    const folder = join(await tempFolder(), 'missing')
    await using first = await lockPath('test', folder)
    await using second = await lockPath('test', folder)
    expect([first, second]).not.toContain(undefined)
    await expect(stat(folder)).rejects.toThrow('ENOENT')
  })

  test.skipIf(process.getuid?.() !== 0)(
    'a folder that can not be written is nobody’s to keep; one whose lock is another’s is (skipped but for root)',
    async () => {
      const base = await tempFolder()
      await chmod(base, 0o755)
      const [open, locked] = [join(base, 'open'), join(base, 'locked')]
      await mkdir(open)
      await mkdir(locked)
      await using _ = await lockPath('test', locked)
      process.seteuid?.(65534)
      try {
        await using lock = await lockPath('test', open)
        expect(lock).toBeDefined()
        await expect(lockPath('test', locked)).rejects.toThrow("can't be locked: no permission")
      } finally {
        process.seteuid?.(0)
      }
      expect(await readdir(open)).toEqual([])
      await rm(base, { recursive: true })
    },
  )

  test.skipIf(process.getuid?.() !== 0)(
    'root leaves the lock to whose folder it is (skipped but for root)',
    async () => {
      const { chown } = await import('node:fs/promises')
      const folder = await tempFolder()
      await chown(folder, 65534, 65534)
      await using _ = await lockPath('test', folder)
      expect((await stat(join(folder, '.test.lock'))).uid).toBe(65534)
    },
  )
})
