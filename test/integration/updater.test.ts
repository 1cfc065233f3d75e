import { readdirSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import * as v from 'valibot'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { updateStatusSchema } from '../../src/core/update-status.ts'
import { tinyModel } from '../support/tiny-model.ts'
import { UpdatingDevice } from '../support/updating-device.ts'

// The first look by itself, and what hints lead to, come as late as they may.
beforeEach(() => {
  vi.spyOn(Math, 'random').mockReturnValue(0.999)
})
afterEach(() => {
  vi.restoreAllMocks()
})

const way = ['check', 'download', 'self_test', 'shadow', 'trial', 'idle']

describe('an update', () => {
  test('goes from a look to a new model that stays', async () => {
    const device = await UpdatingDevice.start()
    expect(v.parse(updateStatusSchema, device.status)).toMatchObject({
      phase: 'idle',
      active: { name: 'tiny', version: '1' },
      previous: null,
      metadata: null,
      last: null,
    })
    await device.offer('2', { rollbackIndex: 4 })
    expect(await device.verdict('2')).toMatchObject({ outcome: 'committed', code: 'done' })
    expect(device.phases).toEqual(way)
    expect(device.vision.loads).toEqual(['start 1', 'self-test 2', 'beside 2'])
    expect(device.vision).toMatchObject({ active: '2', spare: undefined })
    expect(device.outcomes).toEqual([device.status.last])
    expect(v.parse(updateStatusSchema, device.status)).toMatchObject({
      enabled: true,
      active: { name: 'tiny', version: '2' },
      previous: { name: 'tiny', version: '1' },
      candidate: null,
      percent: null,
      reason: null,
      rollout: 'yes',
      group: 'porch',
      metadata: { root: 1, timestamp: 2, snapshot: 2, targets: 2 },
      stale: null,
      shadow: { frames: expect.any(Number), agreement: 1, active_ms: 10, candidate_ms: 10 },
    })
    await device.look()
    expect(device.phases).toEqual([...way, 'check', 'idle'])
  })

  test('after the other: the files of two models stay', async () => {
    const device = await UpdatingDevice.start()
    for (const version of ['2', '3', '4']) {
      await device.offer(version)
      expect(await device.verdict(version)).toMatchObject({ outcome: 'committed' })
    }
    // By itself.
    await device.until(() => readdirSync(join(device.folder, 'models')).length === 2)
    await device.look()
    // Three each, and what says which one should run.
    expect(await readdir(join(device.folder, 'blobs'))).toHaveLength(7)
    expect(await readdir(join(device.folder, 'part'))).toEqual([])
    expect(device.status).toMatchObject({ active: { version: '4' }, previous: { version: '3' } })
  })

  test('row 65: tells how it ended once, and still knows after a start', async () => {
    const device = await UpdatingDevice.start()
    await device.offer('2')
    const last = await device.verdict('2')
    await device.restart()
    expect(device.status).toMatchObject({ last, active: { version: '2' }, phase: 'idle' })
    await device.look()
    expect(device.outcomes).toEqual([last])
    expect(device.vision.active).toBe('2')
  })

  test('tells how far it is', async () => {
    const device = await UpdatingDevice.start({ probationResults: 300 })
    await device.offer('2')
    await device.verdict('2')
    for (const text of ['download 0', 'download 100', 'shadow 0', 'trial 0']) expect(device.percents).toContain(text)
    expect(device.percents.filter((text) => /^trial [1-9]\d?$/.test(text)).length).toBeGreaterThan(5)
    expect(device.percents.length).toBeLessThan(400)
  })

  test('where no model works goes on without frames, and starts the new one', async () => {
    const device = await UpdatingDevice.start()
    await device.stop()
    await device.open()
    device.start({ hasVision: false })
    await device.offer('2')
    await device.in('trial')
    device.startVision()
    expect(await device.verdict('2')).toMatchObject({ outcome: 'committed' })
    expect(device.phases).toEqual(['check', 'download', 'self_test', 'trial', 'idle'])
    expect(device.vision.active).toBe('2')
  })

  test('does nothing where what should run is what the device came with', async () => {
    const device = await UpdatingDevice.start()
    await device.offer('1')
    await device.look()
    expect(device.outcomes).toEqual([])
    expect(device.vision.loads).toEqual(['start 1'])
    expect(new Set(device.phases)).toEqual(new Set(['check', 'idle']))
  })

  test('is off where there is nowhere to look', async () => {
    // It would look at once.
    vi.spyOn(Math, 'random').mockReturnValue(0)
    const device = await UpdatingDevice.start({ transports: [] })
    expect(device.status).toMatchObject({ enabled: false, group: null, active: { version: '1' } })
    for (const command of ['check', 'pause', 'resume', 'retry'] as const)
      await expect(device.updater[command]()).rejects.toMatchObject({ code: 'turned_off' })
    for (const command of ['cancel', 'install', 'rollback'] as const)
      await expect(device.updater[command]()).rejects.toMatchObject({ code: 'update_refused' })
    device.updater.hint(9)
    for (let turn = 0; turn < 100; turn++) await setImmediate()
    expect(device.phases).toEqual([])
    expect(device.server.requests).toEqual([])
  })
})

describe('a model that is not good', () => {
  const golden = { passed: false, fault: 'golden_mismatch', message: 'a.gz: another label' } as const

  test('row 59: by its self-test: it is not tried again until it is told to, not even after a start', async () => {
    const device = await UpdatingDevice.start()
    device.vision.selfTests = async () => golden
    await device.offer('2')
    expect(await device.verdict('2')).toMatchObject({
      outcome: 'failed',
      code: 'golden_mismatch',
      reason: expect.stringMatching(/label/),
    })
    for (let i = 0; i < 2; i++) {
      const { reason } = await device.look()
      expect(reason).toMatch(/tiny 2 has failed here \(golden_mismatch\)/)
      await device.restart()
    }
    expect(device.vision.loads.filter((load) => load.startsWith('self-test'))).toHaveLength(1)
    await device.until(() => device.vision.active === '1')
    device.vision.selfTests = async () => ({ passed: true, loadMs: 1, inferenceMs: 1, peakMb: 1 })
    await device.updater.retry()
    expect(await device.verdict('2', ({ outcome }) => outcome === 'committed')).toMatchObject({ code: 'done' })
    expect(device.status.reason).toBe(null)
  })

  test('row 59: by what it takes beside the other one', async () => {
    const device = await UpdatingDevice.start()
    device.vision.inferenceMs = (version) => (version === '2' ? 31 : 10)
    await device.offer('2')
    expect(await device.verdict('2')).toMatchObject({ outcome: 'failed', code: 'slow' })
    expect(device.vision).toMatchObject({ active: '1', spare: undefined })
    expect(device.phases).not.toContain('trial')
  })

  test('row 59: by what it says while it is in charge', async () => {
    const device = await UpdatingDevice.start()
    let results = 0
    device.vision.labels = (version) => (version === '2' || results++ % 2 === 0 ? 'cat' : 'dog')
    while (results < 200) await setImmediate()
    await device.offer('2')
    expect(await device.verdict('2')).toMatchObject({ outcome: 'rolled_back', code: 'constant' })
    expect(device.vision).toMatchObject({ active: '1', spare: undefined })
    expect((await device.look()).reason).toMatch(/has failed here \(constant\)/)
  })

  test('row 59: by NaN that comes out of it while it is in charge', async () => {
    const device = await UpdatingDevice.start()
    device.vision.failures = (version) => (version === '2' ? { fault: 'bad_output', message: 'NaN' } : undefined)
    await device.offer('2')
    expect(await device.verdict('2')).toMatchObject({ outcome: 'rolled_back', code: 'bad_output', reason: 'NaN' })
    await device.until(() => device.vision.active === '1')
    expect(device.vision.loads.slice(3)).toEqual(['start 1'])
  })

  test('row 59: by the broker that is out of reach since, which may be chance once', async () => {
    const device = await UpdatingDevice.start()
    Object.defineProperty(device, 'isConnected', { get: () => device.vision.active !== '2' })
    await device.offer('2')
    expect(await device.verdict('2')).toMatchObject({ outcome: 'rolled_back', code: 'mqtt_lost' })
    expect(device.vision).toMatchObject({ active: '1', spare: undefined })
    await device.updater.check()
    await device.until(() => device.outcomes.length === 2)
    expect((await device.look()).reason).toMatch(/has failed here \(mqtt_lost\)/)
  })

  test('row 56: by three deaths of the process that it is in charge of', async () => {
    const device = await UpdatingDevice.start()
    device.vision.failures = (version) => (version === '2' ? { fault: 'died', message: 'SIGSEGV' } : undefined)
    await device.offer('2')
    expect(await device.verdict('2')).toMatchObject({ outcome: 'rolled_back', code: 'died' })
    await device.until(() => device.vision.active === '1')
    expect(device.vision.loads.slice(3)).toEqual(['start 2', 'start 2', 'start 1'])
    await device.look()
    expect(device.vision.loads).toHaveLength(6)
  })

  test('row 56: by three deaths beside the one in charge', async () => {
    const device = await UpdatingDevice.start({ pollMs: 50 })
    device.vision.failures = () => (device.vision.spare === '2' ? { fault: 'died', message: 'SIGSEGV' } : undefined)
    await device.offer('2')
    expect(await device.verdict('2')).toMatchObject({ outcome: 'failed', code: 'died' })
    expect(device.vision.loads.filter((load) => load === 'beside 2')).toHaveLength(3)
    await device.until(() => device.vision.active === '1')
  })

  test('row 44: by its rollback index, whoever has signed it', async () => {
    const device = await UpdatingDevice.start()
    await device.offer('3', { rollbackIndex: 5 })
    await device.verdict('3')
    const { requests } = device.server
    const before = requests.length
    await device.offer('2', { rollbackIndex: 4 })
    expect(await device.verdict('2')).toMatchObject({ outcome: 'refused', code: 'downgrade' })
    expect(requests.slice(before).filter(({ path }) => path.includes('/models/'))).toEqual([])
    await device.offer('4', { rollbackIndex: 5 })
    expect(await device.verdict('4')).toMatchObject({ outcome: 'committed' })
  })

  test('row 45: since this sightd can not use it', async () => {
    const device = await UpdatingDevice.start()
    await device.repository.offer(await tinyModel('2', { manifest: { format: 2 } }))
    await device.updater.check()
    expect(await device.verdict('2')).toMatchObject({ outcome: 'refused', code: 'incompatible' })
    expect(device.vision.loads).toEqual(['start 1'])
    expect((await device.look()).reason).toMatch(/failed here \(incompatible\)/)
  })

  test('row 49: for want of room, or too large: that is told, and it is tried again at each look', async () => {
    const device = await UpdatingDevice.start({ reserveBytes: Number.MAX_SAFE_INTEGER / 2 })
    await device.repository.offer(await tinyModel('2'))
    await device.updater.check()
    expect(await device.verdict('2')).toMatchObject({
      outcome: 'failed',
      code: 'no_space',
      reason: expect.stringMatching(/MiB free/),
    })
    await device.look()
    expect(device.outcomes).toHaveLength(2)
    await device.restart({ reserveBytes: 0, maxModelBytes: 1000 })
    await device.updater.check()
    expect(await device.verdict('2', ({ code }) => code !== 'no_space')).toMatchObject({ code: 'too_large' })
    await device.restart({ maxModelBytes: 1_000_000 })
    await device.updater.check()
    expect(await device.verdict('2', ({ outcome }) => outcome === 'committed')).toMatchObject({ code: 'done' })
  })
})
