import { pbkdf2Sync } from 'node:crypto'
import { on, once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { connectAsync } from 'mqtt'
import { describe, expect, onTestFinished, test } from 'vitest'
import { Authority } from '../support/certificates.ts'
import { RunningCommand, terminalProgram } from '../support/command.ts'
import { runSightd } from '../support/daemon.ts'
import { findProgram, freePort, startMosquitto } from '../support/mosquitto.ts'
import { saidCurrent, saidEvent, saidInfo, saidMetrics, saidState } from '../support/said.ts'
import { listen, startStrictBroker } from '../support/strict-broker.ts'
import { tempFolder } from '../support/temp-folder.ts'

async function broker(settings?: string) {
  const port = await freePort()
  return { port, url: `mqtt://127.0.0.1:${port}`, process: await startMosquitto(port, settings) }
}

/** Speaks as devices do. */
async function devices(port: number, login: { username?: string; password?: string } = {}) {
  const client = await connectAsync(`mqtt://127.0.0.1:${port}`, login)
  onTestFinished(() => {
    client.end(true)
  })
  const keep = (topic: string, payload: string) =>
    client.publishAsync(`sightd/${topic}`, payload, { qos: 1, retain: true })
  return {
    keep,
    say: (topic: string, payload: string) => client.publishAsync(`sightd/${topic}`, payload, { qos: 1 }),
    async keepPorch() {
      await keep('porch/status', 'online')
      await keep('porch/info', saidInfo('porch', 'Front door'))
      await keep('porch/state', saidState())
      await keep('porch/current', saidCurrent('2 × person'))
    },
  }
}

const has = (text: string) => (command: RunningCommand) => command.stdout.includes(text)
const isWatching = ({ stderr }: RunningCommand) => stderr.includes('watching sightd at')

describe('sightd watch', () => {
  test('a broker that is not there is said once, in words, and Ctrl-C ends with 0', async () => {
    const port = await freePort()
    const watch = new RunningCommand(['watch', '--broker', `mqtt://127.0.0.1:${port}`])
    await watch.until(({ stderr }) => stderr.includes('\n'))
    watch.child.kill('SIGINT')
    expect(await watch.exited).toBe(0)
    expect(watch.stderr).toBe(
      `sightd: the broker at mqtt://127.0.0.1:${port} is not reachable: nothing listens there (ECONNREFUSED); trying again\n`,
    )
    expect(watch.stdout).toBe('')
  })

  test('one that ends each connection is tried again and again, and said once', async () => {
    const server = createServer((socket) => socket.once('data', () => socket.end()))
    const watch = new RunningCommand(['watch', '--broker', `mqtt://127.0.0.1:${await listen(server)}`])
    for (let tries = 0; tries < 3; tries++) await once(server, 'connection')
    watch.child.kill('SIGINT')
    expect(await watch.exited).toBe(0)
    expect(watch.stderr).toMatch(/^sightd: the broker at mqtt:\S+: .*; trying again\n$/)
  })

  test('Ctrl-C ends the wait for a broker that says nothing', async () => {
    const server = createServer()
    const watch = new RunningCommand(['watch', '--broker', `mqtt://127.0.0.1:${await listen(server)}`])
    const [socket] = await once(server, 'connection')
    await once(socket, 'data')
    watch.child.kill('SIGINT')
    expect(await watch.exited).toBe(0)
    expect(watch.stderr).toBe('')
  })

  test('says which topics the broker keeps from it', async () => {
    const { url } = await startStrictBroker((_, filter) => filter.endsWith('/status'))
    const watch = new RunningCommand(['watch', '--broker', url])
    await watch.until(({ stderr }) => stderr.includes('\n'))
    expect(watch.stderr).toContain('the broker lets us not subscribe to sightd/+/info, sightd/+/state,')
    expect(watch.stderr).not.toContain('sightd/+/status')
  })

  test.each([
    [['--broker', 'broker.lan'], 'a URL such as mqtt://'],
    [['--broker', 'mqtt://me:secret@x'], 'without user name and password'],
    [['--base', 'a/+'], 'MQTT topic levels without +'],
  ])('%j is wrong usage', async (args, message) => {
    const { code, stderr } = await runSightd(['watch', ...args])
    expect([code, stderr]).toEqual([2, expect.stringContaining(message)])
  })
})

describe.skipIf(findProgram('mosquitto') === undefined)(
  'sightd watch with a real Mosquitto (skipped where it is not installed)',
  () => {
    test('prints a line for each change, from what is kept on', async () => {
      const { port, url } = await broker()
      const { keepPorch, keep, say } = await devices(port)
      await keepPorch()
      const watch = new RunningCommand(['watch', '--broker', url])
      await watch.until(has('porch sees 2 × person'))
      await say('porch/event', saidEvent({ zones: ['door'] }))
      await say('porch/metrics', saidMetrics())
      await keep('porch/current', saidCurrent('nothing'))
      await keep('porch/status', 'offline')
      await watch.until(has('offline'))
      watch.child.kill('SIGINT')
      expect(await watch.exited).toBe(0)
      expect(watch.lines.map((line) => line.replace(/^\S+ /, ''))).toEqual([
        'porch is online',
        'porch is running',
        'porch runs ssdlite-mobilenet-v2-coco 1',
        'porch sees 2 × person',
        'porch person came (0.82) at door',
        'porch sees nothing',
        'porch is offline',
      ])
      for (const line of watch.lines) expect(line).toMatch(/^2\d{3}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z /)
      const times = watch.lines.map((line) => line.split(' ', 1)[0])
      expect(times).toEqual(times.toSorted())
      // The example of `watch --help`.
      expect(watch.lines.filter((line) => /person (came|left|out)/.test(line))).toHaveLength(1)
    })

    test('--json prints each message as it was sent, what is unknown too, and what is not understood on stderr', async () => {
      const { port, url } = await broker()
      const { keep, say } = await devices(port)
      const state = JSON.stringify({ ...JSON.parse(saidState()), new_field: { deep: ['\u009b\u202e'] } })
      await keep('porch/state', state)
      const watch = new RunningCommand(['watch', '--broker', url, '--json'])
      await watch.until(has('\n'))
      await say('porch/state', '{"v":2}')
      await say('porch/state', '{"v":2}')
      await say('porch/result', '{}')
      await say('porch/status', 'online')
      await say('porch/info', '')
      await watch.until(({ lines }) => lines.length === 3)
      expect(watch.lines.map((line) => JSON.parse(line))).toEqual([
        {
          device: 'porch',
          topic: 'sightd/porch/state',
          payload: JSON.parse(state),
          retained: true,
          ts: expect.any(String),
        },
        { device: 'porch', topic: 'sightd/porch/status', payload: 'online', retained: false, ts: expect.any(String) },
        { device: 'porch', topic: 'sightd/porch/info', payload: null, retained: false, ts: expect.any(String) },
      ])
      expect(watch.stdout).not.toMatch(/[^\P{C}\n]/u)
      expect(watch.stderr.split('\n').slice(1)).toEqual([
        'sightd: sightd/porch/state is not understood: v: Invalid type: Expected 1 but received 2',
        '',
      ])
    })

    test('finds a broker again that was away, and what is kept there', async () => {
      const first = await broker()
      const watch = new RunningCommand(['watch', '--broker', first.url])
      await watch.until(isWatching)
      first.process.kill('SIGKILL')
      await watch.until(({ stderr }) => stderr.includes('trying again'))
      await startMosquitto(first.port)
      await (await devices(first.port)).keepPorch()
      await watch.until(has('porch sees 2 × person'))
      expect(watch.stderr.split('\n').filter((line) => line.includes('watching'))).toHaveLength(2)
    })

    test('is another client each time, so that many may watch, and leaves no session behind', async () => {
      const { url, process } = await broker()
      const ids = new Set<string>()
      const watches = ['--json', '--json'].map((mode) => new RunningCommand(['watch', '--broker', url, mode]))
      // MQTT 5, a clean start, and no word of a session that outlasts the connection.
      let log = ''
      const login = /as (sightd-watch-[0-9a-f]{8}) \(p5, c1, k30\)/g
      // Not the stream's own iterator: that closes the stream when it is left.
      for await (const [text] of on(process.stderr, 'data')) {
        log += text
        for (const [, id = ''] of log.matchAll(login)) ids.add(id)
        if (ids.size === watches.length) break
      }
      await Promise.all(watches.map((watch) => watch.until(isWatching)))
    })

    test('logs in as the options or the configuration say, and says when that is refused', async () => {
      const folder = await tempFolder()
      const [secret, passwords, config] = [
        join(folder, 'secret'),
        join(folder, 'passwords'),
        join(folder, 'config.yaml'),
      ]
      await writeFile(secret, 'of the house\n', { mode: 0o600 })
      const salt = 'twelve bytes'
      const hash = pbkdf2Sync('of the house', salt, 101, 64, 'sha512').toString('base64')
      await writeFile(passwords, `me:$7$101$${Buffer.from(salt).toString('base64')}$${hash}\n`)
      const { url } = await broker(`allow_anonymous false\nuser root\npassword_file ${passwords}`)
      await writeFile(
        config,
        `camera: { source: synthetic }\nmqtt: { url: '${url}', username: me, password_file: secret }\n`,
      )

      const stranger = new RunningCommand(['watch', '--broker', url])
      await stranger.until(({ stderr }) => stderr.includes(`the broker at ${url} refuses the login`))
      const options = new RunningCommand(['watch', '--broker', url, '--username', 'me', '--password-file', secret])
      const configured = new RunningCommand(['watch', '--config', config])
      await Promise.all([options.until(isWatching), configured.until(isWatching)])
    })

    test.skipIf(findProgram('openssl') === undefined)(
      'trusts an authority and shows a certificate that the options name (skipped without openssl)',
      async () => {
        const authority = await Authority.create()
        const [server, client] = [await authority.issue('server'), await authority.issue('client')]
        const port = await freePort()
        await startMosquitto(
          port,
          `allow_anonymous true\nuser root\ncafile ${authority.path}\nrequire_certificate true\ncertfile ${server.cert}\nkeyfile ${server.key}`,
        )
        const config = join(await tempFolder(), 'config.yaml')
        await writeFile(config, `mqtt: { url: 'mqtts://127.0.0.1:${port}' }\n`)
        const where = ['watch', '--config', config]
        const untrusting = new RunningCommand(where)
        await untrusting.until(({ stderr }) => stderr.includes('TLS with the broker'))
        const files = ['--ca-file', authority.path, '--cert-file', client.cert, '--key-file', client.key]
        await new RunningCommand([...where, ...files]).until(isWatching)
      },
    )

    test('ends well when whoever reads it has had enough', async () => {
      const { port, url } = await broker()
      await (await devices(port)).keepPorch()
      const watch = new RunningCommand(['watch', '--broker', url])
      watch.child.stdout?.destroy()
      expect(await watch.exited).toBe(0)
      expect(watch.stderr).not.toContain('Error')
    })

    test.skipIf(terminalProgram === undefined)(
      'draws a table in place on a terminal, and gives the terminal back (skipped without script)',
      async () => {
        const { port, url } = await broker()
        const { keepPorch, keep, say } = await devices(port)
        await keepPorch()
        const watch = new RunningCommand(['watch', '--broker', url], { onTerminal: true, env: { NO_COLOR: '1' } })
        await watch.until(has('2 × person'))
        await keep('hall/info', saidInfo('hall', 'a\x1b[2Jb\x07'))
        await say('porch/event', saidEvent())
        await say('porch/state', 'nonsense')
        await watch.until(has('person came (0.82)'))
        await watch.until(has('a?[2Jb?'))
        await watch.until(has('not understood: 1'))
        watch.type('\x03')
        expect(await watch.exited).toBe(0)
        const [before, last = ''] = watch.stdout.split('\x1b[?1049l')
        expect(before?.startsWith('\x1b[?1049h\x1b[?25l')).toBe(true)
        expect(before?.endsWith('\x1b[?25h')).toBe(true)
        for (const hostile of ['\x07', '\x1b[2J']) expect(before).not.toContain(hostile)
        expect(last).toMatch(
          /^2 devices {2}sightd at mqtt:.*\r\nDEVICE .*\r\nhall .*\r\nporch .*2 × person.*\r\n\r\n.* person came \(0\.82\)\r\n$/,
        )
      },
    )
  },
)
