import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { connectAsync } from 'mqtt'
import { describe, expect, onTestFinished, test } from 'vitest'
import { updatesOff } from '../../src/core/update-status.ts'
import { RunningCommand, terminalProgram } from '../support/command.ts'
import { runSightd } from '../support/daemon.ts'
import { findProgram, freePort, startMosquitto } from '../support/mosquitto.ts'
import { copied } from '../support/operated-repository.ts'
import { saidUpdate } from '../support/said.ts'
import { startStrictBroker } from '../support/strict-broker.ts'
import { tempFolder } from '../support/temp-folder.ts'
import { modelOne, modelTwo, outcome, updateStatus } from '../support/updates.ts'

const committed = { ...outcome, outcome: 'committed', code: 'done', reason: 'it has proved itself' } as const

async function broker(settings?: string) {
  const port = await freePort()
  await startMosquitto(port, settings)
  const client = await connectAsync(`mqtt://127.0.0.1:${port}`)
  onTestFinished(() => {
    client.end(true)
  })
  return {
    port,
    client,
    url: `mqtt://127.0.0.1:${port}`,
    keep: (topic: string, payload: string) => client.publishAsync(`sightd/${topic}`, payload, { qos: 1, retain: true }),
  }
}

/** A broker with a device that has the new model, and one that has nowhere to look. */
async function fleet() {
  const all = await broker()
  await all.keep('porch/update', saidUpdate(updateStatus({ active: modelTwo, last: committed }), modelTwo))
  await all.keep('porch/status', 'online')
  await all.keep('shed/update', saidUpdate(updatesOff, modelOne))
  await all.keep('shed/status', 'offline')
  return all
}

const status = (url: string, ...args: string[]) => runSightd(['ota', 'status', '--broker', url, ...args])

describe('sightd ota status', () => {
  test('a broker that is not there is said in words', async () => {
    const url = `mqtt://127.0.0.1:${await freePort()}`
    expect(await status(url)).toEqual({
      code: 1,
      stdout: '',
      stderr: `sightd: the broker at ${url} is not reachable: nothing listens there (ECONNREFUSED)\n`,
    })
  })

  test('a topic that the broker keeps from it is named', async () => {
    const { url } = await startStrictBroker((_, filter) => filter.endsWith('/status'))
    const { code, stderr } = await status(url)
    expect([code, stderr]).toEqual([1, expect.stringContaining('the broker lets us not subscribe to sightd/+/update')])
  })

  test.each([
    [['--group', 'two words'], 1, "can't be a group"],
    [['--broker', 'broker.lan'], 2, 'a URL such as mqtt://'],
    [['--base', 'a/+'], 2, 'MQTT topic levels without +'],
  ])('%j is refused', async (args, exitCode, message) => {
    const { code, stderr } = await runSightd(['ota', 'status', ...args])
    expect([code, stderr]).toEqual([exitCode, expect.stringContaining(message)])
  })
})

describe.skipIf(findProgram('mosquitto') === undefined)(
  'sightd ota status with a real Mosquitto (skipped where it is not installed)',
  () => {
    test('shows every device, or those of a group, and ends well when they are well', async () => {
      const { url } = await fleet()
      const all = await status(url)
      expect(all).toMatchObject({ code: 0, stderr: '' })
      expect(all.stdout.split('\n').map((line) => line.replaceAll(/ {2,}/g, ' '))).toEqual([
        'DEVICE STATUS MODEL PHASE NEXT GROUP ROLLOUT LAST',
        'porch online ssdlite-mobilenet-v2-coco 2 idle porches yes committed ssdlite-mobilenet-v2-coco 2',
        'shed offline ssdlite-mobilenet-v2-coco 1 off',
        '2 devices, 1 offline, 1 with ssdlite-mobilenet-v2-coco 2, 1 with ssdlite-mobilenet-v2-coco 1',
        '',
      ])
      const { code, stdout } = await status(url, '--group', 'porches', '--json')
      expect(code).toBe(0)
      expect(JSON.parse(stdout)).toMatchObject({
        broker: url,
        base: 'sightd',
        devices: [{ device: 'porch', status: 'online', update: { phase: 'idle', last: committed }, troubles: [] }],
      })
    })

    test('ends with 1 when a device is in trouble, and when none is there', async () => {
      const { url, keep } = await fleet()
      expect(await status(url, '--group', 'gardens')).toEqual({
        code: 1,
        stdout: '',
        stderr: `sightd: ${url}: no device of group gardens is there\n`,
      })
      await keep('attic/update', saidUpdate(updateStatus({ group: 'attics', last: outcome }), modelOne))
      expect(await status(url, '--group', 'porches')).toMatchObject({ code: 0 })
      const { code, stdout } = await status(url)
      expect([code, stdout]).toEqual([
        1,
        expect.stringContaining('\n  └ ssdlite-mobilenet-v2-coco 2 rolled_back, bad_output: NaN came out of it\n'),
      ])
    })

    test('hostile neighbours change nothing of it, and do nothing to a terminal', async () => {
      const { url, keep, client } = await fleet()
      const nasty = '\x1b[2J\x1b]0;owned\x07\u202e\u2028'
      const valid = updateStatus({ reason: nasty, group: nasty, last: { ...committed, reason: nasty } })
      await keep('evil-1/update', saidUpdate(valid, { name: nasty, version: nasty }))
      await keep('evil-2/update', '['.repeat(100_000))
      await keep('evil-3/update', '{"v":1,"enabled":true,"phase":"idle","__proto__":{"phase":"x"},"last":1}')
      await keep('evil-4/update', `{"v":1,"enabled":true,"phase":"${'x'.repeat(200_000)}"}`)
      await keep('evil-5/status', '\0'.repeat(1000))
      await keep('Evil 6/update', saidUpdate(valid, modelOne))
      await keep('evil-7/update/event', '{}')
      await client.publishAsync('sightd/porch/update/x', '{}', { qos: 1, retain: true })
      for (const args of [[], ['--json']]) {
        const { code, stdout, stderr } = await status(url, ...args)
        expect(code).toBe(0)
        expect(stdout + stderr).not.toMatch(/[^\P{C}\n]/u)
        expect(stderr).toBe(`sightd: ${url}: messages that are not understood: 4\n`)
        expect(stdout.length).toBeLessThan(6000)
        expect(stdout).toContain('porch')
      }
    })

    test('--follow tells each change until Ctrl-C, of the group that is asked for', async () => {
      const { url, keep } = await fleet()
      const follow = new RunningCommand(['ota', 'status', '--broker', url, '--follow', '--group', 'porches'])
      await follow.until(({ stdout }) => stdout.includes('porch is online'))
      await keep('shed/status', 'online')
      await keep(
        'porch/update',
        saidUpdate(updateStatus({ phase: 'download', percent: 3, candidate: modelTwo }), modelOne),
      )
      await follow.until(({ stdout }) => stdout.includes('phase download 3 %, next ssdlite-mobilenet-v2-coco 2'))
      await keep('porch/status', 'offline')
      await follow.until(({ stdout }) => stdout.includes('porch is offline'))
      follow.child.kill('SIGINT')
      expect(await follow.exited).toBe(0)
      expect(follow.stdout).not.toContain('shed')
      expect(follow.stderr).toBe('')
    })

    test('--follow --json prints an object for each change', async () => {
      const { url } = await fleet()
      const follow = new RunningCommand(['ota', 'status', '--broker', url, '--follow', '--json'])
      await follow.until(({ lines }) => lines.some((line) => line.includes('"offline"')))
      follow.child.kill('SIGINT')
      expect(await follow.exited).toBe(0)
      expect(new Set(follow.lines.map((line) => JSON.parse(line).device))).toEqual(new Set(['porch', 'shed']))
    })

    test.skipIf(terminalProgram === undefined)(
      '--follow on a terminal keeps a table up to date, and gives the screen back (skipped without script)',
      async () => {
        const { url, keep } = await fleet()
        const follow = new RunningCommand(['ota', 'status', '--broker', url, '--follow'], { onTerminal: true })
        await follow.until(({ stdout }) => stdout.includes('2 devices, 1 offline'))
        await keep('shed/status', 'online')
        await follow.until(({ stdout }) => stdout.includes('2 devices, 1 with'))
        follow.type('\x03')
        expect(await follow.exited).toBe(0)
        expect(follow.stdout).toContain('\x1b[?1049l')
      },
    )

    test('is another client each time, so that many may look at once', async () => {
      const { url } = await fleet()
      const both = await Promise.all([status(url), status(url)])
      expect(both.map(({ code }) => code)).toEqual([0, 0])
    })
  },
)

describe('sightd ota hint', () => {
  test('wants a repository', async () => {
    const { code, stderr } = await runSightd(['ota', 'hint', '--repo', join(await tempFolder(), 'x')])
    expect([code, stderr]).toEqual([1, expect.stringContaining('no repository there; sightd ota init makes one')])
  })

  test.skipIf(findProgram('mosquitto') === undefined)(
    "keeps the version of the repository's timestamp at the broker, until it is taken away (skipped without Mosquitto)",
    async () => {
      const { repo } = await copied('rolledOut')
      const { url, client } = await broker()
      const hint = (...args: string[]) => runSightd(['ota', 'hint', '--broker', url, '--repo', repo, ...args])
      const { code, stdout } = await hint('--json')
      expect(code).toBe(0)
      expect(JSON.parse(stdout)).toEqual({ broker: url, topic: 'sightd/update/hint', timestamp: 3 })
      const kept = new Promise<string>((resolve) => {
        client.on('message', (_, payload, { retain }) => retain && resolve(`${payload}`))
      })
      await client.subscribeAsync('sightd/update/hint', { qos: 1 })
      expect(await kept).toBe('{"timestamp":3}')
      const cleared = new Promise<string>((resolve) => {
        client.on('message', (_, payload) => payload.length === 0 && resolve('cleared'))
      })
      expect(await hint('--clear')).toMatchObject({ code: 0, stdout: expect.stringContaining('no hint any more') })
      expect(await cleared).toBe('cleared')
    },
  )

  test.skipIf(findProgram('mosquitto') === undefined)(
    'says when the broker does not let it (skipped without Mosquitto)',
    async () => {
      const { repo } = await copied('rolledOut')
      const acl = join(await tempFolder(), 'acl')
      await writeFile(acl, 'topic read sightd/#\n')
      const { url } = await broker(`allow_anonymous true\nacl_file ${acl}\nuser root`)
      const { code, stderr } = await runSightd(['ota', 'hint', '--broker', url, '--repo', repo])
      expect([code, stderr]).toEqual([1, expect.stringContaining('refuses sightd/update/hint: ')])
    },
  )
})
