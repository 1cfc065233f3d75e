import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Candidate, Ending } from '../../../src/ota/model-slots.ts'
import { failOpening } from '../../support/failing-open.ts'
import { candidate, factory, failed, SlotsDevice } from '../../support/slots-device.ts'

describe('a model that stays', () => {
  test('row 44: raises the floor, and never lowers it', async () => {
    const device = await SlotsDevice.start()
    for (const [version, index, floor] of [
      ['2', 7, 7],
      ['3', 7, 7],
      ['4', 9, 9],
      ['5', 3, 9],
    ] as const) {
      await device.commit(await device.model(version, index))
      await device.restart()
      expect(device.record).toMatchObject({ floor, active: { version } })
    }
    expect(device.record.previous).toMatchObject({ version: '4' })
    await device.slots.goBack(failed)
    await device.slots.forgive()
    expect(device.record.floor).toBe(9)
  })
})

describe('the model in charge', () => {
  /** With two models above that of the factory. */
  async function charged() {
    const device = await SlotsDevice.start({ floor: 5 })
    const [two, three] = [await device.model('2'), await device.model('3')]
    for (const model of [two, three]) await device.commit(model)
    return { device, two, three }
  }

  test('is what the device came with until another one stays', async () => {
    const { device, two, three } = await charged()
    expect(await (await SlotsDevice.start()).slots.active()).toEqual({ source: factory })
    expect(await device.slots.active()).toEqual({ source: device.sourceOf(three) })
    expect(await device.slots.previous()).toEqual(device.sourceOf(two))
  })

  test('row 53: is damaged: the one before takes its place', async () => {
    const { device, two, three } = await charged()
    await device.damage(three)
    const lost = expect.objectContaining({ version: '3', sha256: three.sha256 })
    expect(await device.slots.active()).toEqual({ source: device.sourceOf(two), lost })
    await device.restart()
    expect(await device.slots.active()).toEqual({ source: device.sourceOf(two) })
    expect(device.record).toMatchObject({
      active: { version: '2' },
      previous: null,
      floor: 5,
      bad: [],
      last: { outcome: 'failed', code: 'storage', model: { version: '3' } },
    })
    expect(await device.slots.previous()).toBe(undefined)
    expect(await device.slots.goBack(failed)).toBe(undefined)
  })

  test('row 62: is damaged, and the one before as well: back to that of the factory', async () => {
    const { device, two, three } = await charged()
    for (const model of [two, three]) await device.damage(model)
    expect(await device.slots.previous()).toBe(undefined)
    expect(await device.slots.active()).toMatchObject({ source: factory, lost: { version: '3' } })
    await device.restart()
    expect(device.record).toMatchObject({ active: null, previous: null, floor: 5, bad: [] })
    expect(await device.slots.active()).toEqual({ source: factory })
  })

  test('row 53: is damaged, and the one before is that of the factory', async () => {
    const device = await SlotsDevice.start()
    const two = await device.model('2')
    await device.commit(two)
    expect(await device.slots.previous()).toEqual(factory)
    await rm(join(device.folder, 'blobs'), { recursive: true })
    expect(await device.slots.active()).toMatchObject({ source: factory, lost: { version: '2' } })
    expect(device.record).toMatchObject({ active: null, previous: null })
  })

  test('can not be loaded any more, though its files are as they were: the one before takes its place', async () => {
    const { device, two, three } = await charged()
    expect(await device.slots.active(false)).toMatchObject({ source: device.sourceOf(two), lost: { version: '3' } })
    expect(device.record).toMatchObject({ active: { version: '2' }, previous: null })
    expect(device.slots.failureOf(three)).toBe(undefined)
  })

  test.each([
    ['EMFILE', false],
    ['EIO', true],
  ])('can not be read (%s): whether it is given up is %s', async (code, isGivenUp) => {
    const { device, two, three } = await charged()
    const heal = failOpening(three.sha256, code)
    expect(await device.slots.active()).toMatchObject({ source: device.sourceOf(two), lost: { version: '3' } })
    heal()
    await device.restart()
    expect(await device.slots.active()).toEqual({ source: device.sourceOf(isGivenUp ? two : three) })
  })

  test('is damaged, and that can not be written down: it is found again at the next start', async () => {
    const { device, two, three } = await charged()
    await device.damage(three)
    const heals = ['record.0', 'record.1'].map((name) => failOpening(name, 'EIO'))
    for (let i = 0; i < 2; i++)
      expect(await device.slots.active()).toMatchObject({ source: device.sourceOf(two), lost: { version: '3' } })
    for (const heal of heals) heal()
    expect(device.record).toMatchObject({ active: { version: '3' } })
    await device.slots.active()
    expect(device.record).toMatchObject({ active: { version: '2' } })
  })

  test('goes back to the one before: it is not tried again, and there is no way further back', async () => {
    const { device, two, three } = await charged()
    const ending: Ending = { outcome: 'rolled_back', code: 'rolled_back_by_command', reason: 'by command', isBad: true }
    expect(await device.slots.goBack(ending)).toMatchObject({ outcome: 'rolled_back', model: { version: '3' } })
    await device.restart()
    expect(await device.slots.active()).toEqual({ source: device.sourceOf(two) })
    expect(device.record).toMatchObject({ previous: null, bad: [[three.sha256, 'rolled_back_by_command']] })
    expect(await device.slots.goBack(ending)).toBe(undefined)
    expect(device.record).toMatchObject({ active: { version: '2' } })
  })

  test('goes back to that of the factory', async () => {
    const device = await SlotsDevice.start()
    await device.commit(await device.model('2'))
    await device.slots.goBack(failed)
    expect(device.record).toMatchObject({ active: null, previous: null })
    expect(await device.slots.active()).toEqual({ source: factory })
    expect(await device.slots.goBack(failed)).toBe(undefined)
  })

  test('keeps its files, and so do the one before and the candidate, when it is cleaned', async () => {
    const { device, two, three } = await charged()
    const [four, five] = [await device.model('4'), await device.model('5')]
    await device.slots.beginProof(four)
    await device.slots.clean([five.sha256])
    for (const model of [two, three, four]) expect(await device.store.ready(model)).toEqual(device.sourceOf(model))
    expect(await readdir(join(device.folder, 'blobs'))).toHaveLength(3 * 3 + 1)
    await device.slots.giveUp(four, failed)
    await device.slots.clean([])
    expect(await readdir(join(device.folder, 'blobs'))).toHaveLength(2 * 3)
  })
})

const other: Candidate = { ...candidate, version: '3', sha256: '3'.repeat(64) }

describe('failures', () => {
  const model = (i: number): Candidate => ({ ...candidate, sha256: String(i).padStart(64, '0') })

  test('are kept in their order, each once, no more than 32', async () => {
    const device = await SlotsDevice.start()
    for (let i = 0; i < 40; i++) await device.slots.giveUp(model(i), failed)
    expect(device.record.bad.map(([digest]) => Number(digest))).toEqual(Array.from({ length: 32 }, (_, i) => i + 8))
    await device.slots.giveUp(model(20), { ...failed, code: 'died' })
    expect(device.record.bad).toHaveLength(32)
    expect(device.record.bad.at(-1)).toEqual([model(20).sha256, 'died'])
    await device.restart()
    expect(device.slots.failureOf(model(39))).toBe('golden_mismatch')
    expect(device.slots.failureOf(model(20))).toBe('died')
    expect(device.slots.failureOf(model(7))).toBe(undefined)
  })

  test('are not all the fault of a model', async () => {
    const device = await SlotsDevice.start()
    const ending: Ending = { outcome: 'failed', code: 'no_space', reason: 'the disk is full', isBad: false }
    await device.slots.beginProof(candidate)
    expect(await device.slots.giveUp(candidate, ending)).toMatchObject({ outcome: 'failed', code: 'no_space' })
    expect(device.slots.failureOf(candidate)).toBe(undefined)
    expect(device.record).toMatchObject({ candidate: null, last: { code: 'no_space', reason: 'the disk is full' } })
  })

  test('are forgiven all at once', async () => {
    const device = await SlotsDevice.start()
    await device.slots.giveUp(other, failed)
    for (let deaths = 0; deaths < 3; deaths++) {
      await device.slots.beginProof(candidate)
      await device.restart()
    }
    await device.slots.forgive()
    await device.restart()
    expect(device.slots.failureOf(other)).toBe(undefined)
    expect(await device.slots.beginProof(candidate)).toBe(undefined)
    expect(device.record).toMatchObject({ tries: 1, powerLosses: 0, last: null })
  })
})

test('whether it is paused, and the earliest time that it can be, outlive the process', async () => {
  const device = await SlotsDevice.start()
  await device.slots.pause(true)
  await device.slots.raiseTimeFloor(1_800_000_000_000)
  await device.restart()
  expect(device.record).toMatchObject({ paused: true, timeFloorMs: 1_800_000_000_000 })
})
