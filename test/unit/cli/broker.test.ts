import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { type BrokerOptions, chooseBroker, describeTrouble, passingSession } from '../../../src/cli/broker.ts'
import { BrokerError } from '../../../src/mqtt/broker-error.ts'
import { tempFolder } from '../../support/temp-folder.ts'

const pem = '-----BEGIN CERTIFICATE-----\n'

/** A folder with two secrets, which pass for certificates too, and a configuration that uses one. */
async function files(mqtt = "url: 'mqtt://house:1884', base_topic: house, username: me, password_file: secret") {
  const folder = await tempFolder()
  const [config, other] = [join(folder, 'config.yaml'), join(folder, 'other')]
  await writeFile(config, `id: porch\ncamera: { source: synthetic }\nmqtt: { ${mqtt} }\n`)
  await writeFile(join(folder, 'secret'), `of the house\n${pem}`, { mode: 0o600 })
  await writeFile(other, `of another\n${pem}`, { mode: 0o600 })
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

  test('gives the password of the service to nobody else', async () => {
    const { config } = await files("url: 'mqtt://house', username: me")
    const credentials = await tempFolder()
    await writeFile(join(credentials, 'mqtt-password'), 'of the service\n')
    vi.stubEnv('CREDENTIALS_DIRECTORY', credentials)
    onTestFinished(() => void vi.unstubAllEnvs())
    expect((await chooseBroker({ config })).login).toMatchObject({ username: 'me', password: 'of the service' })
    expect((await chooseBroker({ config, username: 'you' })).login).toMatchObject({
      username: 'you',
      password: undefined,
    })
  })

  test('takes authorities, certificate and key from the options, the last two as a pair', async () => {
    const { config, other } = await files("url: 'mqtts://house', ca_file: secret, cert_file: secret, key_file: secret")
    const read = async (options: BrokerOptions) => {
      const { ca, cert, key } = (await chooseBroker({ config, ...options })).login
      return [ca, cert, key].map((bytes) => bytes?.toString().split('\n')[0])
    }
    const [house, another] = ['of the house', 'of another']
    expect(await read({})).toEqual([house, house, house])
    expect(await read({ caFile: other })).toEqual([another, house, house])
    expect(await read({ certFile: other, keyFile: other })).toEqual([house, another, another])
    await expect(read({ certFile: other })).rejects.toMatchObject({
      message: 'mqtt.key_file: found nothing, has to be given together with mqtt.cert_file',
    })
    await expect(chooseBroker({ broker: 'mqtt://x', caFile: other })).rejects.toMatchObject({
      message: expect.stringContaining('has to be mqtts:// or wss://'),
    })
  })

  test('of a configuration only what is about the broker has to be right', async () => {
    const { config } = await files()
    const mqtt = "mqtt: { url: 'mqtt://house:1884', base_topic: house, username: me, password_file: secret }\n"
    await writeFile(config, mqtt)
    expect(await chooseBroker({ config })).toMatchObject(house)
    await writeFile(config, `${mqtt}camera: { source: nonsense }\nunknown: true\nid: porch\n`)
    expect(await chooseBroker({ config })).toMatchObject({ ...house, config: { id: 'porch' } })
    await writeFile(config, 'id: Porch\nmqtt:\n  user: me\n')
    await expect(chooseBroker({ config })).rejects.toMatchObject({
      code: 'config_invalid',
      message: expect.stringMatching(
        /:1: id: found "Porch".*\n.*:3: mqtt\.user: unknown key \(did you mean username\?\)/,
      ),
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
