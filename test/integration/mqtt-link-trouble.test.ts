import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { FlakyProxy } from '../support/flaky-proxy.ts'
import { startLink } from '../support/link.ts'
import { findProgram, freePort, startMosquitto } from '../support/mosquitto.ts'
import { startScriptedBroker } from '../support/scripted-broker.ts'
import { subscribe } from '../support/subscriber.ts'
import { tempFolder } from '../support/temp-folder.ts'

const own = (name: string) => `sightd/porch/${name}`
const state = (payload: string, name = 'state') => ({ topic: own(name), payload })
const picture = (payload: string) => ({ ...state(payload, 'snapshot'), contentType: 'image/jpeg' })

describe('states at a new connection', () => {
  /** What came over that connection, up to `online`, which is the last. */
  async function sentOver(broker: Awaited<ReturnType<typeof startScriptedBroker>>, connection: number) {
    await broker.message((message) => message.connection === connection && message.text === 'online')
    return broker.received.filter((message) => message.connection === connection).map(({ text }) => text)
  }

  test('a picture that the broker has is not sent again, other states are', async () => {
    const broker = await startScriptedBroker(() => true)
    const { link, until } = startLink({ url: broker.url })
    link.setState(picture('jpeg'))
    link.setState(state('one'))
    expect(await sentOver(broker, 1)).toEqual(['jpeg', 'one', 'online'])
    broker.end()
    expect(await sentOver(broker, 2)).toEqual(['one', 'online'])
    broker.end()
    await until(() => !link.isConnected)
    link.setState(picture('newer'))
    expect(await sentOver(broker, 3)).toEqual(['newer', 'one', 'online'])
  })

  test('a picture that the broker has not taken yet is', async () => {
    const broker = await startScriptedBroker(({ topic }) => topic !== own('snapshot'))
    const { link } = startLink({ url: broker.url })
    link.setState(picture('jpeg'))
    expect(await sentOver(broker, 1)).toEqual(['jpeg', 'online'])
    broker.end()
    expect(await sentOver(broker, 2)).toEqual(['jpeg', 'online'])
  })

  test('a picture that is acknowledged when there is a newer one does not stand for that', async () => {
    const broker = await startScriptedBroker(({ topic }) => topic !== own('snapshot'))
    const { link, connected } = startLink({ url: broker.url })
    await connected()
    for (const text of ['older', 'newer']) link.setState(picture(text))
    await broker.message(({ text }) => text === 'newer')
    const older = await broker.message(({ text }) => text === 'older')
    older.ack()
    broker.end()
    expect(await sentOver(broker, 2)).toEqual(['newer', 'online'])
  })

  test('someone who has just come up gets all of them, pictures too, and `online` first', async () => {
    const broker = await startScriptedBroker(() => true)
    const { link } = startLink({ url: broker.url })
    link.setState(picture('jpeg'))
    link.setState(state('one'))
    await sentOver(broker, 1)
    link.resendStates()
    await broker.message((message) => message.text === 'one' && broker.received.indexOf(message) > 2)
    expect(broker.received.slice(3).map(({ text }) => text)).toEqual(['online', 'jpeg', 'one'])
  })
})

test('a broker that answers pings but never acknowledges a topic is left, not before the limit', async () => {
  const answerLimitMs = 1500
  const broker = await startScriptedBroker(({ topic }) => topic !== own('state'))
  const { link, events, until } = startLink({ url: broker.url, keepaliveS: 1, answerLimitMs }, { payloads: ['a'] })
  // Events come behind all states: nothing is unanswered then.
  await until(() => events.settled.length === 1)
  const beforeMs = performance.now()
  link.setState(state('one'))
  await until(() => !link.isConnected)
  const tookMs = performance.now() - beforeMs
  expect(tookMs).toBeGreaterThan(answerLimitMs - 20)
  expect(tookMs).toBeLessThan(2 * answerLimitMs)
  expect(broker.counts.pings).toBeGreaterThan(0)
  await until(() => link.problem !== undefined)
  expect(link.problem).toBe('no answer came for 1.5 s or longer')
})

describe.skipIf(findProgram('mosquitto') === undefined)(
  'MqttLink in trouble with a real Mosquitto (skipped where it is not installed)',
  () => {
    async function broker(settings?: string) {
      const port = await freePort()
      const process = await startMosquitto(port, settings)
      return { port, url: `mqtt://127.0.0.1:${port}`, process }
    }

    test('when an ACL is mended no problem is left, and what it forbade is kept there', async () => {
      const acl = join(await tempFolder(), 'acl')
      await writeFile(acl, `topic readwrite ${own('state')}\ntopic read #\n`, { mode: 0o644 })
      const { port, url, process: mosquitto } = await broker(`allow_anonymous true\nacl_file ${acl}\nuser root`)
      const { link, until } = startLink({ url }, { payloads: ['a'] })
      link.setState(state('here', 'info'))
      link.setState(state('running'))
      const refused = `the broker refuses ${['info', 'status', 'event'].map(own).join(', ')}`
      await until(() => link.problem === refused)

      const subscriber = await subscribe(port)
      await writeFile(acl, 'topic readwrite #\n')
      mosquitto.kill('SIGHUP')
      await until(() => link.problem === undefined)
      for (const text of ['here', 'online']) await subscriber.message((message) => message.text === text)
      const later = await subscribe(port)
      await later.fence()
      const kept = later.received.filter(({ isRetained }) => isRetained).map(({ text }) => text)
      expect(kept.sort()).toEqual(['here', 'online', 'running'])
      expect(link.problem).toBe(undefined)
      expect(link.counts.connections).toBe(1)
    })

    test('a slow uplink carries a large state whatever the keepalive, over one connection', async () => {
      const { port } = await broker()
      const subscriber = await subscribe(port)
      const proxy = await FlakyProxy.to(port)
      const { link, connected, line } = startLink({ url: `mqtt://127.0.0.1:${proxy.port}`, keepaliveS: 2 })
      await connected()
      await subscriber.message(({ text }) => text === 'online')
      // It takes 5 s, and a ping behind it as long.
      proxy.throttle(80)
      const large = state('x'.repeat(40_000))
      const beforeMs = performance.now()
      link.setState(large)
      await Promise.race([subscriber.message(({ text }) => text === large.payload), line('trying again')])
      expect(performance.now() - beforeMs).toBeGreaterThan(3500)
      link.setState(state('small'))
      await subscriber.message(({ text }) => text === 'small')
      expect(link.counts.connections).toBe(1)
      expect(link.problem).toBe(undefined)
    })

    test('another client with our id is a problem until a connection has lasted since', async () => {
      const { url } = await broker()
      const goodConnectionMs = 300
      const { link, connected, until } = startLink({ url }, { goodConnectionMs })
      const why = 'another client publishes as this device'
      link.noteRival(why)
      await connected()
      for (let time = 0; time < 2; time++) {
        const beforeMs = performance.now()
        expect(link.problem).toBe(`${why}: two devices with the same id?`)
        await until(() => link.problem === undefined)
        expect(performance.now() - beforeMs).toBeGreaterThan(goodConnectionMs - 20)
        // Once more, on a connection that has lasted already.
        link.noteRival(why)
      }
      expect(link.counts.connections).toBe(1)
    })

    test('two clients with one id wait for so long that neither thinks the other gone', async () => {
      const { url } = await broker()
      const goodConnectionMs = 1500
      const beforeMs = performance.now()
      const links = ['one', 'two'].map((name) => {
        const problems = new Set<string | undefined>()
        const started = startLink({ url }, { goodConnectionMs, onChange: () => problems.add(started.link.problem) })
        started.link.noteRival(name)
        return { ...started, problems }
      })
      await expect
        .poll(() => links.reduce((sum, { link }) => sum + link.counts.connections, 0), { timeout: 20_000 })
        .toBe(6)
      // One wait before each but the first two.
      expect(performance.now() - beforeMs).toBeGreaterThan(4 * 0.4 * goodConnectionMs - 100)
      for (const { problems } of links) expect(problems).not.toContain(undefined)
    })
  },
)
