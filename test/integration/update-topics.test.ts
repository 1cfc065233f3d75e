import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as v from 'valibot'
import { describe, expect, onTestFinished, test } from 'vitest'
import { SightdError } from '../../src/core/errors.ts'
import { type UpdateControl, type UpdateStatus, updateStatusSchema } from '../../src/core/update-status.ts'
import { MqttDevice } from '../../src/mqtt/device.ts'
import { responseSchema, updateEventSchema, updateSchema } from '../../src/mqtt/messages.ts'
import { findProgram, freePort, startMosquitto } from '../support/mosquitto.ts'
import { subscribe } from '../support/subscriber.ts'
import { tempFolder } from '../support/temp-folder.ts'
import { messages, section } from '../support/topics-page.ts'
import { modelOne, modelTwo, notingUpdates, outcome, updateStatus } from '../support/updates.ts'

const model = { ...modelOne, sha256: '', task: 'detection', threshold: 0.5, labels: [] } as const
type Line = { readonly text: string; readonly [field: string]: unknown }

/** A device on the broker at `port`, until the test is over. */
async function startDevice(
  port: number,
  { updates, status = updateStatus() }: { updates?: UpdateControl; status?: UpdateStatus } = {},
) {
  const lines: Line[] = []
  const note = (fields: object, text: string) => void lines.push({ ...fields, text })
  const device = await MqttDevice.open({
    id: 'porch',
    boot: '5d41402a',
    startedMs: 0,
    baseTopic: 'sightd',
    settings: async () => ({ url: `mqtt://127.0.0.1:${port}` }),
    homeAssistant: { enabled: false, prefix: 'homeassistant' },
    folder: await tempFolder(),
    outbox: { maxBytes: 1e6, maxAgeMs: 1e9, replayRate: 1000 },
    commanded: {
      info: () => ({}),
      takePicture: () => undefined,
      restart: async () => {},
      settings: () => ({ config: {}, overlay: {} }),
      change: async () => undefined,
      updates,
      updateStatus: () => status,
    },
    takesHints: updates !== undefined,
    onChange: () => {},
    log: { info: note, warn: note },
  })
  onTestFinished(() => device[Symbol.asyncDispose]())
  device.start()
  return { device, lines }
}

describe.skipIf(findProgram('mosquitto') === undefined)(
  'updates over MQTT with a real Mosquitto (skipped where it is not installed)',
  () => {
    test('how they stand is kept at the broker, what ended is told once, apart from events', async () => {
      const port = await freePort()
      await startMosquitto(port)
      const subscriber = await subscribe(port)
      const { device } = await startDevice(port)
      await subscriber.message(({ text }) => text === 'online')
      device.publish.update(updateStatus({ phase: 'download', percent: 7.9, candidate: modelTwo }), model)
      device.publish.update(updateStatus({ phase: 'download', percent: 8, candidate: modelTwo }), model)
      device.publish.updateOutcome(outcome)
      const ended = await subscriber.message(({ topic }) => topic === 'sightd/porch/update/event')
      expect(v.parse(updateEventSchema, JSON.parse(ended.text))).toMatchObject({ ...outcome, replayed: false })
      expect([ended.qos, ended.isRetained]).toEqual([1, false])
      await subscriber.fence()
      const told = subscriber.received.filter(({ topic }) => topic === 'sightd/porch/update')
      expect(told.map(({ text }) => v.parse(updateSchema, JSON.parse(text)))).toMatchObject([
        { phase: 'download', percent: 7, installed_version: '1', latest_version: '2', title: modelOne.name },
      ])
      expect(subscriber.received.filter(({ topic }) => topic === 'sightd/porch/event')).toEqual([])
      const late = await subscribe(port, { filter: 'sightd/porch/#' })
      const kept = await late.message(({ topic }) => topic === 'sightd/porch/update')
      expect(kept.isRetained).toBe(true)
      expect(late.received.some(({ topic }) => topic === 'sightd/porch/update/event')).toBe(false)
    })

    test('an ending that was made without a broker is told once there is one', async () => {
      const port = await freePort()
      const { device } = await startDevice(port)
      device.publish.updateOutcome(outcome)
      device.publish.update(updateStatus({ last: outcome }), model)
      await startMosquitto(port)
      const subscriber = await subscribe(port)
      const ended = await subscriber.message(({ topic }) => topic === 'sightd/porch/update/event')
      expect(v.parse(updateEventSchema, JSON.parse(ended.text))).toEqual({
        v: 1,
        type: 'outcome',
        boot: '5d41402a',
        ...outcome,
        replayed: true,
      })
      const update = await subscriber.message(({ topic }) => topic === 'sightd/porch/update')
      expect(JSON.parse(update.text)).toMatchObject({ last: outcome })
    })

    test('a broker that takes no endings takes events all the same', async () => {
      const acl = join(await tempFolder(), 'acl')
      const others = ['status', 'event', 'update', 'state', 'info', 'current']
      await writeFile(acl, `topic read #\n${others.map((name) => `topic write sightd/porch/${name}\n`).join('')}`)
      const port = await freePort()
      await startMosquitto(port, `allow_anonymous true\nacl_file ${acl}\nuser root`)
      const subscriber = await subscribe(port)
      const { device } = await startDevice(port)
      await subscriber.message(({ text }) => text === 'online')
      device.publish.updateOutcome(outcome)
      device.publish.event(
        {
          type: 'new',
          eventId: '1',
          seq: 0,
          atMs: 0,
          label: 'cat',
          classId: 1,
          score: 1,
          topScore: 1,
          box: null,
          zones: [],
          enteredZones: [],
          startMs: 0,
          endMs: null,
          endReason: null,
          hits: 1,
        },
        undefined,
      )
      const event = await subscriber.message(({ topic }) => topic.startsWith('sightd/porch/event'))
      expect(JSON.parse(event.text)).toMatchObject({ label: 'cat', replayed: false })
      await expect
        .poll(() => [device.state.mqtt.problem, device.metrics.events_refused_total])
        .toEqual(['the broker refuses sightd/porch/update/event', 1])
    })

    test('commands where a repository is configured are answered as docs/mqtt-topics.md says', async () => {
      const exchanges = messages(section('## Commands')).filter(({ topic }) => topic.endsWith('_update'))
      const pairs = exchanges.flatMap((request, i) => (i % 2 === 0 ? [[request, exchanges[i + 1]] as const] : []))
      const asked = pairs.filter(([, response]) => response?.payload.includes('"turned_off"') === false)
      expect(asked.map(([{ topic }]) => topic.split('/').at(-1))).toEqual(['check_update', 'install_update'])
      const port = await freePort()
      await startMosquitto(port)
      const subscriber = await subscribe(port)
      const first = asked[0]?.[1]?.payload ?? ''
      const updates: UpdateControl = {
        ...notingUpdates(),
        install: async () => {
          throw new SightdError('update_refused', 'no model waits to be installed')
        },
      }
      const status = v.parse(updateStatusSchema, JSON.parse(first).data.update)
      await startDevice(port, { updates, status })
      await subscriber.message(({ text }) => text === 'online')
      for (const [request, response] of asked) {
        await subscriber.client.publishAsync(request.topic, request.payload, { qos: 1 })
        const answer = await subscriber.message(({ topic }) => topic === response?.topic)
        expect(JSON.parse(answer.text)).toEqual(JSON.parse(response?.payload ?? ''))
      }
    })

    test('hints that are kept, and that come, are passed on; what is none is told once', async () => {
      const port = await freePort()
      await startMosquitto(port)
      const { client } = await subscribe(port)
      const say = (text: string, retain = false) => client.publishAsync('sightd/update/hint', text, { qos: 1, retain })
      await say('{"timestamp":12}', true)
      const updates = notingUpdates()
      const { lines } = await startDevice(port, { updates })
      await expect.poll(() => updates.asked).toEqual([12])
      for (const hostile of ['{"timestamp":"13"}', '{"timestamp":13,"url":"http://evil"}', 'x'.repeat(5000), ''])
        await say(hostile)
      await say('{"timestamp":14}')
      await expect.poll(() => updates.asked).toEqual([12, 14])
      expect(lines.filter(({ text }) => text.startsWith('not an update hint'))).toHaveLength(1)
    })

    test('a device with nowhere to look takes no hint, and answers commands so', async () => {
      const port = await freePort()
      await startMosquitto(port)
      const subscriber = await subscribe(port)
      const { lines } = await startDevice(port)
      await subscriber.message(({ text }) => text === 'online')
      await subscriber.client.publishAsync('sightd/update/hint', 'no hint', { qos: 1 })
      await subscriber.client.publishAsync('sightd/porch/request/check_update', '', { qos: 1 })
      const answer = await subscriber.message(({ topic }) => topic === 'sightd/porch/response/check_update')
      expect(v.parse(responseSchema, JSON.parse(answer.text))).toMatchObject({ error: { code: 'turned_off' } })
      expect(lines.filter(({ text }) => text.startsWith('not an update hint'))).toEqual([])
    })
  },
)
