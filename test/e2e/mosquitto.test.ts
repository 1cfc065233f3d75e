import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as v from 'valibot'
import { describe, expect, test } from 'vitest'
import { infoSchema, resultSchema, stateSchema } from '../../src/mqtt/messages.ts'
import { RunningSightd } from '../support/daemon.ts'
import { findProgram, freePort, startMosquitto } from '../support/mosquitto.ts'
import { subscribe } from '../support/subscriber.ts'
import { tempFolder } from '../support/temp-folder.ts'

const demo = fileURLToPath(new URL('../../deploy/demo', import.meta.url))

async function configFile(port: number): Promise<string> {
  const path = join(await tempFolder(), 'config.yaml')
  await writeFile(
    path,
    `id: porch\ncamera: { source: replay, path: ${demo} }\nmqtt: { url: 'mqtt://127.0.0.1:${port}', result_rate: 5 }\n`,
  )
  return path
}

describe.skipIf(findProgram('mosquitto') === undefined)(
  'with a real Mosquitto (skipped where it is not installed)',
  () => {
    test('a subscriber who comes late finds status, info and state retained, then results as they come', async () => {
      const port = await freePort()
      await startMosquitto(port)
      const sightd = new RunningSightd(['run', '--config', await configFile(port)])
      await sightd.line(({ msg }) => msg === 'sees')
      const subscriber = await subscribe(port, { protocolVersion: 5 })
      const result = await subscriber.message(({ topic }) => topic === 'sightd/porch/result')
      v.parse(resultSchema, JSON.parse(result.text))
      expect(result.isRetained).toBe(false)
      const retained = Object.fromEntries(
        subscriber.received.filter(({ isRetained }) => isRetained).map(({ topic, text }) => [topic, text]),
      )
      expect(Object.keys(retained).sort()).toEqual(
        ['current', 'info', 'state', 'status', 'update'].map((name) => `sightd/porch/${name}`),
      )
      expect(retained['sightd/porch/status']).toBe('online')
      expect(v.parse(infoSchema, JSON.parse(retained['sightd/porch/info'] ?? ''))).toMatchObject({ id: 'porch' })
      expect(v.parse(stateSchema, JSON.parse(retained['sightd/porch/state'] ?? ''))).toMatchObject({
        status: 'running',
        reason: null,
      })
    })

    test('the last will says offline when the daemon is killed', async () => {
      const port = await freePort()
      await startMosquitto(port)
      const sightd = new RunningSightd(['run', '--config', await configFile(port)])
      const subscriber = await subscribe(port)
      await subscriber.message(({ text }) => text === 'online')
      sightd.child.kill('SIGKILL')
      // The will is delayed by 10 s, so that a flapping link is no news.
      await subscriber.message(({ topic, text }) => topic === 'sightd/porch/status' && text === 'offline')
    })

    test('a broker that is not there at the start is said once, and found when it comes', async () => {
      const port = await freePort()
      const sightd = new RunningSightd(['run', '--config', await configFile(port)])
      const warning = await sightd.line(({ msg }) => msg.startsWith('broker not reachable'))
      expect(warning).toMatchObject({
        level: 'warn',
        url: `mqtt://127.0.0.1:${port}`,
        problem: expect.stringContaining('ECONNREFUSED'),
      })
      await sightd.line(({ msg }) => msg === 'sees')
      await startMosquitto(port)
      await sightd.line(({ msg }) => msg === 'broker connected')
      const subscriber = await subscribe(port)
      await subscriber.message(({ topic }) => topic === 'sightd/porch/result')
      expect(sightd.log.filter(({ msg }) => msg.startsWith('broker not reachable'))).toHaveLength(1)
    })
  },
)
