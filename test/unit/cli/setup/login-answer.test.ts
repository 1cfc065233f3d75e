import { describe, expect, test } from 'vitest'
import type { Known } from '../../../../src/cli/setup/known.ts'
import {
  changedCredentials,
  type LoginAnswer,
  loginChange,
  parseBroker,
} from '../../../../src/cli/setup/login-answer.ts'
import { loginOf } from '../../../../src/cli/setup/questions.ts'

const known: Known = {
  name: undefined,
  camera: undefined,
  url: 'mqtts://house:8883',
  username: 'porch',
  hasPassword: true,
  passwordFile: 'old-password',
  ca: '/etc/ca.pem',
  homeAssistant: true,
}
const [beside, stored] = [
  { store: undefined, passwordFile: 'mqtt-password' },
  { store: '/store', passwordFile: 'mqtt-password' },
]
const kept: LoginAnswer = {
  url: 'mqtts://house:8883',
  username: 'porch',
  password: { kind: 'kept' },
  ca: { kind: 'kept' },
}
const given = { kind: 'given', text: 'secret' } as const
const bytes = Buffer.from('PEM')

describe('parseBroker', () => {
  test('takes a URL, or a host for plain MQTT', () => {
    expect(['wss://b/mqtt', '192.168.1.10', 'broker.lan:1884', '[::1]:1883'].map(parseBroker)).toEqual([
      'wss://b/mqtt',
      'mqtt://192.168.1.10',
      'mqtt://broker.lan:1884',
      'mqtt://[::1]:1883',
    ])
  })

  test.each(['http://b', 'me:hunter2@b', 'a b', 'mqtt://'])('refuses %s, without a password in it', (text) => {
    expect(() => parseBroker(text)).toThrow('has to be a URL')
    expect(() => parseBroker(text)).not.toThrow('hunter2')
  })
})

describe('loginOf', () => {
  test('keeps what is configured for this host, also with TLS or on another port', () => {
    expect(loginOf({ url: 'mqtts://house:8883' }, known)).toEqual(kept)
    expect(loginOf({ url: 'wss://house/mqtt' }, known)).toEqual({ ...kept, url: 'wss://house/mqtt' })
    expect(loginOf({ url: 'mqtt://house' }, known)).toEqual({ ...kept, url: 'mqtt://house', ca: { kind: 'none' } })
  })

  test('gives another host, or another user, no password of the one before', () => {
    expect(loginOf({ url: 'mqtt://hut' }, known)).toEqual({
      url: 'mqtt://hut',
      username: undefined,
      password: { kind: 'none' },
      ca: { kind: 'none' },
    })
    const url = 'mqtts://house:8883'
    expect(loginOf({ url, username: 'shed' }, known)).toMatchObject({ username: 'shed', password: { kind: 'none' } })
    expect(loginOf({ url, username: '' }, known)).toMatchObject({ username: undefined, password: { kind: 'none' } })
    expect(loginOf({ url: 'mqtt://hut', username: 'porch' }, known).password).toEqual({ kind: 'none' })
  })

  test('takes what is given', () => {
    expect(
      loginOf({ url: 'mqtts://hut', username: 'a', password: 'secret', ca: { path: '/c', bytes } }, known),
    ).toEqual({
      url: 'mqtts://hut',
      username: 'a',
      password: given,
      ca: { kind: 'file', path: '/c', bytes },
    })
  })
})

describe('loginChange', () => {
  test.each([beside, stored])('changes nothing where all is kept, with %j', (place) => {
    expect(loginChange(kept, known, place)).toEqual({
      mqtt: {},
      credentials: new Map(),
      password: undefined,
      unused: undefined,
    })
  })

  test('without a store, the configuration names both files', () => {
    const answer: LoginAnswer = {
      ...kept,
      url: 'mqtts://hut',
      password: given,
      ca: { kind: 'file', path: '/c', bytes },
    }
    expect(loginChange(answer, known, beside)).toEqual({
      mqtt: { url: 'mqtts://hut', password_file: 'mqtt-password', ca_file: '/c' },
      credentials: new Map(),
      password: 'secret',
      unused: 'old-password',
    })
    expect(loginChange(answer, { ...known, passwordFile: 'mqtt-password' }, beside).unused).toBeUndefined()
  })

  test('with a store, it names neither, since what it names comes first', () => {
    const answer: LoginAnswer = { ...kept, password: given, ca: { kind: 'file', path: '/c', bytes } }
    expect(loginChange(answer, known, stored)).toEqual({
      mqtt: { password_file: null, ca_file: null },
      credentials: new Map([
        ['mqtt-password', Buffer.from('secret\n')],
        ['mqtt-ca', bytes],
      ]),
      password: undefined,
      unused: 'old-password',
    })
  })

  test('a broker without login and TLS finds none left in the store', () => {
    const answer: LoginAnswer = {
      url: 'mqtt://hut',
      username: undefined,
      password: { kind: 'none' },
      ca: { kind: 'none' },
    }
    expect(loginChange(answer, known, stored)).toMatchObject({
      mqtt: { url: 'mqtt://hut', username: null, password_file: null, ca_file: null },
      credentials: new Map([
        ['mqtt-username', null],
        ['mqtt-password', null],
        ['mqtt-ca', null],
      ]),
    })
  })
})

describe('changedCredentials', () => {
  const before = async (name: string) => ({ path: `/store/${name}`, bytes: Buffer.from('old') })

  test('are those that the service will have', async () => {
    const change = { mqtt: {}, password: undefined, unused: undefined }
    const credentials = changedCredentials(before, {
      ...change,
      credentials: new Map([
        ['mqtt-password', Buffer.from('new')],
        ['mqtt-ca', null],
      ]),
    })
    expect(String((await credentials('mqtt-password'))?.bytes)).toBe('new')
    expect(await credentials('mqtt-ca')).toBeUndefined()
    expect(String((await credentials('mqtt-cert'))?.bytes)).toBe('old')
  })

  test('stand for a password that is not written down yet', async () => {
    const change = { mqtt: {}, credentials: new Map(), password: 'secret', unused: undefined }
    expect(String((await changedCredentials(before, change)('mqtt-password'))?.bytes)).toBe('secret')
  })
})
