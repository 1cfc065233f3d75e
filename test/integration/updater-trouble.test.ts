import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { openTransport } from '../../src/ota/transport.ts'
import { failOpening } from '../support/failing-open.ts'
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

describe('a model that was good', () => {
  test('row 53: and is damaged is fetched again', async () => {
    const device = await UpdatingDevice.start()
    await device.offer('2')
    await device.verdict('2')
    for (const name of await readdir(join(device.folder, 'blobs')))
      await writeFile(join(device.folder, 'blobs', name), 'x')
    await device.restart()
    await device.until(() => device.vision.active === '1')
    expect(device.status).toMatchObject({ active: { version: '1' }, last: { outcome: 'failed', code: 'storage' } })
    await device.updater.check()
    expect(await device.verdict('2', ({ outcome }) => outcome === 'committed')).toMatchObject({ code: 'done' })
    expect(device.vision.active).toBe('2')
  })

  test('row 44: and is revoked runs on, and that is told', async () => {
    const device = await UpdatingDevice.start()
    await device.offer('2')
    await device.verdict('2')
    await device.repository.revoke('models/tiny/2/manifest.json')
    const { reason, active, rollout } = await device.look()
    expect(reason).toMatch(/tiny 2, which is in charge, is no longer approved/)
    expect({ active, rollout }).toMatchObject({ active: { version: '2' }, rollout: 'held' })
  })
})

describe('a network', () => {
  test('that is down is told, and tried again by itself', async () => {
    const device = await UpdatingDevice.start({ pollMs: 200 })
    device.server.spoil({ afterBytes: 0, by: 'cut' })
    await device.offer('2')
    const { reason, phase } = await device.until(({ reason }) => reason !== null)
    expect(reason).toMatch(/timestamp\.json/)
    expect(['idle', 'check']).toContain(phase)
    device.server.heal()
    expect(await device.verdict('2')).toMatchObject({ outcome: 'committed' })
    expect(device.status.reason).toBe(null)
  })

  test('that breaks off a download goes on where it was', async () => {
    const device = await UpdatingDevice.start({ pollMs: 200 })
    device.server.spoil({ afterBytes: 50_000, by: 'cut', times: 1 })
    await device.repository.offer(await tinyModel('2', { bytes: 120_000 }))
    await device.updater.check()
    expect(await device.verdict('2')).toMatchObject({ outcome: 'committed' })
    expect(device.server.bytesOf(/model\.onnx$/)).toBe(120_000)
  })

  test('whose metadata has expired: nothing is installed, the model runs on, and that is told', async () => {
    const device = await UpdatingDevice.start()
    await device.repository.offer(await tinyModel('2'), { nowMs: Date.now() - 8 * 86_400_000 })
    const { stale, rollout } = await device.look()
    expect(stale).toMatch(/expired/)
    expect(rollout).toBe(null)
    expect(device.vision).toMatchObject({ active: '1' })
    await device.repository.refresh()
    await device.updater.check()
    expect(await device.verdict('2')).toMatchObject({ outcome: 'committed' })
    expect(device.status.stale).toBe(null)
  })

  test('that is a folder does as well', async () => {
    const device = await UpdatingDevice.start()
    await device.restart({ transports: [openTransport(device.repository.repo)] })
    await device.offer('2')
    expect(await device.verdict('2')).toMatchObject({ outcome: 'committed' })
    expect(device.server.requests).toEqual([])
  })
})

test('row 50: a shadow run whose end can not be written down leaves no model beside the one in charge', async () => {
  const { device, letGo } = await heldIn('shadow')
  const heals = ['record.0', 'record.1'].map((name) => failOpening(name, 'EROFS'))
  letGo()
  const { reason } = await device.until(({ phase, reason }) => phase === 'idle' && reason !== null)
  expect(reason).toMatch(/record.*could not be stored/)
  for (const heal of heals) heal()
  expect(device.vision).toMatchObject({ active: '1', spare: undefined })
  await device.updater.check()
  expect(await device.verdict('2')).toMatchObject({ outcome: 'committed' })
})

test('row 21: a clock that falls back to 1970 does not fall behind what was signed', async () => {
  const device = await UpdatingDevice.start()
  await device.offer('2', { fromMs: Date.now() - 2 * 86_400_000 })
  await device.verdict('2')
  await device.restart()
  vi.spyOn(Date, 'now').mockReturnValue(0)
  expect(await device.look()).toMatchObject({ rollout: 'yes', stale: null })
})

test('row 53: a record that is damaged in both files leads back to the first model, and that is told', async () => {
  const device = await UpdatingDevice.start()
  await device.offer('2', { rollbackIndex: 3 })
  await device.verdict('2')
  await device.stop()
  for (const name of ['record.0', 'record.1']) {
    const bytes = await readFile(join(device.folder, name))
    await writeFile(join(device.folder, name), bytes.fill(0, 1000, 1001))
  }
  await device.restart()
  expect(device.said).toContain('what was known of updates is damaged: back to the first model')
  await device.until(() => device.vision.active === '1')
  expect(device.status).toMatchObject({ active: { version: '1' }, previous: null, last: null })
  await device.updater.check()
  expect(await device.verdict('2')).toMatchObject({ outcome: 'committed' })
})
