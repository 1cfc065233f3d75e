import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { RunningSightd } from '../support/daemon.ts'
import { findProgram, freePort, startMosquitto } from '../support/mosquitto.ts'
import { type Received, subscribe } from '../support/subscriber.ts'
import { tempFolder } from '../support/temp-folder.ts'

/** A device that has nothing to see. */
async function configFile(port: number): Promise<string> {
  const path = join(await tempFolder(), 'config.yaml')
  await writeFile(
    path,
    `id: porch\ncamera: { source: synthetic }\ninference: { enabled: false }\nmqtt: { url: 'mqtt://127.0.0.1:${port}' }\n`,
  )
  return path
}

const isRival = ({ msg }: { msg: string }) => msg === 'another client has our id at the broker'
const isInfo = ({ topic }: Received) => topic === 'sightd/porch/info'
const boot = ({ text }: Received) => JSON.parse(text).boot

async function end(process: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  const exited = once(process, 'exit')
  process.kill(signal)
  await exited
}

describe.skipIf(findProgram('mosquitto') === undefined)(
  'devices with the same id and a real Mosquitto (skipped where it is not installed)',
  () => {
    test('both notice it, whichever began first', async () => {
      const port = await freePort()
      await startMosquitto(port)
      const config = await configFile(port)
      const first = new RunningSightd(['run', '--config', config])
      await first.line(({ msg }) => msg === 'broker connected')
      const second = new RunningSightd(['run', '--config', config])
      for (const device of [first, second]) {
        const { problem } = await device.line(isRival)
        expect(problem).toMatch(/: two devices with the same id\?$/)
      }
    })

    test('a device that takes the place of another is not its rival', async () => {
      const port = await freePort()
      await startMosquitto(port)
      const config = await configFile(port)
      const { message, client } = await subscribe(port)
      const before = new RunningSightd(['run', '--config', config])
      await message(({ text }) => text === 'online')
      await end(before.child, 'SIGKILL')
      const device = new RunningSightd(['run', '--config', config])
      await device.line(({ msg }) => msg === 'broker connected')
      await client.publishAsync('sightd/porch/request/ping', '', { qos: 1 })
      await message(({ topic }) => topic === 'sightd/porch/response/ping')
      expect(device.log.filter(isRival)).toEqual([])
    })

    test('a device is not its own rival when the broker has lost what it said since an earlier run', async () => {
      const port = await freePort()
      const folder = await tempFolder()
      const settings = `allow_anonymous true\nuser root\npersistence true\npersistence_location ${folder}/\nautosave_interval 0`
      const stateFolder = await tempFolder()
      const config = await configFile(port)

      let broker = await startMosquitto(port, settings)
      const earlier = new RunningSightd(['run', '--config', config], { stateFolder })
      const before = await (await subscribe(port)).message(isInfo)
      await end(earlier.child, 'SIGKILL')
      // It saves what it keeps at its end.
      await end(broker, 'SIGTERM')

      broker = await startMosquitto(port, settings)
      const device = new RunningSightd(['run', '--config', config], { stateFolder })
      const witness = await subscribe(port)
      await witness.message((message) => isInfo(message) && boot(message) !== boot(before))
      await witness.message(({ text, isRetained }) => text === 'online' && !isRetained)
      // What comes behind all states is answered when they have been taken.
      await witness.client.publishAsync('sightd/porch/request/ping', '', { qos: 1 })
      await witness.message(({ topic }) => topic === 'sightd/porch/response/ping')
      device.child.kill('SIGSTOP')
      await end(broker, 'SIGKILL')

      await startMosquitto(port, settings)
      const { message, client, received } = await subscribe(port)
      expect(boot(await message(isInfo))).toBe(boot(before))
      device.child.kill('SIGCONT')
      await message((later) => isInfo(later) && boot(later) !== boot(before))
      // Whatever the broker had for it is through when it answers.
      await client.publishAsync('sightd/porch/request/ping', '', { qos: 1 })
      await message(({ topic }) => topic === 'sightd/porch/response/ping')
      expect(device.log.filter(isRival)).toEqual([])
      const last = received.findLast(({ topic }) => topic === 'sightd/porch/state')
      expect(JSON.parse(last?.text ?? '').mqtt).toEqual({ problem: null })
    })
  },
)
