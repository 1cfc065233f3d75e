import { chmod, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import * as v from 'valibot'
import { describe, expect, test } from 'vitest'
import { crashSchema } from '../../src/mqtt/messages.ts'
import { RunningSightd } from '../support/daemon.ts'
import { findProgram, freePort, startMosquitto } from '../support/mosquitto.ts'
import { subscribe } from '../support/subscriber.ts'
import { tempFolder } from '../support/temp-folder.ts'

const text = (port: number, more = '') =>
  `id: porch\ncamera: { source: synthetic, width: 320, height: 240 }\nmqtt: { url: 'mqtt://127.0.0.1:${port}' }\n${more}`

/** A daemon as systemd starts it; systemd-notify is one that writes down what it is to send. */
async function service() {
  const folder = await tempFolder()
  const port = await freePort()
  await startMosquitto(port)
  const subscriber = await subscribe(port)
  const config = join(folder, 'config.yaml')
  const told = join(folder, 'told')
  await writeFile(config, text(port))
  await writeFile(join(folder, 'systemd-notify'), `#!/bin/sh\necho "$*" >>'${told}'\n`)
  await chmod(join(folder, 'systemd-notify'), 0o755)
  const runtime = join(folder, 'run')
  await mkdir(runtime)
  const env = {
    RUNTIME_DIRECTORY: runtime,
    PATH: `${folder}${delimiter}${process.env['PATH']}`,
    NOTIFY_SOCKET: '/run/notify',
    WATCHDOG_USEC: '3000000',
    JOURNAL_STREAM: '8:1',
  }
  const start = () => new RunningSightd(['run', '--config', config], { stateFolder: folder, env })
  const sightd = start()
  await subscriber.message(({ topic }) => topic === 'sightd/porch/result')
  return {
    port,
    subscriber,
    config,
    runtime,
    sightd,
    start,
    told: async () => (await readFile(told, 'utf8')).split('\n'),
  }
}

describe.skipIf(findProgram('mosquitto') === undefined)(
  'sightd as a service (skipped where Mosquitto is not installed)',
  () => {
    test('tells systemd when it is up, that work goes on, and when it stops; the journal how grave each line is', async () => {
      const { sightd, subscriber, told } = await service()
      // A result a second, beyond one period of the watchdog.
      const from = subscriber.received.length
      await subscriber.message(({ topic }) => topic === 'sightd/porch/result', from)
      await subscriber.message(({ topic }) => topic === 'sightd/porch/result', subscriber.received.length)
      sightd.child.kill('SIGTERM')
      expect(await sightd.exited).toBe(0)
      const lines = await told()
      expect(lines.filter((line) => line === 'READY=1')).toHaveLength(1)
      expect(lines.indexOf('WATCHDOG=1')).toBeGreaterThan(-1)
      expect(lines.findLast((line) => line !== '')).toBe('STOPPING=1')
      expect(lines.find((line) => line.startsWith('STATUS=running'))).toContain('fps')
      expect(sightd.output).toMatch(/^<6>\{"level":"info"/)
    })

    test('reads its configuration anew on SIGHUP, and keeps its session with the broker', async () => {
      const { sightd, subscriber, config, port } = await service()
      await writeFile(config, text(port, 'name: Front porch\ninference: { threads: 1 }\n'))
      sightd.child.kill('SIGHUP')
      const info = await subscriber.message(
        ({ topic, text }) => topic === 'sightd/porch/info' && text.includes('Front'),
      )
      expect(JSON.parse(info.text)).toMatchObject({ name: 'Front porch' })
      const line = await sightd.line(({ msg }) => msg.startsWith('configuration read anew'))
      expect(line).toMatchObject({ level: 'warn', keys: ['inference.threads'] })
      await writeFile(config, 'camera: nonsense\n')
      sightd.child.kill('SIGHUP')
      const refusal = await sightd.line(({ msg }) => msg.startsWith('configuration not read anew'))
      expect(refusal).toMatchObject({ level: 'error', problem: expect.stringContaining('camera') })
      await subscriber.message(({ topic }) => topic === 'sightd/porch/result', subscriber.received.length)
      const statuses = subscriber.received.filter(({ topic }) => topic === 'sightd/porch/status')
      expect(statuses.map(({ text }) => text)).toEqual(['online'])
    })

    test('tells after its next start how the run before ended', async () => {
      const { sightd, subscriber, start } = await service()
      sightd.child.kill('SIGKILL')
      await sightd.exited
      start()
      const crash = await subscriber.message(({ topic }) => topic === 'sightd/porch/crash')
      expect(v.parse(crashSchema, JSON.parse(crash.text))).toMatchObject({ reason: 'killed', log: [] })
    })

    test('tells it once the broker is there, though another run ended in good order meanwhile', async () => {
      const { port, config, sightd, subscriber, start } = await service()
      sightd.child.kill('SIGKILL')
      await sightd.exited
      await writeFile(config, text(await freePort()))
      const unheard = start()
      await unheard.line(({ msg }) => msg === 'model loaded')
      unheard.child.kill('SIGTERM')
      expect(await unheard.exited).toBe(0)
      await writeFile(config, text(port))
      start()
      const crash = await subscriber.message(({ topic }) => topic === 'sightd/porch/crash')
      expect(JSON.parse(crash.text)).toMatchObject({ reason: 'killed' })
    })

    test('tells what it failed of, with its last log lines', async () => {
      const { runtime, sightd, subscriber, start } = await service()
      await rename(runtime, `${runtime}.gone`)
      await writeFile(runtime, '')
      sightd.child.kill('SIGTERM')
      expect(await sightd.exited).toBe(1)
      await rm(runtime)
      await mkdir(runtime)
      start()
      const crash = await subscriber.message(({ topic }) => topic === 'sightd/porch/crash')
      expect(v.parse(crashSchema, JSON.parse(crash.text))).toMatchObject({
        reason: expect.stringMatching(/^ENOTDIR/),
        log: expect.arrayContaining([expect.stringContaining('model loaded')]),
      })
    })
  },
)
