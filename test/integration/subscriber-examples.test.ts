import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { connectAsync } from 'mqtt'
import * as v from 'valibot'
import { describe, expect, onTestFinished, test } from 'vitest'
import { parse } from 'yaml'
import { RunningSightd } from '../support/daemon.ts'
import { findProgram, freePort, startMosquitto } from '../support/mosquitto.ts'
import { subscribe } from '../support/subscriber.ts'
import { tempFolder } from '../support/temp-folder.ts'
import { blocks, messages, section } from '../support/topics-page.ts'

/** The examples of docs/mqtt-topics.md, run as they stand there, against a real broker. */

const demo = fileURLToPath(new URL('../../deploy/demo', import.meta.url))
const jpeg = Buffer.from([0xff, 0xd8, 0xff, 0xe0, 0, 10, 13, 0xff, 0xd9])

const lines = blocks('sh', section('## Examples')).flatMap((block) => block.trimEnd().split(/\n(?! )/))
const events = blocks('json', section('## event')).map((block) => JSON.stringify(JSON.parse(block)))
const current = JSON.stringify(JSON.parse(blocks('json', section('## current'))[0] ?? ''))

/** A message of an event with other things in it, now or as long ago as is said. */
function eventWith(other: object, agoMs = 0): string {
  const ts = new Date(Date.now() - agoMs).toISOString()
  return JSON.stringify({ ...parseObject(events[0] ?? ''), ts, ...other })
}

/** What happens around a door, and whether someone is to be told of it. */
const aroundTheDoor: readonly { readonly event: string; readonly tells?: string; readonly topic?: string }[] = [
  { event: eventWith({ event_id: 'a', seq: 0, zones: [], entered_zones: [] }) },
  { event: eventWith({ event_id: 'b', seq: 0 }), tells: 'b' },
  { event: eventWith({ event_id: 'a', seq: 1, type: 'update', entered_zones: ['lawn', 'door'] }), tells: 'a' },
  { event: eventWith({ event_id: 'a', seq: 1, type: 'update', entered_zones: ['lawn', 'door'], replayed: true }) },
  { event: eventWith({ event_id: 'a', seq: 2, type: 'update', zones: ['lawn'], entered_zones: ['lawn', 'door'] }) },
  { event: eventWith({ event_id: 'b', seq: 1, type: 'end' }) },
  { event: eventWith({ event_id: 'c', seq: 0, label: 'cat' }) },
  { event: eventWith({ event_id: 'd', seq: 0, zones: ['lawn'], entered_zones: ['lawn'] }) },
  { event: eventWith({ event_id: 'e', seq: 0, replayed: true }, 70_000) },
  { event: eventWith({ event_id: 'f', seq: 0, replayed: true }, 20_000), tells: 'f' },
  { event: eventWith({ event_id: 'g', seq: 3, type: 'end' }), tells: 'g' },
]
const toldAtTheDoor = aroundTheDoor.flatMap(({ event, tells }) =>
  tells === undefined ? [] : [parseObject(event)['ts']],
)

/** The command line of the page that has this in it. */
function lineWith(part: string): string {
  const [line, ...others] = lines.filter((text) => text.includes(part))
  if (line === undefined || others.length > 0) throw new Error(`not one command line of the page has ${part}`)
  return line
}

async function startBroker(settings?: string, onPort?: number) {
  const port = onPort ?? (await freePort())
  const broker = await startMosquitto(port, settings)
  let subscriptions = 0
  const waiting = new Set<() => void>()
  if (broker.stderr === null) throw new Error('no log')
  createInterface(broker.stderr).on('line', (line) => {
    if (line.includes('Sending SUBACK')) subscriptions++
    for (const wake of waiting) wake()
  })
  return {
    port,
    /** Resolves when so many subscriptions have been made, or at once when they have. */
    async subscribed(count: number): Promise<void> {
      while (subscriptions < count) await new Promise<void>((resolve) => waiting.add(resolve))
    },
  }
}

/** A process with all that it starts, killed when the test is over. */
class Running {
  readonly child: ChildProcess
  output = ''
  #wake = () => {}

  constructor(program: string, args: readonly string[], cwd: string) {
    this.child = spawn(program, args, { cwd, stdio: ['ignore', 'pipe', 'inherit'], detached: true })
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.output += text
      this.#wake()
    })
    onTestFinished(() => this.kill())
  }

  /** Runs a line of the page in a shell, with the broker on `port`. */
  static line(line: string, port: number, cwd: string): Running {
    return new Running('sh', ['-c', line.replaceAll('-h 192.168.1.10', `-h 127.0.0.1 -p ${port}`)], cwd)
  }

  async printed(part: string): Promise<void> {
    while (!this.output.includes(part)) await new Promise<void>((resolve) => (this.#wake = resolve))
  }

  async ended(): Promise<number | null> {
    const [code] = await once(this.child, 'close')
    return code
  }

  kill(): void {
    const { pid, exitCode, signalCode } = this.child
    if (pid !== undefined && exitCode === null && signalCode === null) process.kill(-pid, 'SIGKILL')
  }
}

async function startDaemon(port: number, settings = ''): Promise<{ sightd: RunningSightd; configPath: string }> {
  const configPath = join(await tempFolder(), 'config.yaml')
  await writeFile(
    configPath,
    `id: porch
name: Porch
camera: { source: replay, path: ${demo} }
events: { zones: { door: [[0.1, 0.5], [0.4, 0.5], [0.4, 1], [0.1, 1]] } }
${settings.includes('mqtt:') ? '' : `mqtt: { url: 'mqtt://127.0.0.1:${port}' }`}
${settings}
`,
  )
  const sightd = new RunningSightd(['run', '--config', configPath])
  await sightd.line(({ msg }) => msg === 'sees')
  return { sightd, configPath }
}

const has = (...programs: string[]) => programs.every((name) => findProgram(name) !== undefined)

describe.skipIf(!has('mosquitto', 'mosquitto_sub'))(
  'with a real Mosquitto and its clients (skipped where they are not installed)',
  () => {
    test('everything but pictures', async () => {
      const { port } = await startBroker()
      const { client } = await subscribe(port)
      await client.publishAsync('sightd/porch/snapshot', jpeg, { retain: true })
      await client.publishAsync('sightd/porch/event/snapshot', jpeg, { retain: true })
      await client.publishAsync('sightd/porch/current', current, { retain: true, qos: 1 })
      const all = Running.line(lineWith("-T 'sightd/+/snapshot'"), port, await tempFolder())
      await all.printed(`sightd/porch/current ${current}\n`)
      await client.publishAsync('sightd/porch/snapshot', jpeg)
      await client.publishAsync('sightd/porch/event', events[0] ?? '', { qos: 1 })
      await all.printed(`sightd/porch/event ${events[0]}\n`)
      expect(all.output.trimEnd().split('\n')).toHaveLength(2)
    })

    test.skipIf(!has('jq'))('people as they come (skipped where jq is not installed)', async () => {
      const { port, subscribed } = await startBroker()
      const { client } = await subscribe(port)
      const people = Running.line(lineWith('.type == "new"'), port, await tempFolder())
      await subscribed(2)
      for (const event of events) {
        await client.publishAsync('sightd/porch/event', event.replace('person', 'cat'), { qos: 1 })
        await client.publishAsync('sightd/porch/event', event, { qos: 1 })
      }
      await client.publishAsync('sightd/yard/event', events[0] ?? '', { qos: 1 })
      const line = '2026-11-25T08:00:03.123Z 0.8127\n'
      await people.printed(line + line)
      expect(people.output).toBe(line + line)
    })

    test.skipIf(!has('jq'))('a person at the door, once (skipped where jq is not installed)', async () => {
      const { port, subscribed } = await startBroker()
      const { client } = await subscribe(port)
      const people = Running.line(lineWith('entered_zones'), port, await tempFolder())
      await subscribed(2)
      for (const { event } of aroundTheDoor) await client.publishAsync('sightd/porch/event', event, { qos: 1 })
      const other = eventWith({ event_id: 'a', seq: 0 })
      await client.publishAsync('sightd/yard/event', other, { qos: 1 })
      await people.printed('sightd/yard/event')
      expect(people.output.trimEnd().split('\n')).toEqual([
        ...toldAtTheDoor.map((ts) => `${ts} sightd/porch/event: a person at the door`),
        `${parseObject(other)['ts']} sightd/yard/event: a person at the door`,
      ])
    })

    test('an archive has what came while nobody wrote it', async () => {
      const { port, subscribed } = await startBroker()
      const { client } = await subscribe(port)
      const folder = await tempFolder()
      const first = Running.line(lineWith('events.jsonl'), port, folder)
      await subscribed(2)
      first.kill()
      await first.ended()
      for (const event of events) await client.publishAsync('sightd/porch/event', event, { qos: 1 })
      const second = Running.line(`${lineWith('events.jsonl').replace('>>', '-C 3 >>')}`, port, folder)
      expect(await second.ended()).toBe(0)
      expect(await readFile(join(folder, 'events.jsonl'), 'utf8')).toBe(`${events.join('\n')}\n`)
    })

    test.skipIf(!has('jq'))('how many people are at the door (skipped where jq is not installed)', async () => {
      const { port } = await startBroker()
      const { client } = await subscribe(port)
      await client.publishAsync('sightd/porch/current', current, { retain: true, qos: 1 })
      const people = Running.line(lineWith('.zones.door'), port, await tempFolder())
      expect(await people.ended()).toBe(0)
      expect(people.output).toBe('1\n')
    })

    test('the kept picture, byte for byte', async () => {
      const { port } = await startBroker()
      const { client } = await subscribe(port)
      await client.publishAsync('sightd/porch/snapshot', jpeg, { retain: true, qos: 1 })
      const folder = await tempFolder()
      expect(await Running.line(lineWith('porch.jpg'), port, folder).ended()).toBe(0)
      expect(await readFile(join(folder, 'porch.jpg'))).toEqual(jpeg)
    })

    test('a command and its answer, a property, and a restart', async () => {
      const { port } = await startBroker()
      await startDaemon(port)
      const subscriber = await subscribe(port)
      const folder = await tempFolder()
      const asking = Running.line(lineWith('mosquitto_rr'), port, folder)
      expect(await asking.ended()).toBe(0)
      expect(JSON.parse(asking.output)).toMatchObject({ status: 'ok', data: { overlay: {} } })
      const answers = async (line: string, topic: string) => {
        const from = subscriber.received.length
        expect(await Running.line(line, port, folder).ended()).toBe(0)
        return JSON.parse((await subscriber.message((message) => message.topic === topic, from)).text)
      }
      expect(await answers(lineWith('-m 0.6'), 'sightd/porch/response/set')).toMatchObject({ data: { value: 0.6 } })
      expect(await answers(lineWith('threshold/set -n'), 'sightd/porch/response/set')).toMatchObject({
        data: { value: null },
      })
      expect(await answers(lineWith('request/restart'), 'sightd/porch/response/restart')).toMatchObject({
        status: 'ok',
      })
    })
  },
)

describe.skipIf(!has('mosquitto'))('with a real Mosquitto (skipped where it is not installed)', () => {
  const exchanges = [...messages(section('## Commands')), ...messages(section('## Properties'))]
  const pairs = exchanges.flatMap((request, i) => {
    const response = exchanges[i + 1]
    return i % 2 === 0 && response !== undefined ? [{ request, response }] : []
  })
  const isAllowed = ({ response }: (typeof pairs)[number]) =>
    response.topic.endsWith('/snapshot') && response.payload.includes('"ok"')
  /** Where a repository of models is configured; update-topics.test.ts asks these. */
  const wantsModels = ({ response }: (typeof pairs)[number]) =>
    response.topic.endsWith('_update') && !response.payload.includes('"turned_off"')

  /** Publishes the requests, one after the other, and holds each answer against the page's. */
  async function ask(port: number, asked: typeof pairs, configPath: string): Promise<void> {
    const subscriber = await subscribe(port, { protocolVersion: 5 })
    for (const { request, response } of asked) {
      const from = subscriber.received.length
      const soon = new Date(Date.now() + 60_000).toISOString()
      const payload = request.payload.replace(/"expires":"[^"]*"/, `"expires":"${soon}"`)
      await subscriber.client.publishAsync(request.topic, payload, { qos: 1 })
      const { text, qos } = await subscriber.message(({ topic }) => topic === response.topic, from)
      expect(qos).toBe(1)
      const answer = parseObject(text.replaceAll(configPath, '/etc/sightd/config.yaml'))
      const expected = parseObject(response.payload)
      // Versions, boards and pictures are others here.
      const isOfItsOwn = /\/(info|snapshot)$/.test(response.topic)
      if (isOfItsOwn) {
        expect({ ...answer, data: keysOf(answer['data']) }).toEqual({ ...expected, data: keysOf(expected['data']) })
      } else expect(answer).toEqual(expected)
      if (request.topic.endsWith('/restart')) await subscriber.message(({ text }) => text === 'online', from)
    }
  }

  test('each request on the page is answered as the page says', async () => {
    const { port } = await startBroker()
    const { configPath } = await startDaemon(port)
    expect(pairs.every(({ response }) => response.topic.includes('/response/'))).toBe(true)
    await ask(
      port,
      pairs.filter((pair) => !isAllowed(pair) && !wantsModels(pair)),
      configPath,
    )
  })

  test('so is one for a picture where pictures are allowed', async () => {
    const { port } = await startBroker()
    const { configPath } = await startDaemon(port, 'pictures: { on_request: true }')
    const subscriber = await subscribe(port)
    await ask(port, pairs.filter(isAllowed), configPath)
    const { bytes } = await subscriber.message(
      ({ topic, bytes }) => topic === 'sightd/porch/snapshot' && bytes.length > 0,
    )
    expect(bytes.subarray(0, 3)).toEqual(Buffer.from([0xff, 0xd8, 0xff]))
  })

  test('the ACL lets the device do all it does, a viewer look on, an operator command', async () => {
    const aclPath = join(await tempFolder(), 'acl')
    await writeFile(aclPath, blocks('acl')[0] ?? '')
    const { port } = await startBroker(`allow_anonymous true\nacl_file ${aclPath}\nuser root`)
    const login = async (username: string) => {
      const client = await connectAsync(`mqtt://127.0.0.1:${port}`, { protocolVersion: 5, username })
      onTestFinished(() => {
        client.end(true)
      })
      const topics: string[] = []
      const waiting = new Set<() => void>()
      client.on('message', (topic, payload) => {
        if (payload.length > 0) topics.push(topic)
        for (const wake of waiting) wake()
      })
      await client.subscribeAsync(['sightd/#', 'reply/#'], { qos: 1 })
      const got = async (topic: string) => {
        while (!topics.includes(topic)) await new Promise<void>((resolve) => waiting.add(resolve))
      }
      return { client, topics, got }
    }
    const viewer = await login('viewer')
    const operator = await login('operator')
    const { sightd } = await startDaemon(
      port,
      `mqtt: { url: 'mqtt://127.0.0.1:${port}', username: porch }\npictures: { on_request: true, of_events: true }`,
    )
    await operator.client.publishAsync('sightd/porch/request/snapshot', '{}', {
      qos: 1,
      properties: { responseTopic: 'reply/me' },
    })
    await operator.client.publishAsync('sightd/porch/max_fps/set', '20', { qos: 1 })
    for (const topic of [
      'sightd/porch/snapshot',
      'sightd/porch/event/snapshot',
      'reply/me',
      'sightd/porch/response/set',
    ])
      await operator.got(topic)
    for (const topic of ['status', 'info', 'state', 'current', 'event', 'result', 'update'])
      await viewer.got(`sightd/porch/${topic}`)
    await viewer.got('sightd/porch/response/snapshot')
    expect(viewer.topics.filter((topic) => /snapshot$/.test(topic))).toEqual([
      'sightd/porch/request/snapshot',
      'sightd/porch/response/snapshot',
    ])
    const refused = { code: 135 }
    await expect(viewer.client.publishAsync('sightd/porch/request/ping', '', { qos: 1 })).rejects.toMatchObject(refused)
    await expect(operator.client.publishAsync('sightd/porch/status', '', { qos: 1 })).rejects.toMatchObject(refused)
    const hint = ['sightd/update/hint', '{"timestamp":1}', { qos: 1, retain: true }] as const
    await expect(viewer.client.publishAsync(...hint)).rejects.toMatchObject(refused)
    await operator.client.publishAsync(...hint)
    await (await login('porch')).got('sightd/update/hint')
    const homeAssistant = await login('homeassistant')
    await homeAssistant.client.publishAsync('sightd/porch/request/install_update', '{}', { qos: 1 })
    await viewer.got('sightd/porch/response/install_update')
    expect(sightd.log.filter(({ msg }) => msg.startsWith('the broker refuses'))).toEqual([])
  })

  const hasPaho = spawnSync('python3', ['-c', 'import paho.mqtt.enums']).status === 0

  describe.skipIf(!hasPaho)('the Python script (skipped where paho-mqtt 2 is not installed)', () => {
    async function prepare(port: number) {
      const folder = await tempFolder()
      await writeFile(join(folder, 'events.py'), blocks('python')[0] ?? '')
      return () => new Running('python3', ['events.py', '127.0.0.1', String(port)], folder)
    }

    test('prints each message once, also what came while it did not run', async () => {
      const { port, subscribed } = await startBroker()
      const { client } = await subscribe(port)
      const start = await prepare(port)
      const publish = (event = '') => client.publishAsync('sightd/porch/event', event, { qos: 1 })
      const [begins, changes] = [eventWith({}), eventWith({ seq: 1, type: 'update' })]
      const [begun, changed] = [begins, changes].map((event) => parseObject(event)['ts'])
      const first = start()
      await subscribed(2)
      await publish(begins)
      await publish(begins.replace('"replayed":false', '"replayed":true'))
      await publish(changes)
      await first.printed('person update\n')
      expect(first.output).toBe(
        `${begun} porch: person new\n${begun} porch: a person at the door\n${changed} porch: person update\n`,
      )
      first.kill()
      await first.ended()
      await publish(events[2])
      const second = start()
      await second.printed('2026-11-25T08:00:10.623Z porch: person end (late)\n')
    })

    test('tells of a person at the door once, and not of one long ago', async () => {
      const { port, subscribed } = await startBroker()
      const { client } = await subscribe(port)
      const script = (await prepare(port))()
      await subscribed(2)
      const queued = eventWith({ event_id: 'q', seq: 0 }, 70_000)
      for (const event of [queued, ...aroundTheDoor.map(({ event }) => event)])
        await client.publishAsync('sightd/porch/event', event, { qos: 1 })
      await client.publishAsync('sightd/porch/event', eventWith({ event_id: 'z', label: 'last' }), { qos: 1 })
      await script.printed('last new\n')
      const alarms = script.output.split('\n').filter((line) => line.endsWith('a person at the door'))
      expect(alarms).toEqual(toldAtTheDoor.map((ts) => `${ts} porch: a person at the door`))
    })

    test('waits for a broker that is not there yet', async () => {
      const port = await freePort()
      const script = (await prepare(port))()
      // So long that it has tried: a port on which nothing listens refuses at once.
      await delay(1500)
      expect(script.child.exitCode).toBeNull()
      const { subscribed } = await startBroker(undefined, port)
      await subscribed(1)
      const { client } = await subscribe(port)
      await client.publishAsync('sightd/porch/event', eventWith({}), { qos: 1 })
      await script.printed('person new\n')
    })
  })

  test.skipIf(!has('node-red'))(
    'the Node-RED flow shows new events (skipped where node-red is not installed)',
    async () => {
      const { port, subscribed } = await startBroker()
      const { client } = await subscribe(port)
      const folder = await tempFolder()
      const flow = (blocks('json', section('### Node-RED'))[0] ?? '')
        .replace('192.168.1.10', '127.0.0.1')
        .replace('"1883"', `"${port}"`)
        .replace('"console": false', '"console": true')
      await writeFile(join(folder, 'flow.json'), flow)
      await writeFile(join(folder, 'settings.js'), 'module.exports = { uiHost: "127.0.0.1" }\n')
      const uiPort = String(await freePort())
      const nodeRed = new Running(
        'node-red',
        ['--userDir', folder, '--settings', join(folder, 'settings.js'), '--port', uiPort, join(folder, 'flow.json')],
        folder,
      )
      await subscribed(2)
      for (const event of [...events.toReversed(), events[0]?.replace('person', 'cat') ?? ''])
        await client.publishAsync('sightd/porch/event', event, { qos: 1 })
      await nodeRed.printed("label: 'cat'")
      expect(nodeRed.output.match(/\[debug:came into view\]/g)).toHaveLength(2)
      expect(nodeRed.output).toContain("type: 'new'")
      expect(nodeRed.output).not.toMatch(/type: '(update|end)'/)
    },
  )
})

const hasJinja = spawnSync('python3', ['-c', 'import jinja2']).status === 0

describe("Home Assistant's automation", () => {
  const configuration = v.parse(
    v.strictObject({
      input_text: v.record(v.string(), v.strictObject({ name: v.string(), max: v.pipe(v.number(), v.maxValue(255)) })),
      automation: v.strictTuple([
        v.strictObject({
          alias: v.string(),
          mode: v.literal('queued'),
          triggers: v.strictTuple([
            v.strictObject({ trigger: v.literal('mqtt'), topic: v.literal('sightd/porch/event'), qos: v.literal(1) }),
          ]),
          conditions: v.strictTuple([v.strictObject({ condition: v.literal('template'), value_template: v.string() })]),
          actions: v.strictTuple([
            v.strictObject({
              action: v.literal('input_text.set_value'),
              target: v.strictObject({ entity_id: v.string() }),
              data: v.strictObject({ value: v.string() }),
            }),
            v.strictObject({ action: v.literal('notify.notify'), data: v.strictObject({ message: v.string() }) }),
          ]),
        }),
      ]),
    }),
    parse(blocks('yaml', section('## Examples'))[0] ?? ''),
  )
  const { conditions, actions } = configuration.automation[0]

  test('remembers in the helper that it makes', () => {
    expect(Object.keys(configuration.input_text).map((name) => `input_text.${name}`)).toEqual([
      actions[0].target.entity_id,
    ])
  })

  test.skipIf(!hasJinja)('runs once for each event (skipped where python3 has no jinja2)', () => {
    const { stdout, stderr } = spawnSync('python3', ['-c', automationRunner], {
      input: JSON.stringify({
        entity: actions[0].target.entity_id,
        condition: conditions[0].value_template,
        value: actions[0].data.value,
        events: [...aroundTheDoor.map(({ event }) => event), ...Array.from({ length: 30 }, () => eventWith({}))],
      }),
      encoding: 'utf8',
    })
    expect(stderr).toBe('')
    const { told, state } = v.parse(v.object({ told: v.array(v.string()), state: v.string() }), JSON.parse(stdout))
    expect(told).toEqual([...aroundTheDoor.flatMap(({ tells = [] }) => tells), '1795593603.123-7f3a1c'])
    expect(state).toBe('1795593603.123-7f3a1c g f a b unknown')
  })
})

/** What Home Assistant does with a template condition and the value of the helper, with its words for time and states. */
const automationRunner = `
import json, sys
from datetime import datetime, timedelta, timezone
from jinja2 import StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
job = json.load(sys.stdin)
environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined)
states = {job['entity']: 'unknown'}
told = []
environment.globals.update(
    states=lambda entity: states[entity],
    now=lambda: datetime.now(timezone.utc),
    timedelta=timedelta,
    as_datetime=lambda text: datetime.strptime(text, '%Y-%m-%dT%H:%M:%S.%f%z'),
)
for payload in job['events']:
    event = json.loads(payload)
    render = lambda template: environment.from_string(template).render(trigger={'payload_json': event}).strip()
    if render(job['condition']) == 'True':
        states[job['entity']] = render(job['value'])
        told.append(event['event_id'])
json.dump({'told': told, 'state': states[job['entity']]}, sys.stdout)
`

test('the Node-RED flow leads from the topic of events over their type to the sidebar', () => {
  const node = v.looseObject({ id: v.string(), type: v.string(), wires: v.optional(v.array(v.array(v.string()))) })
  const nodes = v.parse(v.array(node), JSON.parse(blocks('json', section('### Node-RED'))[0] ?? ''))
  const byId = new Map(nodes.map((one) => [one.id, one]))
  expect(byId.size).toBe(nodes.length)
  const [tab, broker] = nodes
  expect([tab?.type, broker?.type]).toEqual(['tab', 'mqtt-broker'])
  const way: typeof nodes = []
  for (
    let at = nodes.find(({ type }) => type === 'mqtt in');
    at !== undefined;
    at = byId.get(at.wires?.[0]?.[0] ?? '')
  ) {
    expect(at).toMatchObject({ z: tab?.id })
    way.push(at)
  }
  expect(way).toMatchObject([
    { type: 'mqtt in', topic: 'sightd/+/event', qos: '1', datatype: 'utf8', broker: broker?.id },
    { type: 'json', property: 'payload', action: 'obj' },
    {
      type: 'switch',
      property: 'payload.type',
      propertyType: 'msg',
      outputs: 1,
      rules: [{ t: 'eq', v: 'new', vt: 'str' }],
    },
    { type: 'debug', active: true, tosidebar: true, complete: 'payload', targetType: 'msg' },
  ])
  expect(way.length + 2).toBe(nodes.length)
})

function parseObject(text: string) {
  return v.parse(v.record(v.string(), v.unknown()), JSON.parse(text))
}

function keysOf(value: unknown): unknown {
  return value === null ? null : Object.keys(v.parse(v.looseObject({}), value)).sort()
}
