import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { connect, connectAsync, type IClientOptions, type MqttClient } from 'mqtt'
import { describe, expect, onTestFinished, test } from 'vitest'
import { discoveryTopic } from '../../src/mqtt/home-assistant.ts'
import { deviceTopics } from '../../src/mqtt/topics.ts'
import { RunningCommand, terminalProgram } from '../support/command.ts'
import { runSightd } from '../support/daemon.ts'
import { findProgram, freePort, startMosquitto } from '../support/mosquitto.ts'
import { saidCurrent, saidInfo, saidState } from '../support/said.ts'
import { startStrictBroker } from '../support/strict-broker.ts'
import { tempFolder } from '../support/temp-folder.ts'

async function login(port: number, options: IClientOptions = {}): Promise<MqttClient> {
  const client = await connectAsync(`mqtt://127.0.0.1:${port}`, { protocolVersion: 5, ...options })
  onTestFinished(() => {
    client.end(true)
  })
  return client
}

/** A broker that keeps everything that a device can leave there, and something of another. */
async function brokerWithPorch({ status = 'offline', settings = 'allow_anonymous true' } = {}) {
  const port = await freePort()
  await startMosquitto(port, settings)
  const client = await login(port, { username: 'owner' })
  const kept: Record<string, string> = {
    'sightd/porch/status': status,
    'sightd/porch/info': saidInfo('porch'),
    'sightd/porch/state': saidState(),
    'sightd/porch/current': saidCurrent('cat'),
    'sightd/porch/update': '{}',
    'sightd/porch/crash': '{}',
    'sightd/porch/snapshot': 'JPEG',
    'sightd/porch/event/snapshot': 'JPEG',
    'sightd/porch/of/an/older/version': 'x',
    [discoveryTopic('homeassistant', 'porch')]: '{}',
  }
  const others = { 'sightd/porch-2/status': 'online', 'homeassistant/device/other/config': '{}' }
  for (const [topic, payload] of Object.entries({ ...kept, ...others }))
    await client.publishAsync(topic, payload, { qos: 1, retain: true })
  return { port, url: `mqtt://127.0.0.1:${port}`, client, kept: Object.keys(kept), others: Object.keys(others) }
}

/** Topics on which a broker keeps something: what comes before the end, which is not kept. */
async function keptAt(port: number): Promise<string[]> {
  const client = await login(port, { username: 'owner' })
  const topics: string[] = []
  const ended = new Promise<void>((resolve) => {
    client.on('message', (topic, _, { retain }) => {
      if (retain) topics.push(topic)
      if (topic === 'the/end') resolve()
    })
  })
  await client.subscribeAsync('#', { qos: 1 })
  await client.publishAsync('the/end', '', { qos: 1 })
  await ended
  return topics.sort()
}

const { status, info, state, current, update, crash, snapshot, eventSnapshot } = deviceTopics('sightd', 'porch')
const keptByPorch = { status, info, state, current, update, crash, snapshot, eventSnapshot }

const porch = (url: string) => ['decommission', '--broker', url, '--id', 'porch']

describe('sightd decommission', () => {
  test.each([
    [['--id', 'porch'], 'without a terminal, add --yes'],
    [['--yes', '--id', 'Porch'], 'lower-case letters'],
    [['--yes', '--broker', 'mqtt://127.0.0.1:1'], '--id has to name the device'],
  ])('%j is wrong usage', async (args, message) => {
    const { code, stderr } = await runSightd(['decommission', ...args])
    expect([code, stderr]).toEqual([2, expect.stringContaining(message)])
  })

  test('a broker that is not there, and a configuration that is not', async () => {
    const url = `mqtt://127.0.0.1:${await freePort()}`
    expect(await runSightd([...porch(url), '--yes'])).toEqual({
      code: 1,
      stdout: '',
      stderr: `sightd: the broker at ${url} is not reachable: nothing listens there (ECONNREFUSED)\n`,
    })
    expect(await runSightd(['decommission', '--config', '/nowhere.yaml', '--yes'])).toMatchObject({ code: 78 })
  })
})

test('a broker that lets us not look is cleared of all that is known', async () => {
  const { port, url } = await startStrictBroker((client) => client === 'owner')
  const owner = await login(port, { protocolVersion: 4, clientId: 'owner' })
  const known = [...Object.values(keptByPorch), discoveryTopic('homeassistant', 'porch')]
  for (const topic of known) await owner.publishAsync(topic, 'x', { qos: 1, retain: true })
  const { code, stdout, stderr } = await runSightd([...porch(url), '--yes', '--json'])
  expect([code, JSON.parse(stdout).cleared.toSorted()]).toEqual([0, known.toSorted()])
  expect(stderr).toContain('lets us not look at sightd/porch/#, homeassistant/device/')
  // Kept last, it is told last.
  await owner.publishAsync('the/end', 'x', { qos: 1, retain: true })
  const left: string[] = []
  const ended = new Promise<void>((resolve) => {
    owner.on('message', (topic) => (topic === 'the/end' ? resolve() : left.push(topic)))
  })
  await owner.subscribeAsync('#', { qos: 1 })
  await ended
  expect(left).toEqual([])
})

describe.skipIf(findProgram('mosquitto') === undefined)(
  'sightd decommission with a real Mosquitto (skipped where it is not installed)',
  () => {
    test('leaves nothing of the device, and everything of others', async () => {
      const { port, url, kept, others } = await brokerWithPorch()
      expect(await keptAt(port)).toEqual([...kept, ...others].sort())
      const { code, stdout } = await runSightd([...porch(url), '--yes'])
      expect(await keptAt(port)).toEqual(others.toSorted())
      expect([code, stdout]).toEqual([0, `porch at ${url}: cleared 10 retained messages; its session has ended\n`])
    })

    test('--json names what was cleared; a second time there is nothing', async () => {
      const { url, kept } = await brokerWithPorch()
      const first = JSON.parse((await runSightd([...porch(url), '--yes', '--json'])).stdout)
      expect({ ...first, cleared: first.cleared.toSorted() }).toEqual({
        device: 'porch',
        broker: url,
        cleared: kept.toSorted(),
        left: [],
      })
      expect(first.cleared.at(-1)).toBe('sightd/porch/status')
      const second = await runSightd([...porch(url), '--yes', '--json'])
      expect([second.code, JSON.parse(second.stdout)]).toEqual([
        1,
        { device: 'porch', broker: url, cleared: [], left: [] },
      ])
    })

    test('a picture that is too large to be looked at goes too', async () => {
      const { port, url, client, others } = await brokerWithPorch()
      await client.publishAsync('sightd/porch/snapshot', Buffer.alloc(600_000), { qos: 1, retain: true })
      await runSightd([...porch(url), '--yes'])
      expect(await keptAt(port)).toEqual(others.toSorted())
    })

    test('what a device says meanwhile is nothing that is kept', async () => {
      const { url, client } = await brokerWithPorch()
      const chatter = setInterval(() => client.publish('sightd/porch/result', '{}'), 20)
      onTestFinished(() => clearInterval(chatter))
      const { stdout } = await runSightd([...porch(url), '--yes', '--json'])
      expect(JSON.parse(stdout).cleared).toHaveLength(10)
      expect(stdout).not.toContain('result')
    })

    test('takes id, broker and prefix from the configuration', async () => {
      const { port, url, client, kept, others } = await brokerWithPorch()
      await client.publishAsync(discoveryTopic('house', 'porch'), '{}', { qos: 1, retain: true })
      const config = join(await tempFolder(), 'config.yaml')
      await writeFile(config, `id: porch\nmqtt: { url: '${url}' }\nhome_assistant: { prefix: house }\n`)
      expect(await runSightd(['decommission', '--config', config, '--yes'])).toMatchObject({ code: 0 })
      expect(await keptAt(port)).toEqual(
        [...others, ...kept.filter((topic) => topic.startsWith('homeassistant'))].sort(),
      )
    })

    test('an id of which nothing is kept is told, with those that are there, and changes nothing', async () => {
      const { port, url, kept, others } = await brokerWithPorch()
      const decommission = (...rest: string[]) => runSightd(['decommission', '--broker', url, '--yes', ...rest])
      expect(await decommission('--id', 'proch')).toEqual({
        code: 1,
        stdout: '',
        stderr: `sightd: nothing is kept of proch at ${url}; devices there: porch, porch-2\n`,
      })
      expect(await decommission('--id', 'proch', '--base', 'house')).toMatchObject({
        stderr: `sightd: nothing is kept of proch at ${url}; no device is there\n`,
      })
      expect(await keptAt(port)).toEqual([...kept, ...others].sort())
      expect(await decommission('--id', 'proch', '--force')).toMatchObject({
        code: 0,
        stdout: `proch at ${url}: cleared 0 retained messages; its session has ended\n`,
      })
    })

    test('refuses while the device is online, unless forced', async () => {
      const { port, url, kept, others } = await brokerWithPorch({ status: 'online' })
      expect(await runSightd([...porch(url), '--yes'])).toEqual({
        code: 1,
        stdout: '',
        stderr: `sightd: porch at ${url} is online: stop sightd first (or clear it all the same: --force)\n`,
      })
      expect(await keptAt(port)).toEqual([...kept, ...others].sort())
      expect(await runSightd([...porch(url), '--yes', '--force'])).toMatchObject({ code: 0 })
      expect(await keptAt(port)).toEqual(others.toSorted())
    })

    test('does not end the connection of a device that is online', async () => {
      const { port, url } = await brokerWithPorch({ status: 'online' })
      const device = await login(port, { clientId: 'sightd-porch', reconnectPeriod: 0 })
      await runSightd([...porch(url), '--yes'])
      await device.publishAsync('sightd/porch/result', '{}', { qos: 1 })
      expect(device.connected).toBe(true)
    })

    test('ends its session, and a last will that still waits in it leaves nothing', async () => {
      const { port, url, others } = await brokerWithPorch()
      const settings = {
        clientId: 'sightd-porch',
        clean: false,
        reconnectPeriod: 0,
        properties: { sessionExpiryInterval: 3600 },
        will: {
          topic: 'sightd/porch/status',
          payload: Buffer.from('offline'),
          qos: 1 as const,
          retain: true,
          properties: { willDelayInterval: 600 },
        },
      }
      const device = await login(port, settings)
      await device.subscribeAsync('sightd/porch/request/#', { qos: 1 })
      device.stream.destroy()
      expect(await runSightd([...porch(url), '--yes'])).toMatchObject({ code: 0 })
      expect(await keptAt(port)).toEqual(others.toSorted())
      const again = connect(`mqtt://127.0.0.1:${port}`, { ...settings, protocolVersion: 5 })
      onTestFinished(() => {
        again.end(true)
      })
      const isPresent = new Promise((resolve) => {
        again.once('connect', ({ sessionPresent }) => resolve(sessionPresent))
      })
      expect(await isPresent).toBe(false)
    })

    test('says what the broker keeps all the same', async () => {
      const rules = join(await tempFolder(), 'rules')
      await writeFile(rules, 'topic read #\ntopic write sightd/porch/info\n\nuser owner\ntopic readwrite #\n')
      const { port, url, kept, others } = await brokerWithPorch({
        settings: `allow_anonymous true\nuser root\nacl_file ${rules}`,
      })
      const { code, stdout, stderr } = await runSightd([...porch(url), '--yes', '--json'])
      const left = kept.filter((topic) => topic !== 'sightd/porch/info').sort()
      const told = JSON.parse(stdout)
      expect([code, told.cleared, told.left.toSorted()]).toEqual([1, ['sightd/porch/info'], left])
      for (const topic of left) expect(stderr).toContain(topic)
      expect(await keptAt(port)).toEqual([...left, ...others].sort())
      // What it would refuse too, but does not have, is no trouble.
      expect(await runSightd(['decommission', '--broker', url, '--id', 'hall', '--yes', '--force'])).toMatchObject({
        code: 0,
      })
    })

    test.skipIf(terminalProgram === undefined).each([
      ['y\n', 0],
      ['n\n', 1],
      ['\n', 1],
      ['\x04', 1],
      ['\x03', 1],
    ])('on a terminal it shows what there is and asks; %j (skipped without script)', async (keys, code) => {
      const { port, url, kept, others } = await brokerWithPorch()
      const command = new RunningCommand(porch(url), { onTerminal: true })
      await command.until(({ stdout }) => stdout.includes('clear 10 retained messages and end its session? [y/N] '))
      expect(command.stdout).toContain('  sightd/porch/of/an/older/version\r\n')
      command.type(keys)
      expect(await command.exited).toBe(code)
      expect(command.stdout).toContain(code === 0 ? 'cleared 10 retained' : 'nothing was changed')
      expect(await keptAt(port)).toEqual(code === 0 ? others.toSorted() : [...kept, ...others].sort())
    })
  },
)
