import fc from 'fast-check'
import { expect, test } from 'vitest'
import { RateMeter } from '../../../src/ota/rate-meter.ts'

const meterOf = () => new RateMeter({ minBytesPerS: 1024, windowMs: 60_000 })

test('says nothing before a window is over, then the rate of a trickle', () => {
  const meter = meterOf()
  for (let i = 0; i < 299; i++) expect(meter.add(1, 200)).toBeUndefined()
  expect(meter.add(1, 200)).toBe(5)
})

test('takes the least that is due, and not a byte less', () => {
  const meter = meterOf()
  expect(meter.add(61_440, 60_000)).toBeUndefined()
  expect(meter.add(61_439, 60_000)).toBeCloseTo(1024, 1)
})

test('a burst does not pay for a later window', () => {
  const meter = meterOf()
  expect(meter.add(1e9, 60_000)).toBeUndefined()
  expect(meter.add(1, 60_000)).toBeLessThan(1)
})

test('complains of no source that keeps the rate, however its bytes come', () => {
  const pieces = fc.array(fc.integer({ min: 1, max: 70_000 }), { maxLength: 50 })
  fc.assert(
    fc.property(pieces, (waits) => {
      const meter = meterOf()
      for (const waitedMs of waits) expect(meter.add(Math.ceil(waitedMs * 1.024), waitedMs)).toBeUndefined()
    }),
  )
})

test('time in which we did not listen is not held against it', () => {
  const meter = meterOf()
  for (let i = 0; i < 1000; i++) expect(meter.add(1, 0)).toBeUndefined()
})
