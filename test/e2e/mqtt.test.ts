import { execFile } from 'node:child_process'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import * as v from 'valibot'
import { describe, expect, test } from 'vitest'
import {
  currentSchema,
  eventSchema,
  metricsSchema,
  responseSchema,
  stateSchema,
  updateSchema,
} from '../../src/mqtt/messages.ts'
import { RunningSightd } from '../support/daemon.ts'
import { findProgram, freePort, startMosquitto } from '../support/mosquitto.ts'
import { type Received, subscribe } from '../support/subscriber.ts'
import { tempFolder } from '../support/temp-folder.ts'

const demo = fileURLToPath(new URL('../../deploy/demo', import.meta.url))

async function configFile(port: number, more = '', id = 'porch'): Promise<string> {
  const path = join(await tempFolder(), 'config.yaml')
  await writeFile(
    path,
    `id: ${id}\ncamera: { source: replay, path: ${demo} }\nmqtt: { url: 'mqtt://127.0.0.1:${port}', result_rate: 5 }\n${more}`,
  )
  return path
}

/** A daemon on a broker of its own, and someone who listens to everything. */
async function porch({ more = '', stateFolder }: { more?: string; stateFolder?: string } = {}) {
  const port = await freePort()
  await startMosquitto(port)
  const subscriber = await subscribe(port, { protocolVersion: 5, filter: '#' })
  const config = await configFile(port, more)
  const sightd = new RunningSightd(['run', '--config', config], stateFolder === undefined ? {} : { stateFolder })
  await subscriber.message(({ topic }) => topic === 'sightd/porch/result')
  const { client, received } = subscriber
  const json = (message: Received) => JSON.parse(message.text)
  return {
    port,
    sightd,
    config,
    subscriber,
    json,
    /** Sends a request and gives its answer. */
    async ask(name: string, request: object = {}) {
      const from = received.length
      await client.publishAsync(`sightd/porch/request/${name}`, JSON.stringify(request), { qos: 1 })
      return v.parse(
        responseSchema,
        json(await subscriber.message(({ topic }) => topic === `sightd/porch/response/${name}`, from)),
      )
    },
    async set(property: string, value: string) {
      const from = received.length
      await client.publishAsync(`sightd/porch/${property}/set`, value, { qos: 1 })
      return v.parse(
        responseSchema,
        json(await subscriber.message(({ topic }) => topic === 'sightd/porch/response/set', from)),
      )
    },
    /** The first state from now on that fits. */
    async state(fits: (state: v.InferOutput<typeof stateSchema>) => boolean, from = 0) {
      const message = await subscriber.message(
        ({ topic, text }) => topic === 'sightd/porch/state' && fits(v.parse(stateSchema, JSON.parse(text))),
        from,
      )
      return v.parse(stateSchema, json(message))
    },
  }
}

describe.skipIf(findProgram('mosquitto') === undefined)(
  'sightd with a real Mosquitto (skipped where it is not installed)',
  () => {
    test('tells what comes and goes as events, and what is there as a state', async () => {
      const { subscriber } = await porch()
      const end = await subscriber.message(
        ({ topic, text }) => topic === 'sightd/porch/event' && text.includes('"type":"end"'),
      )
      const events = subscriber.received
        .filter(({ topic }) => topic === 'sightd/porch/event')
        .map(({ text }) => v.parse(eventSchema, JSON.parse(text)))
      const ended = v.parse(eventSchema, JSON.parse(end.text))
      const episode = events.filter(({ event_id }) => event_id === ended.event_id)
      expect(episode.map(({ seq }) => seq)).toEqual(episode.map((_, i) => i))
      expect(episode[0]).toMatchObject({ type: 'new', end: null, end_reason: null, replayed: false })
      expect(ended).toMatchObject({ end_reason: 'left', replayed: false, model: { name: 'ssdlite-mobilenet-v2-coco' } })
      const told = <S extends v.GenericSchema>(topic: string, schema: S, fits: (said: v.InferOutput<S>) => boolean) =>
        subscriber.message(
          (message) => message.topic === `sightd/porch/${topic}` && fits(v.parse(schema, JSON.parse(message.text))),
        )
      await told('current', currentSchema, ({ labels }) => labels['cat']?.count === 1)
      await told('current', currentSchema, ({ summary }) => summary.includes('person'))
      await told('update', updateSchema, (update) => update.installed_version === '1' && !update.enabled)
    })

    test('answers commands, and keeps settings over a restart', async () => {
      const stateFolder = await tempFolder()
      const { ask, set, state, subscriber, sightd } = await porch({ stateFolder })
      expect(await ask('ping', { transaction: 't' })).toEqual({ status: 'ok', data: { pong: true }, transaction: 't' })
      expect(await ask('info')).toMatchObject({ status: 'ok', data: { id: 'porch' } })
      expect(await ask('snapshot')).toMatchObject({ status: 'error', error: { code: 'turned_off' } })
      expect(await ask('reboot')).toMatchObject({ status: 'error', error: { code: 'unknown_command' } })

      const from = subscriber.received.length
      expect(await set('threshold', '0.7')).toMatchObject({ status: 'ok', data: { property: 'threshold', value: 0.7 } })
      expect(await set('max_fps', '4')).toMatchObject({ status: 'ok' })
      await state(({ threshold, max_fps }) => threshold === 0.7 && max_fps === 4, from)
      expect(await set('threshold', '7')).toMatchObject({ status: 'error', error: { code: 'invalid' } })
      expect(await ask('set_config', { config: { camera: { fps: 1 } } })).toMatchObject({
        status: 'error',
        error: { code: 'invalid', message: expect.stringContaining("camera.fps: can't be set over MQTT") },
      })
      expect(await ask('set_config', { config: { name: 'Porch', home_assistant: { labels: ['cat'] } } })).toMatchObject(
        { status: 'ok' },
      )
      expect(await ask('get_config')).toMatchObject({
        data: { overlay: { name: 'Porch', inference: { threshold: 0.7, max_fps: 4 } } },
      })
      await subscriber.message(({ topic, text }) => topic === 'sightd/porch/info' && text.includes('"name":"Porch"'))

      const beforeRestart = subscriber.received.length
      expect(await ask('restart', { transaction: 1 })).toMatchObject({ status: 'ok', data: { restarting: true } })
      await subscriber.message(
        ({ topic, text }) => topic === 'sightd/porch/status' && text === 'offline',
        beforeRestart,
      )
      await subscriber.message(({ topic, text }) => topic === 'sightd/porch/status' && text === 'online', beforeRestart)
      const later = await state(({ status, threshold }) => status === 'running' && threshold !== null, beforeRestart)
      expect(later).toMatchObject({ threshold: 0.7, max_fps: 4 })
      const boots = subscriber.received
        .filter(({ topic }) => topic === 'sightd/porch/info')
        .map(({ text }) => JSON.parse(text).boot)
      expect(new Set(boots).size).toBe(2)
      expect(JSON.parse(await readFile(join(stateFolder, 'overlay.json'), 'utf8'))).toMatchObject({ name: 'Porch' })
      sightd.child.kill('SIGTERM')
      expect(await sightd.exited).toBe(0)
    })

    test('a pause ends events as interrupted and shows as such, and inference goes on after it', async () => {
      const { set, state, subscriber } = await porch()
      await subscriber.message(({ topic }) => topic === 'sightd/porch/event')
      const from = subscriber.received.length
      await set('inference', 'OFF')
      expect(await state(({ status }) => status === 'paused', from)).toMatchObject({ inference: 'OFF', reason: null })
      await subscriber.message(
        ({ topic, text }) => topic === 'sightd/porch/event' && text.includes('"end_reason":"interrupted"'),
      )
      await subscriber.message(
        ({ topic, text }) => topic === 'sightd/porch/current' && text.includes('"summary":"nothing"'),
        from,
      )
      const resumed = subscriber.received.length
      await set('inference', 'ON')
      await subscriber.message(({ topic }) => topic === 'sightd/porch/result', resumed)
      expect(await state(({ status }) => status === 'running', resumed)).toMatchObject({ inference: 'ON' })
    })

    test('publishes pictures where they are allowed: on request and of events, as JPEG', async () => {
      const { ask, subscriber } = await porch({ more: 'pictures: { on_request: true, of_events: true, max_kb: 32 }\n' })
      const of = await subscriber.message(
        ({ topic, bytes }) => topic === 'sightd/porch/event/snapshot' && bytes.length > 0,
      )
      const asked = await ask('snapshot')
      expect(asked).toMatchObject({ status: 'ok', data: { frame: { width: 640, height: 480 } } })
      const snapshot = await subscriber.message(
        ({ topic, bytes }) => topic === 'sightd/porch/snapshot' && bytes.length > 0,
      )
      for (const { bytes } of [of, snapshot]) {
        expect(bytes.subarray(0, 3).toString('hex')).toBe('ffd8ff')
        expect(bytes.length).toBeLessThanOrEqual(32 * 1024)
      }
      expect(of.userProperties).toMatchObject({ event_id: expect.any(String), label: expect.any(String) })
    })

    test('announces itself to Home Assistant, again when that comes up, and not when it is turned off', async () => {
      const { subscriber, ask } = await porch()
      const isDiscovery = ({ topic }: Received) => /^homeassistant\/device\/[^/]+\/config$/.test(topic)
      const first = JSON.parse((await subscriber.message(isDiscovery)).text)
      expect(Object.keys(first.cmps)).toContain('label-person')
      const from = subscriber.received.length
      await subscriber.client.publishAsync('homeassistant/status', 'online', { qos: 1 })
      await subscriber.message(isDiscovery, from)
      await subscriber.message(({ topic, text }) => topic === 'sightd/porch/status' && text === 'online', from)
      await ask('set_config', { config: { home_assistant: { labels: ['cat'] } } })
      const changed = await subscriber.message(
        (message) => isDiscovery(message) && message.text.includes('label-cat'),
        from,
      )
      expect(JSON.parse(changed.text).cmps['label-person']).toEqual({ p: 'binary_sensor' })
    })

    test('turned off, it takes away what an earlier run had announced; where there was none, it touches nothing', async () => {
      const stateFolder = await tempFolder()
      const { port, sightd, subscriber } = await porch({ stateFolder })
      const isDiscovery = ({ topic }: Received) => topic.startsWith('homeassistant/device/')
      await subscriber.message(isDiscovery)
      sightd.child.kill('SIGTERM')
      await sightd.exited
      const off = await configFile(port, 'home_assistant: { enabled: false }\n')
      const from = subscriber.received.length
      const turnedOff = new RunningSightd(['run', '--config', off], { stateFolder })
      const cleared = await subscriber.message(isDiscovery, from)
      expect(cleared.text).toBe('')
      turnedOff.child.kill('SIGTERM')
      await turnedOff.exited
      const never = subscriber.received.length
      const other = new RunningSightd(['run', '--config', off])
      await other.line(({ msg }) => msg === 'broker connected')
      await subscriber.message(({ topic }) => topic === 'sightd/porch/result', never)
      expect(subscriber.received.slice(never).filter(isDiscovery)).toEqual([])
    })

    test('a restarted device is not its own rival, and what waited in its session is answered', async () => {
      const stateFolder = await tempFolder()
      const { config, sightd, subscriber, state } = await porch({ stateFolder })
      sightd.child.kill('SIGKILL')
      await sightd.exited
      const from = subscriber.received.length
      await subscriber.client.publishAsync('sightd/porch/request/ping', '{"transaction":"late"}', { qos: 1 })
      new RunningSightd(['run', '--config', config], { stateFolder })
      await subscriber.message(
        ({ topic, text }) => topic === 'sightd/porch/response/ping' && text.includes('late'),
        from,
      )
      expect(await state(({ status }) => status === 'running', from)).toMatchObject({ mqtt: { problem: null } })
    })

    test('a request that is to be retained is refused, also while it is live', async () => {
      const { subscriber, ask } = await porch()
      const from = subscriber.received.length
      const retained = { qos: 1, retain: true } as const
      await subscriber.client.publishAsync('sightd/porch/request/ping', '{"transaction":"kept"}', retained)
      await ask('ping', { transaction: 'next' })
      const answers = subscriber.received.slice(from).filter(({ topic }) => topic === 'sightd/porch/response/ping')
      expect(answers.map(({ text }) => JSON.parse(text).transaction)).toEqual(['next'])
    })

    test('without camera and model it says that nothing is in view, whatever was before', async () => {
      const port = await freePort()
      await startMosquitto(port)
      const subscriber = await subscribe(port)
      await subscriber.client.publishAsync('sightd/porch/current', '{"summary":"person"}', { qos: 1, retain: true })
      const folder = await tempFolder()
      await writeFile(
        join(folder, 'c.yaml'),
        `id: porch\ncamera: { source: replay, path: ${folder} }\nmodel: { path: ${folder} }\nmqtt: { url: 'mqtt://127.0.0.1:${port}' }\n`,
      )
      new RunningSightd(['run', '--config', join(folder, 'c.yaml')])
      await subscriber.message(({ topic, text }) => topic === 'sightd/porch/current' && text.includes('"nothing"'))
    })

    test('two devices on one broker do not mix', async () => {
      const { port, subscriber, set, state } = await porch()
      const other = new RunningSightd(['run', '--config', await configFile(port, '', 'shed')])
      await other.line(({ msg }) => msg === 'sees')
      const from = subscriber.received.length
      await set('threshold', '0.9')
      await state(({ threshold }) => threshold === 0.9, from)
      await subscriber.client.publishAsync('sightd/all/request/ping', '', { qos: 1 })
      const shed = await subscriber.message(({ topic }) => topic === 'sightd/shed/state', 0)
      expect(JSON.parse(shed.text).threshold).not.toBe(0.9)
      const discoveries = new Set(
        subscriber.received.map(({ topic }) => topic).filter((topic) => topic.startsWith('homeassistant/device/')),
      )
      expect(discoveries.size).toBe(2)
      const sheds = subscriber.received.filter(
        ({ topic, text }) => topic === 'sightd/shed/state' && text.includes('0.9,'),
      )
      expect(sheds).toEqual([])
    })

    test('a second device with the same id is told apart, said, and does not fight', async () => {
      const { port, sightd } = await porch()
      const other = new RunningSightd(['run', '--config', await configFile(port)])
      await other.line(({ msg }) => msg === 'broker connected')
      await Promise.race(
        [sightd, other].map((one) => one.line(({ msg }) => msg === 'another client has our id at the broker')),
      )
    })

    test('with a state folder that can not be written it says so and goes on', async () => {
      const file = join(await tempFolder(), 'file')
      await writeFile(file, '')
      const { state, set, subscriber } = await porch({ stateFolder: join(file, 'state') })
      await set('threshold', '0.6')
      await state(({ outbox, status }) => outbox.problem !== null && status === 'running')
      await subscriber.message(({ topic }) => topic === 'sightd/porch/event')
    })

    test.skipIf(findProgram('mosquitto_passwd') === undefined)(
      'logs in with a password that no log line ever holds (skipped without mosquitto_passwd)',
      async () => {
        const folder = await tempFolder()
        await promisify(execFile)('mosquitto_passwd', ['-c', '-b', join(folder, 'users'), 'porch', 'hunter2-secret'])
        await writeFile(join(folder, 'password'), 'hunter2-secret\n', { mode: 0o600 })
        const port = await freePort()
        await startMosquitto(port, `allow_anonymous false\npassword_file ${join(folder, 'users')}\nuser root`)
        const login = `username: porch, password_file: ${join(folder, 'password')}`
        const config = join(folder, 'config.yaml')
        await writeFile(
          config,
          `camera: { source: replay, path: ${demo} }\nmqtt: { url: 'mqtt://127.0.0.1:${port}', ${login} }\nlog: { level: trace }\n`,
        )
        const sightd = new RunningSightd(['run', '--config', config])
        await sightd.line(({ msg }) => msg === 'broker connected')
        await sightd.line(({ msg }) => msg === 'sees')
        sightd.child.kill('SIGTERM')
        await sightd.exited
        expect(sightd.output).not.toContain('hunter2')
      },
    )

    test('SIGTERM says offline, and no last will follows; metrics come by themselves', async () => {
      const { sightd, subscriber } = await porch()
      sightd.child.kill('SIGTERM')
      expect(await sightd.exited).toBe(0)
      await subscriber.fence()
      expect(
        subscriber.received.filter(({ topic }) => topic === 'sightd/porch/status').map(({ text }) => text),
      ).toEqual(['online', 'offline'])
      expect(v.safeParse(metricsSchema, {}).success).toBe(false)
    })
  },
)

test('another daemon with the same state folder is refused', async () => {
  const stateFolder = await tempFolder()
  await mkdir(join(stateFolder, 'x'))
  const config = await configFile(await freePort())
  const first = new RunningSightd(['run', '--config', config], { stateFolder })
  await first.line(({ msg }) => msg === 'sees')
  const second = new RunningSightd(['run', '--config', config], { stateFolder })
  expect(await second.exited).toBe(1)
  expect(second.output).toContain('another sightd works with this folder')
})
