import { setImmediate } from 'node:timers/promises'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { early, heldIn } from '../support/held-update.ts'
import { tinyModel } from '../support/tiny-model.ts'
import { UpdatingDevice } from '../support/updating-device.ts'

// The first look by itself, and what hints lead to, come as late as they may.
beforeEach(() => {
  vi.spyOn(Math, 'random').mockReturnValue(0.999)
})
afterEach(() => {
  vi.restoreAllMocks()
})

describe('row 63: an update that is cancelled', () => {
  test.each(early)('in %s is over, and not tried again', async (phase) => {
    const { device, letGo } = await heldIn(phase)
    await device.updater.cancel()
    expect(device.status).toMatchObject({
      phase: 'idle',
      candidate: null,
      active: { version: '1' },
      last: { outcome: 'cancelled', code: 'cancelled', model: { version: '2' } },
    })
    letGo()
    expect((await device.look()).reason).toMatch(/has failed here \(cancelled\)/)
    expect(device.vision).toMatchObject({ active: '1', spare: undefined })
    expect(device.outcomes).toHaveLength(1)
  })

  test('in trial is rolled back', async () => {
    const { device, letGo } = await heldIn('trial')
    await device.updater.cancel()
    expect(await device.verdict('2')).toMatchObject({ outcome: 'rolled_back', code: 'cancelled' })
    letGo()
    await device.look()
    expect(device.vision).toMatchObject({ active: '1', spare: undefined })
  })

  test('in trial, after a start, before anything else is done, is rolled back', async () => {
    const { device } = await heldIn('trial')
    await device.stop()
    await device.open()
    expect(device.status).toMatchObject({ phase: 'trial', candidate: { version: '2' } })
    await device.updater.cancel()
    device.start()
    expect(await device.verdict('2')).toMatchObject({ outcome: 'rolled_back', code: 'cancelled' })
    await device.until(() => device.vision.active === '1')
  })

  test('when there is none, or it has ended: refused', async () => {
    const device = await UpdatingDevice.start()
    await expect(device.updater.cancel()).rejects.toMatchObject({ code: 'update_refused' })
    await device.offer('2')
    // As soon as it is told, though there still is something to be cleaned.
    await device.until(() => device.outcomes.length > 0)
    await expect(device.updater.cancel()).rejects.toMatchObject({ message: 'no update is under way' })
    expect(await device.verdict('2')).toMatchObject({ outcome: 'committed' })
    const { device: checking } = await heldIn('check')
    await expect(checking.updater.cancel()).rejects.toMatchObject({ message: 'no update is under way' })
  })
})

describe('row 63: another model that should run', () => {
  test.each(['check', ...early] as const)('while the first is in %s: the newest is taken', async (phase) => {
    const { device, letGo } = await heldIn(phase)
    await device.repository.offer(await tinyModel('3'))
    await device.updater.check()
    letGo()
    if (phase === 'waiting') {
      await device.until(({ candidate, phase }) => candidate?.version === '3' && phase === 'waiting')
      await device.updater.install()
    }
    expect(await device.verdict('3')).toMatchObject({ outcome: 'committed' })
    expect(device.outcomes).toHaveLength(1)
    expect(device.vision).toMatchObject({ active: '3', spare: undefined })
    expect(device.status.previous).toMatchObject({ version: '1' })
  })

  test('while the first is in trial: that comes to its end, and the newest is taken', async () => {
    const { device, letGo } = await heldIn('trial')
    await device.repository.offer(await tinyModel('3'))
    await device.updater.check()
    letGo()
    expect(await device.verdict('3')).toMatchObject({ outcome: 'committed' })
    expect(device.outcomes.map(({ model, outcome }) => `${model.version} ${outcome}`)).toEqual([
      '2 committed',
      '3 committed',
    ])
  })
})

describe('updates that are paused', () => {
  test.each(['check', ...early] as const)('in %s go on when they are resumed', async (phase) => {
    const { device, letGo } = await heldIn(phase)
    await device.updater.pause()
    expect(await device.in('idle')).toMatchObject({ paused: true, candidate: null })
    await expect(device.updater.check()).rejects.toMatchObject({ message: expect.stringMatching(/paused/) })
    letGo()
    await device.restart()
    expect(device.status).toMatchObject({ paused: true, phase: 'idle' })
    const { requests } = device.server
    const before = requests.length
    device.updater.hint(99)
    await device.updater.resume()
    if (phase === 'waiting') {
      await device.in('waiting')
      await device.updater.install()
    }
    expect(await device.verdict('2')).toMatchObject({ outcome: 'committed' })
    expect(requests.slice(before)[0]?.path).toMatch(/root/)
  })

  test('in trial let that come to its end, and then rest', async () => {
    const { device, letGo } = await heldIn('trial')
    await device.repository.offer(await tinyModel('3'))
    await device.updater.pause()
    letGo()
    expect(await device.verdict('2')).toMatchObject({ outcome: 'committed' })
    const before = device.server.requests.length
    await device.restart()
    for (let turn = 0; turn < 100; turn++) await setImmediate()
    expect(device.server.requests).toHaveLength(before)
    await device.updater.resume()
    expect(await device.verdict('3')).toMatchObject({ outcome: 'committed' })
  })

  test('while another command is carried out do not begin after it', async () => {
    const { device, letGo } = await heldIn('trial')
    letGo()
    await device.verdict('2')
    await device.repository.offer(await tinyModel('3'))
    const { promise: loaded, resolve: load } = Promise.withResolvers<void>()
    device.vision.loadCandidate = () => loaded
    const rolledBack = device.updater.rollback()
    await device.updater.check()
    for (let turn = 0; turn < 20; turn++) await setImmediate()
    await device.updater.pause()
    const before = device.server.requests.length
    load()
    await rolledBack
    for (let turn = 0; turn < 200; turn++) await setImmediate()
    expect(device.status).toMatchObject({ paused: true, phase: 'idle' })
    expect(device.server.requests).toHaveLength(before)
  })
})

describe('commands one after the other, and many at once', () => {
  const names = ['check', 'install', 'cancel', 'pause', 'resume', 'retry', 'rollback'] as const
  const command = fc.record({ name: fc.constantFrom(...names), turns: fc.nat(30) })

  test('wait for the end of what they end', async () => {
    const { device, letGo } = await heldIn('shadow')
    letGo()
    await device.verdict('2')
    const { promise: over, resolve: end } = Promise.withResolvers<void>()
    device.vision.selfTests = async (_, signal) => {
      await over
      throw signal.reason
    }
    await device.offer('3')
    await device.until(() => device.vision.loads.includes('self-test 3'))
    const cancelled = device.updater.cancel()
    const rolledBack = device.updater.rollback()
    for (let turn = 0; turn < 100; turn++) await setImmediate()
    expect(device.outcomes).toHaveLength(1)
    expect(device.vision.active).toBe('2')
    end()
    await Promise.all([cancelled, rolledBack])
    expect(device.outcomes.slice(1).map(({ code }) => code)).toEqual(['cancelled', 'rolled_back_by_command'])
    expect(device.vision.active).toBe('1')
  })

  test('never leave a device where it can not go on', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(command, { minLength: 1, maxLength: 12 }), async (commands) => {
        const device = await UpdatingDevice.start()
        await device.offer('2')
        const answers: Promise<unknown>[] = []
        for (const { name, turns } of commands) {
          for (let turn = 0; turn < turns; turn++) await setImmediate()
          answers.push(device.updater[name]().catch((error: unknown) => error))
        }
        for (const answer of await Promise.all(answers))
          if (answer !== undefined) expect(answer).toMatchObject({ code: 'update_refused' })
        if (device.status.paused) await device.updater.resume()
        await device.in('idle')
        await device.updater.retry()
        await device.offer('3')
        expect(await device.verdict('3')).toMatchObject({ outcome: 'committed' })
        expect(device.vision).toMatchObject({ active: '3', spare: undefined })
        await device.stop()
      }),
      { numRuns: 8 },
    )
  }, 120_000)
})
