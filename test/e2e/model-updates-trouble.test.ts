import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { RunningSightd, runSightd } from '../support/daemon.ts'
import { findProgram } from '../support/mosquitto.ts'
import { visionPidOf } from '../support/processes.ts'
import { makeModel } from '../support/update-models.ts'
import { UpdatedDevice } from '../support/updated-device.ts'

const isResultOf = (version: string) => (message: { topic: string; text: string }) =>
  message.topic === 'sightd/porch/result' && JSON.parse(message.text).model.version === version

describe.skipIf(findProgram('mosquitto') === undefined)(
  'models over the air, where things go wrong (skipped where Mosquitto is not installed)',
  () => {
    test('a link that is cut 20 times: the download goes on where it was', { timeout: 120_000 }, async () => {
      const device = await UpdatedDevice.start()
      device.server.spoil({ afterBytes: 100_000, by: 'cut', times: 20 })
      expect(await device.verdict('large')).toMatchObject({
        outcome: 'committed',
        code: 'done',
        reason: expect.any(String),
      })
      expect(device.server.spoilt).toBe(20)
      const { size } = await stat(join(await makeModel('large'), 'model.onnx'))
      expect(device.server.bytesOf(/model\.onnx$/)).toBeLessThan(1.1 * size)
    })

    test('a daemon that is killed while a model is on probation: it goes on with it, and with what stays', {
      timeout: 120_000,
    }, async () => {
      const device = await UpdatedDevice.start({ probation_results: 300 })
      await device.offer('requantized')
      await device.until(({ phase, percent }) => phase === 'trial' && (percent ?? 0) > 10)
      device.sightd.child.kill('SIGKILL')
      await device.sightd.exited
      const from = device.subscriber.received.length
      const again = new RunningSightd(['run', '--config', device.config], { stateFolder: device.stateFolder })
      const first = await device.subscriber.message(({ topic }) => topic === 'sightd/porch/result', from)
      expect(JSON.parse(first.text).model.version).toBe('2')
      await device.until(({ last, phase }) => phase === 'idle' && last?.outcome === 'committed')

      // A stop in good order, and damage on the disk while it was off: the model that it came with serves.
      again.child.kill('SIGTERM')
      await again.exited
      const blobs = join(device.stateFolder, 'ota/blobs')
      for (const name of await readdir(blobs)) await writeFile(join(blobs, name), 'damaged')
      const later = device.subscriber.received.length
      new RunningSightd(['run', '--config', device.config], { stateFolder: device.stateFolder })
      await device.subscriber.message(isResultOf('1'), later)
      expect(await device.until(({ last }) => last?.code === 'storage')).toMatchObject({ installed_version: '1' })
      // It heals itself.
      await device.ask('check_update')
      await device.until(({ last, phase }) => phase === 'idle' && last?.outcome === 'committed')
    })

    test('a root file on a stick that is not there: no updates, and the model that came over the air serves', {
      timeout: 120_000,
    }, async () => {
      const device = await UpdatedDevice.start()
      await device.verdict('requantized')
      device.sightd.child.kill('SIGTERM')
      await device.sightd.exited
      const config = await readFile(device.config, 'utf8')
      await writeFile(device.config, config.replace(device.repository.rootPath, '/nowhere/1.root.json'))
      const later = device.subscriber.received.length
      const again = new RunningSightd(['run', '--config', device.config], { stateFolder: device.stateFolder })
      expect((await again.line(({ msg }) => msg.startsWith('no updates of the model')))['problem']).toMatch(
        /\/nowhere\/1\.root\.json: can't be read: ENOENT/,
      )
      await device.subscriber.message(isResultOf('2'), later)
    })

    test('a vision process that dies now and then while a model is on probation is no reason; three times are', {
      timeout: 120_000,
    }, async () => {
      const device = await UpdatedDevice.start({ probation_results: 100_000 })
      await device.offer('requantized')
      await device.until(({ phase }) => phase === 'trial')
      for (const _ of [1, 2, 3]) {
        const from = device.subscriber.received.length
        await device.subscriber.message(isResultOf('2'), from)
        const pid = visionPidOf(device.sightd.child.pid ?? 0)
        if (pid !== undefined) process.kill(pid, 'SIGSEGV')
      }
      const { last } = await device.until(({ last, phase }) => phase === 'idle' && last !== null)
      expect(last).toMatchObject({ outcome: 'rolled_back', code: 'died' })
      await device.subscriber.message(isResultOf('1'), device.subscriber.received.length)
    })

    test('one that needs consent waits for it, and is seen from afar', { timeout: 60_000 }, async () => {
      const device = await UpdatedDevice.start({ install: 'manual' })
      await device.offer('requantized')
      const waiting = await device.until(({ phase }) => phase === 'waiting')
      expect(waiting).toMatchObject({ needs_consent: true, installed_version: '1', latest_version: '2' })
      const status = ['ota', 'status', '--config', device.config]
      expect((await runSightd(status)).stdout).toMatch(/porch.*waiting/)
      expect(await device.ask('install_update')).toMatchObject({ status: 'ok' })
      await device.until(({ last, phase }) => phase === 'idle' && last?.outcome === 'committed')
      const [row] = JSON.parse((await runSightd([...status, '--json'])).stdout).devices
      expect(row).toMatchObject({ device: 'porch', status: 'online', update: { installed_version: '2' } })
    })

    test('pause and cancel hold, whatever the repository says', { timeout: 60_000 }, async () => {
      const device = await UpdatedDevice.start({ install: 'manual' })
      expect(await device.ask('pause_updates')).toMatchObject({ status: 'ok' })
      expect(await device.ask('check_update')).toMatchObject({ status: 'error' })
      await device.repository.offer(await makeModel('requantized'))
      await device.ask('resume_updates')
      await device.until(({ phase }) => phase === 'waiting')
      expect(await device.ask('cancel_update')).toMatchObject({ status: 'ok' })
      await device.until(({ last }) => last?.code === 'cancelled')
      await device.ask('check_update')
      await device.until(({ phase, reason }) => phase === 'idle' && reason?.includes('retry_update') === true)
      expect(await device.ask('retry_update')).toMatchObject({ status: 'ok' })
      await device.until(({ phase }) => phase === 'waiting')
    })
  },
)
