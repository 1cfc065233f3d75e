import { chmod, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { readBrokerLogin } from '../../../src/config/broker-login.ts'
import { noCredentials, serviceCredentials } from '../../../src/config/credentials.ts'
import { parseConfig } from '../../../src/config/load.ts'
import { tempFolder } from '../../support/temp-folder.ts'

const pem = '-----BEGIN CERTIFICATE-----\n'

const mqtt = (keys: string) => parseConfig(`camera: { source: synthetic }\nmqtt: { ${keys} }\n`, 'c.yaml').mqtt

async function folderWith(files: Readonly<Record<string, string>>, mode = 0o600): Promise<string> {
  const folder = await tempFolder()
  for (const [name, text] of Object.entries(files)) {
    await writeFile(join(folder, name), text)
    await chmod(join(folder, name), mode)
  }
  return folder
}

describe('readBrokerLogin', () => {
  test('reads the files that the configuration names', async () => {
    const folder = await folderWith({ password: 'hunter2\n', ca: pem, cert: pem, key: 'KEY\nmore\n' })
    const files = ['password', 'ca', 'cert', 'key'].map((name) => `${name}_file: ${folder}/${name}`).join(', ')
    expect(await readBrokerLogin(mqtt(`url: 'mqtts://host', username: me, ${files}`), noCredentials)).toEqual({
      username: 'me',
      password: 'hunter2',
      ca: Buffer.from(pem),
      cert: Buffer.from(pem),
      key: Buffer.from('KEY\nmore\n'),
    })
  })

  test('takes systemd credentials for what the configuration leaves out', async () => {
    const credentials = await folderWith({ 'mqtt-username': 'me\n', 'mqtt-password': 'pw\n' }, 0o440)
    const own = await folderWith({ password: 'mine\n' })
    expect(await readBrokerLogin(mqtt(''), serviceCredentials(credentials))).toMatchObject({
      username: 'me',
      password: 'pw',
      ca: undefined,
    })
    expect(
      await readBrokerLogin(mqtt(`password_file: ${own}/password`), serviceCredentials(credentials)),
    ).toMatchObject({
      password: 'mine',
    })
  })

  test.each([['mqtt-ca'], ['mqtt-cert', 'mqtt-key']])(
    'refuses the credential %s for a broker without TLS',
    async (...names) => {
      const credentials = await folderWith(Object.fromEntries(names.map((name) => [name, pem])), 0o440)
      await expect(readBrokerLogin(mqtt("url: 'mqtt://broker.lan'"), serviceCredentials(credentials))).rejects.toThrow(
        'mqtt.url: mqtt://broker.lan is without TLS',
      )
      await readBrokerLogin(mqtt("url: 'mqtts://broker.lan'"), serviceCredentials(credentials))
    },
  )

  test('refuses a key without its certificate', async () => {
    const credentials = await folderWith({ 'mqtt-key': 'PEM' }, 0o440)
    await expect(readBrokerLogin(mqtt("url: 'mqtts://broker.lan'"), serviceCredentials(credentials))).rejects.toThrow(
      'go together',
    )
  })

  test('does without either', async () => {
    const nothing = { username: undefined, password: undefined, ca: undefined, cert: undefined, key: undefined }
    expect(await readBrokerLogin(mqtt(''), noCredentials)).toEqual(nothing)
  })

  test.each(['password_file', 'key_file'])('refuses a %s that others can read', async (key) => {
    const folder = await folderWith({ secret: 'hunter2', cert: pem }, 0o644)
    const config = mqtt(
      `url: 'mqtts://host', ${key}: ${folder}/secret${key === 'key_file' ? `, cert_file: ${folder}/cert` : ''}`,
    )
    await expect(readBrokerLogin(config, noCredentials)).rejects.toMatchObject({
      code: 'config_invalid',
      message: `${folder}/secret: others can read this secret (mode 644); chmod 600 it`,
    })
  })

  test.each([
    ['ca_file', 'mqtt-ca'],
    ['cert_file', 'mqtt-cert'],
  ])('refuses a %s that holds no certificate: OpenSSL would take it for an empty list', async (key, credential) => {
    const folder = await folderWith({ [credential]: 'KEY', 'mqtt-key': 'KEY' })
    const words = `${folder}/${credential}: holds no certificate (-----BEGIN CERTIFICATE-----)`
    const keyFile = key === 'cert_file' ? `, key_file: ${folder}/mqtt-key` : ''
    const config = mqtt(`url: 'mqtts://host', ${key}: ${folder}/${credential}${keyFile}`)
    await expect(readBrokerLogin(config, noCredentials)).rejects.toMatchObject({
      code: 'config_invalid',
      message: words,
    })
    await expect(readBrokerLogin(mqtt("url: 'mqtts://host'"), serviceCredentials(folder))).rejects.toThrow(words)
  })

  test('names a file that is not there', async () => {
    await expect(readBrokerLogin(mqtt("url: 'mqtts://host', ca_file: /nowhere/ca.pem"), noCredentials)).rejects.toThrow(
      "/nowhere/ca.pem: can't be read",
    )
  })
})
