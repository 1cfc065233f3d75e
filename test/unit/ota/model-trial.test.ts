import { setImmediate } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import type { ModelFault } from '../../../src/core/model-trial.ts'
import type { Ending } from '../../../src/ota/model-slots.ts'
import { never } from '../../support/downloads.ts'
import { failOpening } from '../../support/failing-open.ts'
import { holdLongWaits } from '../../support/held-waits.ts'
import { factory } from '../../support/slots-device.ts'
import { result, TrialDevice } from '../../support/trial-device.ts'

const byCommand: Ending = { outcome: 'cancelled', code: 'cancelled', reason: 'by command', isBad: true }
describe('a candidate that takes over', () => {
  test('stays when it behaves, and what was before is let go', async () => {
    const device = await TrialDevice.start()
    expect(await device.trial.nextModel()).toEqual(factory)
    const { outcome } = await device.takeOver()
    expect(device.record).toMatchObject({ stage: 'trial', tries: 1, active: null })
    await device.behave()
    expect(await outcome).toMatchObject({ outcome: 'committed', code: 'done', model: { version: '2' } })
    expect(device.stage.told).toEqual(['swap', 'release'])
    expect(await device.trial.nextModel()).toEqual(device.sources.candidate)
    expect(device.record).toMatchObject({ active: { version: '2' }, previous: 'factory', floor: 7, stage: 'idle' })
  })

  test('is held against what the model before was like, also after a start', async () => {
    const device = await TrialDevice.start()
    for (let i = 0; i < 100; i++) device.trial.noteResult({ inferenceMs: 10, label: i % 2 === 0 ? 'cat' : '' })
    device.trial.noteThrottled(true)
    for (let i = 0; i < 100; i++) device.trial.noteResult({ inferenceMs: 99, label: 'cat' })
    device.trial.noteThrottled(false)
    const abort = new AbortController()
    const { outcome } = await device.takeOver(abort.signal)
    abort.abort()
    expect(await outcome).toBe(undefined)
    const baseline = { p50Ms: 10, p95Ms: 10, commonest: 0.5, isConnected: true }
    expect(device.record).toMatchObject({ stage: 'trial', tries: 0, baseline })
    await device.restart()
    expect(await device.trial.nextModel()).toEqual(device.sources.candidate)
    const watched = device.trial.watch(never)
    await device.behave()
    expect(await watched).toMatchObject({ outcome: 'rolled_back', code: 'constant' })
  })

  test('where no model works is started as the one in charge, and that does not count as a death', async () => {
    const device = await TrialDevice.start()
    device.stage.isServing = false
    device.stage.exchange = async () => {
      throw new Error('no process')
    }
    const outcome = device.trial.takeOver(device.candidate, never)
    while (!device.stage.told.includes('restart')) await setImmediate()
    expect(await device.trial.nextModel()).toEqual(device.sources.candidate)
    expect(device.record).toMatchObject({ tries: 1, stage: 'trial' })
    await device.behave()
    expect(await outcome).toMatchObject({ outcome: 'committed' })
  })

  test('that could not be written down does not', async () => {
    const device = await TrialDevice.start()
    const heals = ['record.0', 'record.1'].map((name) => failOpening(name, 'EIO'))
    await expect(device.trial.takeOver(device.candidate, never)).rejects.toMatchObject({ reason: 'store_failed' })
    for (const heal of heals) heal()
    expect(device.stage.told).toEqual([])
    expect(device.record).toMatchObject({ stage: 'idle', candidate: null })
    expect(await device.trial.nextModel()).toEqual(factory)
  })

  test('and is cancelled at once goes back', async () => {
    const device = await TrialDevice.start()
    const outcome = device.trial.takeOver(device.candidate, never)
    device.trial.end(byCommand)
    expect(await outcome).toMatchObject({ outcome: 'cancelled', code: 'cancelled' })
    expect(device.stage.told).toEqual(['swap', 'swap', 'release'])
    expect(await device.trial.nextModel()).toEqual(factory)
  })
})

describe('a candidate on probation', () => {
  test('row 56: that takes its process down three times is rolled back and not tried again', async () => {
    const device = await TrialDevice.start()
    const { outcome } = await device.takeOver()
    for (let deaths = 1; deaths <= 2; deaths++) {
      device.trial.noteDown({ fault: 'died', message: 'SIGSEGV' })
      expect(await device.trial.nextModel()).toEqual(device.sources.candidate)
    }
    device.trial.noteDown({ fault: 'died', message: 'SIGSEGV' })
    expect(await device.trial.nextModel()).toEqual(factory)
    // By then it is written down.
    expect(device.slots.slots.failureOf(device.candidate)).toBe('died')
    await device.restart()
    expect(device.record).toMatchObject({ stage: 'idle', bad: [[device.candidate.sha256, 'died']] })
    expect(await outcome).toMatchObject({ outcome: 'rolled_back', code: 'died' })
  })

  test('row 56: that takes us down three times as well', async () => {
    const device = await TrialDevice.start()
    await device.takeOver()
    for (let deaths = 1; deaths <= 2; deaths++) {
      await device.restart()
      void device.trial.watch(never)
      expect(await device.trial.nextModel()).toEqual(device.sources.candidate)
    }
    await device.restart()
    // The vision side asks before anyone follows the trial.
    expect(await device.trial.nextModel()).toEqual(factory)
    expect(await device.trial.watch(never)).toMatchObject({ outcome: 'rolled_back', code: 'died' })
    expect(device.slots.slots.failureOf(device.candidate)).toBe('died')
    // Nothing is there that could be swapped.
    expect(device.stage.told).toEqual(['release'])
  })

  test('row 60: whose process goes down for other reasons, however often, stays', async () => {
    const device = await TrialDevice.start()
    const { outcome } = await device.takeOver()
    for (let i = 0; i < 20; i++) {
      device.trial.noteDown(null)
      expect(await device.trial.nextModel()).toEqual(device.sources.candidate)
    }
    await device.behave()
    expect(await outcome).toMatchObject({ outcome: 'committed' })
  })

  const faults: ModelFault[] = ['model_invalid', 'bad_output', 'hung', 'memory', 'golden_mismatch']

  test.each(faults)('rows 57 to 59: that fails (%s) is rolled back at once', async (fault) => {
    const device = await TrialDevice.start()
    const { outcome } = await device.takeOver()
    device.trial.noteDown({ fault, message: 'so it is' })
    expect(device.stage.told).toEqual(['swap', 'restart'])
    expect(await device.trial.nextModel()).toEqual(factory)
    expect(await outcome).toMatchObject({ outcome: 'rolled_back', code: fault, reason: 'so it is' })
    expect(device.record).toMatchObject({ active: null, bad: [[device.candidate.sha256, fault]] })
    expect(device.stage.told).toEqual(['swap', 'restart', 'release'])
  })

  test('row 59: that is slow is rolled back by a swap, and not tried again', async () => {
    const device = await TrialDevice.start({ results: 1000 })
    for (let i = 0; i < 100; i++) device.trial.noteResult(result)
    const { outcome } = await device.takeOver()
    for (let i = 0; i < 100; i++) device.trial.noteResult({ inferenceMs: 20, label: 'cat' })
    expect(await outcome).toMatchObject({ outcome: 'rolled_back', code: 'slow' })
    expect(device.slots.slots.failureOf(device.candidate)).toBe('slow')
    expect(device.stage.told).toEqual(['swap', 'swap', 'release'])
  })

  test('that is cancelled goes back by a swap, or by a new start where there is nothing to swap to', async () => {
    for (const hasSpare of [true, false]) {
      const device = await TrialDevice.start()
      const { outcome } = await device.takeOver()
      if (!hasSpare)
        device.stage.exchange = async () => {
          throw new Error('no second model')
        }
      device.trial.end(byCommand)
      device.trial.end({ ...byCommand, code: 'loop' })
      expect(await outcome).toMatchObject({ outcome: 'cancelled', code: 'cancelled' })
      expect(device.stage.told).toEqual(hasSpare ? ['swap', 'swap', 'release'] : ['swap', 'swap', 'restart', 'release'])
      expect(device.slots.slots.failureOf(device.candidate)).toBe('cancelled')
    }
  })

  test('row 53: whose files are damaged is rolled back, and may be tried again', async () => {
    const device = await TrialDevice.start()
    const { outcome } = await device.takeOver()
    await device.slots.damage(device.candidate)
    device.trial.noteDown({ fault: 'died', message: 'SIGKILL' })
    expect(await device.trial.nextModel()).toEqual(factory)
    expect(await outcome).toMatchObject({ outcome: 'rolled_back', code: 'storage' })
    expect(device.slots.slots.failureOf(device.candidate)).toBe(undefined)
  })

  test('row 60: without a camera for a day is rolled back, and may be tried again', async () => {
    const pass = holdLongWaits()
    const device = await TrialDevice.start()
    const { outcome } = await device.takeOver()
    device.trial.noteResult(result)
    pass()
    expect(await outcome).toMatchObject({ outcome: 'rolled_back', code: 'inconclusive' })
    expect(device.slots.slots.failureOf(device.candidate)).toBe(undefined)
    expect(device.stage.told).toEqual(['swap', 'swap', 'release'])
  })

  test('row 50: that can not be committed is rolled back, and is not started again by this process', async () => {
    const device = await TrialDevice.start()
    const { outcome } = await device.takeOver()
    const heals = ['record.0', 'record.1'].map((name) => failOpening(name, 'EROFS'))
    let told: Awaited<typeof outcome>
    void outcome.then((value) => {
      told = value
    })
    while (told === undefined) {
      device.trial.noteResult(result)
      await setImmediate()
    }
    expect(told).toMatchObject({ outcome: 'rolled_back', code: 'store_failed' })
    expect(device.stage.told).toEqual(['swap', 'swap', 'release'])
    expect(device.said).toEqual(['that a model was rolled back could not be stored'])
    for (const heal of heals) heal()
    expect(await device.trial.nextModel()).toEqual(factory)
    // A new one finds it on probation, as it was written down at last.
    await device.restart()
    expect(await device.trial.nextModel()).toEqual(device.sources.candidate)
  })

  test('row 50: whose start can not be written down is not started', async () => {
    const device = await TrialDevice.start()
    await device.takeOver()
    await device.restart()
    const heals = ['record.0', 'record.1'].map((name) => failOpening(name, 'EROFS'))
    expect(await device.trial.nextModel()).toEqual(factory)
    expect(await device.trial.watch(never)).toMatchObject({ outcome: 'rolled_back', code: 'store_failed' })
    for (const heal of heals) heal()
  })

  test('row 61: that loses the power nine times stays', async () => {
    const device = await TrialDevice.start()
    await device.takeOver()
    for (let losses = 1; losses <= 9; losses++) {
      await device.restart(`after-${losses}`)
      expect(await device.trial.nextModel()).toEqual(device.sources.candidate)
    }
    const outcome = device.trial.watch(never)
    await device.behave()
    expect(await outcome).toMatchObject({ outcome: 'committed' })
  })
})

describe('the model in charge', () => {
  test('that can not be loaded any more makes place for the one before', async () => {
    const device = await TrialDevice.start()
    await device.slots.commit(device.candidate)
    expect(await device.trial.nextModel()).toEqual(device.sources.candidate)
    for (const fault of ['died', 'hung', 'bad_output'] as const) device.trial.noteDown({ fault, message: 'x' })
    expect(device.stage.told).toEqual([])
    expect(await device.trial.nextModel()).toEqual(device.sources.candidate)
    device.trial.noteDown({ fault: 'model_invalid', message: 'an operator that there is no more' })
    expect(device.stage.told).toEqual(['restart'])
    expect(await device.trial.nextModel()).toEqual(factory)
    expect(device.said).toHaveLength(1)
    // There is nothing to go back to.
    device.trial.noteDown({ fault: 'model_invalid', message: 'this one as well' })
    expect(device.stage.told).toEqual(['restart'])
  })
})
