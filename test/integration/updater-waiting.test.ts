import { setImmediate } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { heldIn } from '../support/held-update.ts'
import { tinyModel } from '../support/tiny-model.ts'
import { UpdatingDevice } from '../support/updating-device.ts'

// The first look by itself, and what hints lead to, come as late as they may.
beforeEach(() => {
  vi.spyOn(Math, 'random').mockReturnValue(0.999)
})
afterEach(() => {
  vi.restoreAllMocks()
})

describe('a model that waits', () => {
  test('for consent takes over when that is given', async () => {
    const { device } = await heldIn('waiting')
    expect(device.status).toMatchObject({ needs_consent: true, reason: 'it waits for install_update' })
    expect(device.vision).toMatchObject({ active: '1', spare: undefined })
    await device.updater.install()
    expect(await device.verdict('2')).toMatchObject({ outcome: 'committed' })
    expect(device.status).toMatchObject({ needs_consent: false, reason: null })
    await expect(device.updater.install()).rejects.toMatchObject({ message: 'no model waits to be installed' })
  })

  test('for its window takes over in it, or when it is told to', async () => {
    let isOpen = false
    const device = await UpdatingDevice.start({ mayTakeOver: () => isOpen, pollMs: 1000 })
    await device.offer('2')
    expect(await device.in('waiting')).toMatchObject({ needs_consent: false, reason: 'it waits for its window' })
    await device.updater.install()
    expect(await device.verdict('2')).toMatchObject({ outcome: 'committed' })
    await device.offer('3')
    await device.in('waiting')
    isOpen = true
    expect(await device.verdict('3')).toMatchObject({ outcome: 'committed' })
  })

  test('has to be asked for anew after each start', async () => {
    const { device } = await heldIn('waiting')
    await device.restart()
    await device.updater.check()
    await device.in('waiting')
    for (let turn = 0; turn < 20; turn++) await setImmediate()
    expect(device.status.phase).toBe('waiting')
  })

  test('row 64: and is looked for again fifty times is no worse for it', async () => {
    const { device } = await heldIn('waiting')
    for (let i = 0; i < 50; i++) {
      const { length } = device.phases
      await device.updater.check()
      await device.until(({ phase }) => phase === 'waiting' && device.phases.length > length)
    }
    await device.updater.install()
    expect(await device.verdict('2')).toMatchObject({ outcome: 'committed' })
  })

  test.each([
    ['revoked', (device: UpdatingDevice) => device.repository.revoke('models/tiny/2/manifest.json'), /wanted/],
    [
      'held',
      (device: UpdatingDevice) => device.repository.desire('porch', 'models/tiny/2/manifest.json', { hold: true }),
      /wanted/,
    ],
  ])('row 44: and is %s meanwhile is not installed', async (_, change) => {
    const device = await UpdatingDevice.start({ needsConsent: true, pollMs: 1000 })
    await device.offer('2')
    await device.in('waiting')
    await change(device)
    // By itself.
    await device.until(({ phase, rollout }) => phase === 'idle' && rollout === 'held')
    await expect(device.updater.install()).rejects.toMatchObject({ code: 'update_refused' })
    expect(device.vision).toMatchObject({ active: '1' })
  })

  test('goes on waiting when nobody can be asked', async () => {
    const device = await UpdatingDevice.start({ needsConsent: true, pollMs: 1000 })
    await device.offer('2')
    await device.in('waiting')
    device.server.spoil({ afterBytes: 0, by: 'cut' })
    const { spoilt } = device.server
    await device.until(() => device.server.spoilt > spoilt)
    for (let turn = 0; turn < 200; turn++) await setImmediate()
    expect(device.status.phase).toBe('waiting')
    await device.updater.install()
    expect(await device.verdict('2')).toMatchObject({ outcome: 'committed' })
  })
})

describe('hints', () => {
  test('of a timestamp that is newer lead to a look, others do not', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(0)
    const device = await UpdatingDevice.start()
    await device.until(({ checked, phase }) => checked !== null && phase === 'idle')
    await device.repository.offer(await tinyModel('2'))
    const before = device.server.requests.length
    device.updater.hint(1)
    for (let turn = 0; turn < 200; turn++) await setImmediate()
    expect(device.server.requests).toHaveLength(before)
    device.updater.hint(2)
    expect(await device.verdict('2')).toMatchObject({ outcome: 'committed' })
  })

  test('that are lies do not keep a model from its end', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(0)
    const { device, letGo } = await heldIn('shadow')
    for (let version = 100; version < 110; version++) {
      device.updater.hint(version)
      for (let turn = 0; turn < 1000; turn++) await setImmediate()
      await device.in('shadow')
    }
    expect(device.vision.loads.filter((load) => load === 'beside 2').length).toBeLessThanOrEqual(2)
    letGo()
    expect(await device.verdict('2')).toMatchObject({ outcome: 'committed' })
  })
})
