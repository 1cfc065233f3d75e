import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { SightdError } from '../../src/core/errors.ts'
import { failOpening } from '../support/failing-open.ts'
import { early, heldIn } from '../support/held-update.ts'
import { UpdatingDevice } from '../support/updating-device.ts'

// The first look by itself, and what hints lead to, come as late as they may.
beforeEach(() => {
  vi.spyOn(Math, 'random').mockReturnValue(0.999)
})
afterEach(() => {
  vi.restoreAllMocks()
})

/** A device with these versions, one after the other, above that of the factory. */
async function committed(...versions: string[]): Promise<UpdatingDevice> {
  const device = await UpdatingDevice.start()
  for (const version of versions) {
    await device.offer(version)
    await device.verdict(version)
  }
  return device
}

const refused = (message: RegExp) => ({ code: 'update_refused', message: expect.stringMatching(message) })

describe('a rollback by command', () => {
  test('goes back to the model before, and what it leaves is not tried again', async () => {
    const device = await committed('2', '3')
    await device.updater.rollback()
    expect(device.vision).toMatchObject({ active: '2', spare: undefined })
    expect(device.status).toMatchObject({
      active: { version: '2' },
      previous: null,
      last: { outcome: 'rolled_back', code: 'rolled_back_by_command', model: { version: '3' } },
    })
    expect(device.outcomes).toHaveLength(3)
    expect((await device.look()).reason).toMatch(/tiny 3 has failed here \(rolled_back_by_command\)/)
    await device.restart()
    await device.until(() => device.vision.active === '2')
    // No device goes to and fro.
    await expect(device.updater.rollback()).rejects.toMatchObject(refused(/no model before/))
  })

  test('goes back to that of the factory, and an update may follow', async () => {
    const device = await committed('2')
    await device.updater.rollback()
    expect(device.vision).toMatchObject({ active: '1', spare: undefined })
    expect(device.status).toMatchObject({ active: { version: '1' }, previous: null })
    await device.offer('3')
    expect(await device.verdict('3')).toMatchObject({ outcome: 'committed' })
    expect(device.status.previous).toMatchObject({ version: '1' })
  })

  test('where no model works starts the one before', async () => {
    const device = await committed('2')
    await device.stop()
    await device.open()
    await device.updater.rollback()
    device.start()
    await device.until(() => device.vision.active === '1')
    expect(device.vision.loads.at(-1)).toBe('start 1')
  })

  test('row 44: is refused when the model before is revoked, also before anybody is asked', async () => {
    const device = await committed('2', '3')
    await device.repository.revoke('models/tiny/2/manifest.json')
    await device.look()
    for (let i = 0; i < 2; i++) {
      await expect(device.updater.rollback()).rejects.toMatchObject(refused(/tiny 2 is no longer approved/))
      await device.restart()
    }
    await device.until(() => device.vision.active === '3')
    expect(device.status).toMatchObject({ active: { version: '3' }, previous: { version: '2' } })
  })

  test('row 62: is refused when the files of the model before are damaged', async () => {
    const device = await committed('2', '3')
    await rm(join(device.folder, 'blobs'), { recursive: true })
    await expect(device.updater.rollback()).rejects.toMatchObject(refused(/damaged/))
    expect(device.vision).toMatchObject({ active: '3', spare: undefined })
    expect(device.status).toMatchObject({ active: { version: '3' }, previous: { version: '2' } })
  })

  test('that comes to nothing leaves all as it was', async () => {
    const device = await committed('2')
    device.vision.loadCandidate = async () => {
      throw new SightdError('model_invalid', 'not with this one')
    }
    await expect(device.updater.rollback()).rejects.toMatchObject({ message: 'not with this one' })
    expect(device.status).toMatchObject({ active: { version: '2' }, previous: { version: '1' } })
  })

  test('row 50: that can not be written down leaves all as it was, and no model beside the one in charge', async () => {
    const device = await committed('2')
    const heals = ['record.0', 'record.1'].map((name) => failOpening(name, 'EROFS'))
    await expect(device.updater.rollback()).rejects.toMatchObject({ reason: 'store_failed' })
    for (const heal of heals) heal()
    expect(device.vision).toMatchObject({ active: '2', spare: undefined })
    await device.offer('3')
    expect(await device.verdict('3')).toMatchObject({ outcome: 'committed' })
  })

  test.each(early)('ends an update in %s first', async (phase) => {
    const { device, letGo } = await heldIn(phase)
    await expect(device.updater.rollback()).rejects.toMatchObject(refused(/no model before/))
    letGo()
    expect(device.status).toMatchObject({ active: { version: '1' } })
    expect(device.vision).toMatchObject({ active: '1', spare: undefined })
    await device.updater.check()
    if (phase === 'waiting') {
      await device.in('waiting')
      await device.updater.install()
    }
    expect(await device.verdict('2')).toMatchObject({ outcome: 'committed' })
  })

  test('in a trial ends that', async () => {
    const { device } = await heldIn('trial')
    await device.updater.rollback()
    expect(await device.verdict('2')).toMatchObject({ outcome: 'rolled_back', code: 'rolled_back_by_command' })
    expect(device.vision).toMatchObject({ active: '1', spare: undefined })
  })

  test('right after a start in a trial takes back the candidate, not the model before it', async () => {
    const { device, letGo } = await heldIn('trial')
    letGo()
    await device.verdict('2')
    device.vision.hasCamera = false
    await device.restart({ shadowMs: 0 })
    await device.offer('3')
    await device.until(({ phase }) => phase === 'trial' && device.vision.active === '3')
    await device.stop()
    await device.open()
    await device.updater.rollback()
    device.start()
    expect(await device.verdict('3')).toMatchObject({ outcome: 'rolled_back' })
    await device.until(() => device.vision.active === '2')
    expect(device.status).toMatchObject({ active: { version: '2' }, previous: { version: '1' } })
  })
})

describe('a device that is started anew', () => {
  test.each(['check', ...early, 'trial'] as const)('in %s goes on where it was', async (phase) => {
    const { device, letGo } = await heldIn(phase)
    await device.stop()
    letGo()
    await device.restart()
    if (phase !== 'trial') await device.updater.check()
    if (phase === 'waiting') {
      await device.in('waiting')
      await device.updater.install()
    }
    expect(await device.verdict('2')).toMatchObject({ outcome: 'committed' })
    const ranges = device.server.requests.filter(({ path }) => path.endsWith('model.onnx')).map(({ range }) => range)
    // Each byte is asked for once.
    expect(ranges).toEqual(
      phase === 'download' ? [undefined, expect.stringMatching(/^bytes=[1-9]\d{3,}-/)] : [undefined],
    )
    expect(device.vision.active).toBe('2')
  })

  test('row 60: whose process goes down for other reasons in a trial, goes on with it', async () => {
    const { device, letGo } = await heldIn('trial')
    for (let i = 0; i < 10; i++) {
      const { length } = device.vision.loads
      device.vision.crash(null)
      await device.until(() => device.vision.loads.length > length)
    }
    letGo()
    expect(await device.verdict('2')).toMatchObject({ outcome: 'committed' })
  })

  test('row 61: after the power was lost nine times in a trial, goes on with it', async () => {
    const { device, letGo } = await heldIn('trial')
    for (let losses = 0; losses < 9; losses++) await device.losePower()
    letGo()
    expect(await device.verdict('2')).toMatchObject({ outcome: 'committed' })
  })
})
