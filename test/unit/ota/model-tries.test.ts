import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Candidate, Ending } from '../../../src/ota/model-slots.ts'
import { candidate, nothingKnown, SlotsDevice } from '../../support/slots-device.ts'

const other: Candidate = { ...candidate, version: '3', sha256: '3'.repeat(64) }

/** Both kinds of risk: each begins a try, and says if it may not be. */
const risks: readonly [string, (device: SlotsDevice) => Promise<Ending | undefined>, Ending['outcome']][] = [
  ['a proof', (device) => device.slots.beginProof(candidate), 'failed'],
  ['a start in charge', (device) => device.slots.beginStart(), 'rolled_back'],
]

/** A device with a candidate that has done nothing wrong so far. */
async function trying(what: string): Promise<SlotsDevice> {
  const device = await SlotsDevice.start()
  if (what === 'a proof') return device
  await device.slots.beginTrial(candidate, nothingKnown)
  await device.slots.endTry()
  return device
}

describe.each(risks)('a candidate that is tried: %s', (what, begin, outcome) => {
  test('row 56: after three deaths it is never tried again', async () => {
    const device = await trying(what)
    for (let deaths = 0; deaths < 3; deaths++) {
      expect(await begin(device)).toBe(undefined)
      await device.restart()
    }
    const verdict = await begin(device)
    expect(verdict).toEqual({ outcome, code: 'died', reason: '3 processes have died of it', isBad: true })
    if (verdict === undefined) return
    await device.slots.giveUp(candidate, verdict)
    await device.restart()
    expect(device.slots.failureOf(candidate)).toBe('died')
    expect(device.record).toMatchObject({ candidate: null, stage: 'idle', tries: 0, active: null })
  })

  test('row 61: nine times the power is lost: it is tried again; after the tenth it is not', async () => {
    const device = await trying(what)
    for (let losses = 0; losses <= 9; losses++) {
      expect(await begin(device)).toBe(undefined)
      expect(device.record.powerLosses).toBe(losses)
      await device.losePower()
    }
    const reason = 'the power was lost 10 times while it was tried'
    expect(await begin(device)).toEqual({ outcome, code: 'died', reason, isBad: true })
  })

  test('row 64: what ends in order does not count, however often', async () => {
    const device = await trying(what)
    for (let i = 0; i < 100; i++) {
      expect(await begin(device)).toBe(undefined)
      await device.slots.endTry()
      if (i % 3 === 0) await device.restart()
      if (i % 3 === 1) await device.losePower()
    }
  })

  test('an end that is told twice is one end', async () => {
    const device = await trying(what)
    for (let deaths = 1; deaths <= 2; deaths++) {
      await begin(device)
      await device.restart()
      await begin(device)
      await device.slots.endTry()
      await device.slots.endTry()
    }
    expect(await begin(device)).toBe(undefined)
    await device.restart()
    expect(await begin(device)).toMatchObject({ code: 'died' })
  })

  test('where nobody knows which start of the board it is, each death is one', async () => {
    const device = await trying(what)
    for (let deaths = 0; deaths < 3; deaths++) {
      await device.restart('')
      expect(await begin(device)).toBe(undefined)
      await device.slots.endTry()
      expect(await begin(device)).toBe(undefined)
    }
    await device.restart('')
    expect(await begin(device)).toMatchObject({ code: 'died' })
  })

  test('rows 56 and 61: deaths and losses of power count apart, whatever comes in between', async () => {
    const event = fc.constantFrom<('end' | 'death' | 'loss')[]>('end', 'death', 'loss', 'loss', 'loss', 'loss')
    await fc.assert(
      fc.asyncProperty(fc.array(event, { minLength: 8, maxLength: 25 }), async (events) => {
        const device = await trying(what)
        let [deaths, losses] = [0, 0]
        for (const event of events) {
          const verdict = await begin(device)
          expect(verdict?.code).toBe(deaths >= 3 || losses >= 10 ? 'died' : undefined)
          if (verdict !== undefined) return
          if (event === 'end') await device.slots.endTry()
          else if (event === 'death') await device.restart()
          else await device.losePower()
          if (event === 'death') deaths++
          if (event === 'loss') losses++
        }
      }),
      { numRuns: 15 },
    )
  })
})

describe('a candidate', () => {
  test('row 61: that lost the power nine times on probation is committed', async () => {
    const device = await SlotsDevice.start()
    await device.slots.beginTrial(candidate, nothingKnown)
    for (let i = 0; i < 9; i++) {
      await device.losePower()
      expect(await device.slots.beginStart()).toBe(undefined)
    }
    expect(await device.slots.commit()).toMatchObject({ outcome: 'committed', model: { version: '2' } })
    await device.restart()
    const { rollbackIndex, ...active } = candidate
    expect(device.record).toMatchObject({ active, previous: 'factory', stage: 'idle', powerLosses: 0, tries: 0 })
  })

  test('begins with a clean sheet when it takes over, and so does another one', async () => {
    const device = await SlotsDevice.start()
    for (let deaths = 0; deaths < 2; deaths++) {
      await device.slots.beginProof(candidate)
      await device.restart()
    }
    await device.slots.beginTrial(candidate, nothingKnown)
    expect(device.record).toMatchObject({ tries: 1, powerLosses: 0, stage: 'trial' })
    await device.restart()
    expect(await device.slots.beginProof(other)).toBe(undefined)
    expect(device.record).toMatchObject({ candidate: other, tries: 1, writes: 1, stage: 'proving' })
  })

  test('row 64: that takes over again and again, and nobody can write down why not, is given up', async () => {
    const device = await SlotsDevice.start()
    let rounds = 0
    let verdict: Ending | undefined
    for (; verdict === undefined; rounds++) {
      verdict = await device.slots.beginProof(candidate)
      await device.slots.endTry()
      await device.slots.beginTrial(candidate, nothingKnown)
      await device.slots.endTry()
      await device.slots.beginTrial(candidate, nothingKnown)
    }
    expect(verdict).toMatchObject({ code: 'loop', isBad: true, reason: expect.stringMatching(/begun anew 64 times/) })
    expect(rounds).toBe(65)
  })

  test('is written down before anything is done with it', async () => {
    const device = await SlotsDevice.start()
    await device.slots.beginProof({ ...candidate, ...{ folder: 'models/tiny/2' } })
    await device.restart()
    expect(device.record).toMatchObject({ candidate, stage: 'proving', tries: 1, bootId: 'boot-1' })
    const baseline = { p50Ms: 1.5, p95Ms: 2, commonest: 0.25, isConnected: true }
    await device.slots.beginTrial(candidate, baseline)
    await device.restart()
    expect(device.record).toMatchObject({ candidate, stage: 'trial', baseline, active: null })
  })

  test('can not be committed when there is none', async () => {
    await expect((await SlotsDevice.start()).slots.commit()).rejects.toThrow('there is no candidate')
  })
})
