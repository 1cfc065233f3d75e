import { chmod, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { readSecretFile } from '../../../src/lib/secret-file.ts'
import { tempFolder } from '../../support/temp-folder.ts'

async function secretFile(text: string, mode = 0o600): Promise<string> {
  const path = join(await tempFolder(), 'secret')
  await writeFile(path, text)
  await chmod(path, mode)
  return path
}

describe('readSecretFile', () => {
  test.each([
    ['a line without its end', 'hunter2', 'hunter2'],
    ['a line that ends the Unix way', 'hunter2\n', 'hunter2'],
    ['a line that ends the Windows way', 'hunter2\r\n', 'hunter2'],
    ['the first of many lines', 'hunter2\nsecond\n', 'hunter2'],
    ['spaces and umlauts as they stand', ' pass wörd \n', ' pass wörd '],
  ])('reads %s', async (_, text, secret) => {
    expect(await readSecretFile(await secretFile(text))).toBe(secret)
  })

  test.each([0o640, 0o604, 0o620, 0o666])('refuses a file of mode %o, which others can get at', async (mode) => {
    const path = await secretFile('hunter2', mode)
    await expect(readSecretFile(path)).rejects.toMatchObject({
      code: 'config_invalid',
      message: `${path}: others can read this secret (mode ${mode.toString(8)}); chmod 600 it`,
    })
  })

  test('accepts a file that its owner can only read', async () => {
    expect(await readSecretFile(await secretFile('hunter2', 0o400))).toBe('hunter2')
  })

  test.each(['', '\n', '\r\n', '\nhunter2'])('refuses an empty first line: %j', async (text) => {
    await expect(readSecretFile(await secretFile(text))).rejects.toThrow('the first line is empty')
  })

  test('names a file that is not there, and why it could not be read', async () => {
    const path = join(await tempFolder(), 'nowhere')
    await expect(readSecretFile(path)).rejects.toMatchObject({
      code: 'config_invalid',
      message: `${path}: can't be read`,
      cause: { code: 'ENOENT' },
    })
  })
})
