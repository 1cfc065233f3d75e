import { chown, readdir, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { openStateFolder, serviceStatePath, stateFolderPath } from '../../../src/system/state-folder.ts'
import { tempFolder } from '../../support/temp-folder.ts'

describe('openStateFolder', () => {
  test('makes the folder, closed to others', async () => {
    const path = join(await tempFolder(), 'a', 'b')
    await using _ = await openStateFolder(path)
    expect((await stat(path)).mode & 0o777).toBe(0o700)
  })

  test('one at a time', async () => {
    const path = await tempFolder()
    const first = await openStateFolder(path)
    await expect(openStateFolder(path)).rejects.toMatchObject({
      code: 'state_in_use',
      message: expect.stringContaining(path),
    })
    await first[Symbol.asyncDispose]()
    await using _ = await openStateFolder(path)
  })

  test('under any name: through a link it is the same', async () => {
    const folder = await tempFolder()
    await using _ = await openStateFolder(join(folder, 'state'))
    await symlink(join(folder, 'state'), join(folder, 'link'))
    await expect(openStateFolder(join(folder, 'link'))).rejects.toMatchObject({ code: 'state_in_use' })
  })

  test.skipIf(process.getuid?.() !== 0)('root leaves nothing in the folder of another user (needs root)', async () => {
    const path = await tempFolder()
    await chown(path, 65_534, 65_534)
    await expect(openStateFolder(path)).rejects.toMatchObject({
      code: 'state_in_use',
      message: expect.stringContaining('belongs to another user'),
    })
    expect(await readdir(path)).toEqual([])
  })

  test('a folder that can not be made is for its users to complain about', async () => {
    const file = join(await tempFolder(), 'file')
    await writeFile(file, '')
    await using folder = await openStateFolder(join(file, 'state'))
    expect(folder.path).toBe(join(file, 'state'))
  })
})

test("systemd's word comes before the configuration's, and that before the usual place", () => {
  onTestFinished(() => {
    vi.unstubAllEnvs()
  })
  vi.stubEnv('STATE_DIRECTORY', undefined)
  expect(stateFolderPath('/srv/sightd')).toBe('/srv/sightd')
  expect(stateFolderPath(undefined)).toMatch(/^\/var\/lib\/sightd$|\.local\/state\/sightd$/)
  vi.stubEnv('STATE_DIRECTORY', '/var/lib/private/sightd:/var/lib/other')
  expect(stateFolderPath('/srv/sightd')).toBe('/var/lib/private/sightd')
})

test("a person's command looks where the service keeps its state, once that is there", async () => {
  onTestFinished(() => {
    vi.unstubAllEnvs()
  })
  vi.stubEnv('STATE_DIRECTORY', undefined)
  const folder = await tempFolder()
  expect(serviceStatePath(undefined, folder)).toBe(folder)
  expect(serviceStatePath('/srv/sightd', folder)).toBe('/srv/sightd')
  expect(serviceStatePath(undefined, join(folder, 'none'))).toBe(stateFolderPath(undefined))
})
