import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { createServer, Socket } from 'node:net'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { openConnection } from '../../src/mqtt/client.ts'
import { startEmbeddedBroker } from '../../src/mqtt/embedded-broker.ts'
import { Authority } from '../support/certificates.ts'
import { FlakyProxy } from '../support/flaky-proxy.ts'
import { startLink } from '../support/link.ts'
import { findProgram, freePort, startMosquitto } from '../support/mosquitto.ts'
import { subscribe } from '../support/subscriber.ts'
import { tempFolder } from '../support/temp-folder.ts'

const state = (payload: string, name = 'state') => ({ topic: `sightd/porch/${name}`, payload })
const result = { topic: 'sightd/porch/result', payload: 'x'.repeat(1000) }

describe.skipIf(findProgram('mosquitto') === undefined)(
  'MqttLink with a real Mosquitto (skipped where it is not installed)',
  () => {
    async function broker(settings?: string) {
      const port = await freePort()
      const process = await startMosquitto(port, settings)
      return { port, url: `mqtt://127.0.0.1:${port}`, process }
    }

    test('sends states and then `online`, and at the end `offline`, without a last will', async () => {
      const { port, url } = await broker()
      const subscriber = await subscribe(port)
      const { link, connected, end } = startLink({
        url,
        will: { topic: 'sightd/porch/status', payload: 'lost', delayS: 0 },
      })
      link.setState(state('one'))
      await connected()
      await subscriber.message(({ text }) => text === 'online')
      await end()
      await subscriber.message(({ text }) => text === 'offline')
      await subscriber.fence()
      expect(subscriber.received.map(({ text }) => text)).toEqual(['one', 'online', 'offline'])
    })

    test('while the broker is away nothing piles up: the newest state is sent, results are dropped and counted', async () => {
      const port = await freePort()
      const { link, line } = startLink({ url: `mqtt://127.0.0.1:${port}` })
      await line('trying again')
      for (let i = 0; i < 1000; i++) {
        link.setState(state(`${i}`))
        link.sendResult(result)
        link.reply({ topic: 'sightd/porch/response/ping', payload: '{}' })
      }
      await startMosquitto(port)
      const subscriber = await subscribe(port)
      await subscriber.message(({ text }) => text === 'online')
      await subscriber.fence()
      expect(subscriber.received.map(({ text }) => text).filter((text) => text !== '{}')).toEqual(['999', 'online'])
      await expect.poll(() => subscriber.received.filter(({ text }) => text === '{}').length).toBe(64)
      expect(link.counts).toMatchObject({ resultsDropped: 1000, repliesDropped: 1000 - 64 })
    })

    test('a refused login is tried again for ever, said once, and over when it is mended', async () => {
      const { port, url, process } = await broker('allow_anonymous false')
      const { link, lines, line, connected } = startLink({ url })
      await line('trying again')
      let tries = 0
      process.stderr?.on('data', (chunk) => {
        tries += `${chunk}`.split('not authorised').length - 1
      })
      await expect.poll(() => tries, { timeout: 10_000 }).toBeGreaterThan(8)
      expect(lines).toHaveLength(1)
      expect(link.problem).toContain('Not authorized')
      process.kill('SIGKILL')
      await startMosquitto(port)
      await connected()
      expect(link.problem).toBe(undefined)
    })

    test('a broker that goes and comes back finds the same session', async () => {
      const { port, url, process } = await broker()
      const { link, line, until } = startLink({ url })
      await until(() => link.isConnected)
      process.kill('SIGKILL')
      await line('trying again')
      expect(link.isConnected).toBe(false)
      await startMosquitto(port)
      await until(() => link.counts.connections === 2)
    })

    test('at most as many messages in flight as the broker takes, none longer than it takes', async () => {
      const { port, url } = await broker('allow_anonymous true\nmax_inflight_messages 5\nmax_packet_size 1024')
      const subscriber = await subscribe(port)
      const payloads = Array.from({ length: 300 }, (_, i) => (i === 100 ? 'x'.repeat(1024) : `${i}`))
      const { link, events, lines, until } = startLink({ url }, { payloads })
      link.setState(state('y'.repeat(2000)))
      await until(() => events.settled.length === 300)
      await subscriber.fence()
      expect(events.settled.filter(({ delivery }) => delivery !== 'done')).toEqual([
        { seq: 100, delivery: 'too_large' },
      ])
      const arrived = subscriber.received.filter(({ topic }) => topic.endsWith('/event')).map(({ text }) => text)
      expect(arrived).toEqual(payloads.filter((_, i) => i !== 100))
      expect(link.isConnected).toBe(true)
      expect(link.problem).toBe('the broker refuses sightd/porch/state, sightd/porch/event')
      expect(lines.filter(({ text }) => text.includes('refuses'))).toHaveLength(2)
      expect(link.counts.connections).toBe(1)
    })

    test('a topic that an ACL forbids is said once, the rest goes on, and events wait until it is allowed', async () => {
      const allowed = ['status', 'state'].map((name) => `topic readwrite sightd/porch/${name}\n`).join('')
      const acl = await fileWith(`${allowed}topic read #\n`)
      const { port, url, process: mosquitto } = await broker(`allow_anonymous true\nacl_file ${acl}\nuser root`)
      const subscriber = await subscribe(port)
      const { link, lines, line, until, events } = startLink({ url }, { payloads: ['a', 'b', 'c'] })
      link.setState(state('one'))
      await line('refuses a topic')
      await subscriber.message(({ text }) => text === 'online')
      expect(lines.filter(({ text }) => text.includes('refuses'))).toMatchObject([
        { topic: 'sightd/porch/event', why: expect.stringContaining('Not authorized') },
      ])
      expect(link.problem).toBe('the broker refuses sightd/porch/event')
      expect(link.isConnected).toBe(true)
      expect(events.settled).toEqual([])

      await writeFile(acl, `${allowed}topic readwrite sightd/porch/event\ntopic read #\n`)
      mosquitto.kill('SIGHUP')
      await until(() => events.settled.length === 3)
      expect(events.settled.map(({ delivery }) => delivery)).toEqual(['done', 'done', 'done'])
      expect(link.counts.connections).toBe(1)
    })

    test('a link that goes silent is noticed within 1.5 keep-alives, also while we send', async () => {
      const { port } = await broker()
      const proxy = await FlakyProxy.to(port)
      const { link, connected, until } = startLink({ url: `mqtt://127.0.0.1:${proxy.port}`, keepaliveS: 2 })
      await connected()
      const sending = setInterval(() => link.sendResult(result), 50)
      try {
        proxy.freeze()
        const frozenMs = performance.now()
        await until(() => !link.isConnected)
        const seconds = (performance.now() - frozenMs) / 1000
        expect(seconds).toBeLessThan(3.5)
        expect(link.problem).toMatch(/keep.?alive/i)
        await connected()
      } finally {
        clearInterval(sending)
      }
    })

    test('results are dropped, not piled up, when the network takes them slower than they come', async () => {
      const { port } = await broker()
      const proxy = await FlakyProxy.to(port)
      const { link, connected } = startLink({ url: `mqtt://127.0.0.1:${proxy.port}` })
      await connected()
      proxy.freeze()
      const before = process.memoryUsage().rss
      const large = { topic: 'sightd/porch/result', payload: 'x'.repeat(10_000) }
      for (let i = 0; i < 10_000; i++) {
        link.sendResult(large)
        if (i % 100 === 0) await new Promise((resolve) => setImmediate(resolve))
      }
      // 100 MB were offered; kernel buffers and our bound take a few.
      expect(link.counts.resultsDropped).toBeGreaterThan(8000)
      expect((process.memoryUsage().rss - before) / 1024 / 1024).toBeLessThan(60)
    })

    test('a request that is sent while we are away waits in our session', async () => {
      const { port, url } = await broker()
      const settings = { url, sessionExpiryS: 60 }
      const before = startLink(settings)
      await before.connected()
      await before.end()
      const { client } = await subscribe(port)
      await client.publishAsync('sightd/porch/request/ping', 'late', { qos: 1 })
      const after = startLink(settings)
      await after.until(() => after.received.length === 1)
      expect(after.received[0]).toMatchObject({ topic: 'sightd/porch/request/ping', isRetained: false })
    })

    test('no more than the broker takes, and never more than 20, are in flight', async () => {
      for (const [settings, most] of [
        ['max_inflight_messages 5', 5],
        ['max_inflight_messages 0', 20],
      ] as const) {
        const { port } = await broker(`allow_anonymous true\n${settings}`)
        const proxy = await FlakyProxy.to(port)
        const connection = await openConnection({ url: `mqtt://127.0.0.1:${proxy.port}`, clientId: 'x' })
        proxy.freeze()
        let sent = 0
        for (; connection.hasRoom && sent < 100; sent++) void connection.publish(state(`${sent}`))
        expect(sent).toBe(most)
        connection.destroy('done')
        await connection.closed
      }
    })

    test('a broker that answers nothing is left, a network that is only slow is not', async () => {
      const { port } = await broker()
      const proxy = await FlakyProxy.to(port)
      const settings = { url: `mqtt://127.0.0.1:${proxy.port}`, answerLimitMs: 400 }
      const silent = await openConnection({ ...settings, clientId: 'silent' })
      proxy.freeze()
      expect(await silent.publish(state('x'))).toEqual({ delivery: 'lost' })
      expect((await silent.closed).message).toContain('no answer came')

      const slow = await openConnection({ ...settings, clientId: 'slow' })
      proxy.throttle(20_000)
      // More than the sockets in between hold, so that it takes longer than the limit to leave ours.
      const large = Buffer.alloc(12 * 1024 * 1024)
      const beforeMs = performance.now()
      expect(await slow.publish({ topic: 'sightd/porch/snapshot', payload: large })).toEqual({ delivery: 'done' })
      expect(performance.now() - beforeMs).toBeGreaterThan(800)
      await slow.leave()
    })

    test('lets no message wait for the acknowledgement of the one before it', async () => {
      const noDelay = vi.spyOn(Socket.prototype, 'setNoDelay')
      onTestFinished(() => noDelay.mockRestore())
      const { connected } = startLink({ url: (await broker()).url })
      await connected()
      expect(noDelay).toHaveBeenCalledExactlyOnceWith(true)
    })

    test('speaks over WebSockets', async () => {
      const port = await freePort()
      const wsPort = await freePort()
      await startMosquitto(port, `allow_anonymous true\nlistener ${wsPort} 127.0.0.1\nprotocol websockets`)
      const subscriber = await subscribe(port)
      const { connected } = startLink({ url: `ws://127.0.0.1:${wsPort}` })
      await connected()
      await subscriber.message(({ text }) => text === 'online')
    })

    test('a stop is quick while the broker does not answer', async () => {
      const { port } = await broker()
      const proxy = await FlakyProxy.to(port)
      const silent = startLink({ url: `mqtt://127.0.0.1:${proxy.port}` })
      await silent.connected()
      proxy.freeze()
      const beforeMs = performance.now()
      await silent.end()
      expect(performance.now() - beforeMs).toBeLessThan(2500)
    })
  },
)

test('a session that another client takes over is named, and not fought for', async () => {
  // Mosquitto 2.0.11 closes without a word, so these bytes speak for brokers that say it: CONNACK, DISCONNECT 0x8e.
  const server = createServer((socket) => socket.once('data', () => socket.end(Buffer.from('2003000000e0018e', 'hex'))))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.close()
  })
  const address = server.address()
  const { link, line, lines } = startLink({ url: `mqtt://127.0.0.1:${typeof address === 'object' && address?.port}` })
  await line('another client has our id')
  expect(link.problem).toContain('Session taken over: two devices with the same id?')
  expect(lines.filter(({ text }) => text.includes('connected'))).toHaveLength(0)
})

describe('MqttLink with a broker of MQTT 3.1.1', () => {
  test('leaves when a message comes that is longer than anyone has to send us', async () => {
    await using broker = await startEmbeddedBroker(await freePort())
    const { client } = await subscribe(broker.port)
    const { connected, received, lines, until } = startLink({ url: broker.url })
    await connected()
    await client.publishAsync('sightd/porch/request/ping', Buffer.alloc(4 * 1024 * 1024), { qos: 0 })
    await until(() => lines.some((line) => `${line['problem']}`.includes('more than 262144 bytes')))
    expect(received).toEqual([])
    await connected()
  })

  test('falls back to it', async () => {
    await using broker = await startEmbeddedBroker(await freePort())
    const subscriber = await subscribe(broker.port)
    const { lines, connected, end } = startLink({ url: broker.url })
    await connected()
    await subscriber.message(({ text }) => text === 'online')
    expect(lines).toMatchObject([{ text: 'broker connected', mqtt: 4 }])
    await end()
  })
})

describe.skipIf(findProgram('mosquitto') === undefined || findProgram('openssl') === undefined)(
  'MqttLink over TLS (skipped without mosquitto and openssl)',
  () => {
    async function secure(certificate: { key: string; cert: string }, authority: Authority, settings = '') {
      const port = await freePort()
      await startMosquitto(
        port,
        `allow_anonymous true\nuser root\nkeyfile ${certificate.key}\ncertfile ${certificate.cert}\ncafile ${authority.path}\n${settings}`,
      )
      return `mqtts://127.0.0.1:${port}`
    }

    test('names a wrong authority, an expired certificate and a wrong host; goes on trying', async () => {
      const [authority, other] = [await Authority.create(), await Authority.create()]
      const ca = await authority.read()
      const cases = [
        { certificate: await other.issue('wrong-authority'), says: /from an authority that is not trusted/ },
        { certificate: await authority.issue('expired', { isExpired: true }), says: /has expired/ },
        {
          certificate: await authority.issue('wrong-host', { altName: 'DNS:elsewhere.example' }),
          says: /is for another name/,
        },
      ]
      for (const { certificate, says } of cases) {
        const { link, lines, line, end } = startLink({ url: await secure(certificate, authority), ca })
        await line('trying again')
        expect(link.problem).toMatch(says)
        expect(lines[0]?.['problem']).toMatch(says)
        await end()
      }
    })

    test('logs in with a certificate of its own where the broker wants one, and is told when it has none', async () => {
      const authority = await Authority.create()
      const ca = await authority.read()
      const url = await secure(await authority.issue('broker'), authority, 'require_certificate true')
      const { key, cert } = await authority.issue('porch')
      const known = startLink({ url, ca, key: await readFile(key), cert: await readFile(cert) })
      await known.connected()
      await known.end()
      const unknown = startLink({ url, ca })
      await unknown.line('trying again')
      expect(unknown.link.problem).toMatch(/certificate/i)
    })
  },
)

async function fileWith(text: string): Promise<string> {
  const path = join(await tempFolder(), 'file')
  await writeFile(path, text, { mode: 0o644 })
  return path
}
