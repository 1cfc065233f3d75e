import { chmod, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { credentialsFor, isStoreClosed, serviceCredentials } from '../../../src/config/credentials.ts'
import { defaultConfigPath } from '../../../src/config/load.ts'
import { tempFolder } from '../../support/temp-folder.ts'

async function store(): Promise<string> {
  const folder = await tempFolder()
  await writeFile(join(folder, 'sightd.mqtt-password'), 'of the store\n', { mode: 0o600 })
  await writeFile(join(folder, 'mqtt-password'), 'of the service\n', { mode: 0o440 })
  return folder
}

describe('credentialsFor', () => {
  test('gives what is in the store for the configuration of the service only', async () => {
    const folder = await store()
    const read = async (config: string | undefined) =>
      String((await credentialsFor(config, folder)('mqtt-password'))?.bytes ?? 'none')
    expect(await read(defaultConfigPath)).toBe('of the store\n')
    expect(await read('/etc/sightd/../sightd/config.yaml')).toBe('of the store\n')
    // Another configuration may name another broker.
    expect(await read('/etc/sightd/other.yaml')).toBe('none')
    expect(await read(undefined)).toBe('none')
  })

  test('gives what systemd has handed over, where it has', async () => {
    const folder = await store()
    vi.stubEnv('CREDENTIALS_DIRECTORY', folder)
    onTestFinished(() => void vi.unstubAllEnvs())
    const credential = await credentialsFor('/etc/sightd/other.yaml', '/nowhere')('mqtt-password')
    expect(credential).toEqual({ path: join(folder, 'mqtt-password'), bytes: Buffer.from('of the service\n') })
    expect(await serviceCredentials()('mqtt-ca')).toBeUndefined()
  })
})

describe('isStoreClosed', () => {
  test.skipIf(process.getuid?.() === 0)('tells a user who may not look into it (skipped for root)', async () => {
    const folder = await store()
    await chmod(folder, 0o000)
    expect(await isStoreClosed(defaultConfigPath, folder)).toBe(true)
    expect(await isStoreClosed('/etc/sightd/other.yaml', folder)).toBe(false)
  })

  test('where there is none, nothing is hidden', async () => {
    expect(await isStoreClosed(defaultConfigPath, '/nowhere')).toBe(false)
  })
})
