import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { chooseBroker, describeTrouble, passingSession } from '../../../src/cli/broker.ts'
import { BrokerError } from '../../../src/mqtt/broker-error.ts'
import { tempFolder } from '../../support/temp-folder.ts'

/** A folder with two secrets, and a configuration that uses one. */
async function files(mqtt = "url: 'mqtt://house:1884', base_topic: house, username: me, password_file: secret") {
  const folder = await tempFolder()
  const [config, other] = [join(folder, 'config.yaml'), join(folder, 'other')]
  await writeFile(config, `id: porch\ncamera: { source: synthetic }\nmqtt: { ${mqtt} }\n`)
  await writeFile(join(folder, 'secret'), 'of the house\n', { mode: 0o600 })
  await writeFile(other, 'of another\n', { mode: 0o600 })
  return { config, other, nowhere: join(folder, 'nowhere') }
}

const house = { url: 'mqtt://house:1884', baseTopic: 'house', login: { username: 'me', password: 'of the house' } }
const usual = { url: 'mqtt://127.0.0.1:1883', baseTopic: 'sightd', login: { username: undefined, password: undefined } }

describe('chooseBroker', () => {
  test('takes the one of the configuration, named or usual, with its login', async () => {
    const { config, nowhere } = await files()
    expect(await chooseBroker({ config }, nowhere)).toMatchObject({ ...house, config: { id: 'porch' } })
    expect(await chooseBroker({}, config)).toMatchObject(house)
  })

  test('without any, takes the one of this machine', async () => {
    const { nowhere } = await files()
    expect(await chooseBroker({}, nowhere)).toMatchObject({ ...usual, config: undefined })
  })

  test('takes the one that is named, and keeps the login of the usual configuration from it', async () => {
    const { config } = await files()
    expect(await chooseBroker({ broker: 'mqtt://x' }, config)).toMatchObject({ ...usual, url: 'mqtt://x' })
    expect(await chooseBroker({ broker: 'mqtt://x', config }, config)).toMatchObject({ ...house, url: 'mqtt://x' })
  })

  test('takes base topic and login from the options first, and no name with the password of another', async () => {
    const { config, other } = await files()
    expect(await chooseBroker({ config, base: 'shed' })).toMatchObject({ ...house, baseTopic: 'shed' })
    const you = await chooseBroker({ config, username: 'you', passwordFile: other })
    expect(you.login).toMatchObject({ username: 'you', password: 'of another' })
    expect((await chooseBroker({ config, username: 'you' })).login).toMatchObject({
      username: 'you',
      password: undefined,
    })
    expect((await chooseBroker({ config, passwordFile: other })).login).toMatchObject({
      username: 'me',
      password: 'of another',
    })
  })

  test('says what does not fit', async () => {
    const { config, nowhere } = await files("url: 'mqtts://house', ca_file: ca.pem")
    await expect(chooseBroker({ config, broker: 'mqtt://x' })).rejects.toMatchObject({
      code: 'config_invalid',
      message: expect.stringContaining('mqtt.url: found "mqtt://x", has to be mqtts:// or wss://'),
    })
    await expect(chooseBroker({ config: nowhere })).rejects.toMatchObject({ code: 'config_invalid' })
    await expect(chooseBroker({ passwordFile: nowhere }, nowhere)).rejects.toMatchObject({ code: 'config_invalid' })
  })
})

test('a passing session is over with its connection', async () => {
  const { config } = await files()
  expect(passingSession(await chooseBroker({ config }), 'x')).toMatchObject({
    url: 'mqtt://house:1884',
    clientId: 'x',
    username: 'me',
    password: 'of the house',
    sessionExpiryS: 0,
  })
})

test.each([
  ['unreachable', 'the broker at mqtt://x is not reachable: why'],
  ['tls', 'TLS with the broker at mqtt://x fails: why'],
  ['login', 'the broker at mqtt://x refuses the login: why'],
  ['refused', 'the broker at mqtt://x refuses us: why'],
  ['silent', 'the broker at mqtt://x: why'],
] as const)('%s in words', (trouble, words) => {
  expect(describeTrouble(new BrokerError(trouble, 'why'), 'mqtt://x')).toBe(words)
})
