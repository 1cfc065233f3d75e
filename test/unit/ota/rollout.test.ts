import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { bucketOf, decideRollout, parseDesired } from '../../../src/ota/rollout.ts'

const fields = { model: 'models/a/2/manifest.json', percent: 25, salt: 'r7', from: '2030-06-01T00:00:00Z' }
const read = (changes: object) => parseDesired(Buffer.from(JSON.stringify({ ...fields, ...changes })), 'desired/a.json')
const nowMs = Date.parse('2030-06-02T00:00:00Z')
const devices = Array.from({ length: 2000 }, (_, i) => `device-${i}`)

/** Those of the devices that a rollout takes. */
function takePart(changes: object): string[] {
  const desired = read(changes)
  return devices.filter((id) => decideRollout(desired, id, nowMs) === 'yes')
}

describe('what a group should run', () => {
  test('is read', () => {
    expect(read({})).toEqual({ ...fields, from: Date.parse(fields.from), hold: false })
  })

  test.each([
    ['percent above 100', { percent: 100.01 }],
    ['percent below 0', { percent: -1 }],
    ['percent with three places', { percent: 1.005 }],
    ['percent in words', { percent: '10' }],
    ['no model', { model: '' }],
    ['no salt', { salt: '' }],
    ['a date that there is not', { from: '2030-02-30T00:00:00Z' }],
    ['a date without a zone', { from: '2030-02-03T00:00:00' }],
    ['hold in words', { hold: 'yes' }],
    ['a key that nobody knows', { precent: 10 }],
  ])('%s: refused', (_, changes) => {
    expect(() => read(changes)).toThrow(expect.objectContaining({ reason: 'malformed', what: 'desired/a.json' }))
  })

  test('more than 4 KiB are refused', () => {
    expect(() => read({ salt: 'x'.repeat(4096) })).toThrow(expect.objectContaining({ reason: 'too_large' }))
  })
})

describe('a rollout', () => {
  test('waits for its time, and while it is held', () => {
    expect(decideRollout(read({ percent: 100 }), 'a', Date.parse(fields.from) - 1)).toBe('not_yet')
    expect(decideRollout(read({ percent: 100 }), 'a', Date.parse(fields.from))).toBe('yes')
    expect(decideRollout(read({ percent: 100, hold: true }), 'a', nowMs)).toBe('held')
  })

  test('takes nobody at 0 and all at 100', () => {
    expect(takePart({ percent: 0 })).toEqual([])
    expect(takePart({ percent: 100 })).toEqual(devices)
  })

  test('takes about as many as it says', () => {
    for (const percent of [1, 10, 50]) {
      const share = (100 * takePart({ percent }).length) / devices.length
      // Four standard deviations of a binomial share.
      expect(Math.abs(share - percent)).toBeLessThan(4 * Math.sqrt((percent * (100 - percent)) / devices.length))
    }
  })

  test('takes a hundredth of a percent as it is written', () => {
    const taken = new Map(devices.slice(0, 40).map((id) => [id, bucketOf(fields.salt, id)]))
    for (const [id, bucket] of taken) {
      expect(decideRollout(read({ percent: bucket / 100 }), id, nowMs)).toBe('not_in_percent')
      expect(decideRollout(read({ percent: (bucket + 1) / 100 }), id, nowMs)).toBe('yes')
    }
  })

  test('row 72: a growing percent only adds devices', () => {
    const percent = fc.integer({ min: 0, max: 10_000 }).map((hundredths) => hundredths / 100)
    fc.assert(
      fc.property(percent, percent, fc.string({ minLength: 1 }), (a, b, id) => {
        const [less, more] = [Math.min(a, b), Math.max(a, b)]
        if (decideRollout(read({ percent: less }), id, nowMs) === 'yes')
          expect(decideRollout(read({ percent: more }), id, nowMs)).toBe('yes')
      }),
    )
  })

  test('row 72: another salt has other devices first', () => {
    const others = new Set(takePart({ percent: 10, salt: 'r8' }))
    const both = takePart({ percent: 10 }).filter((id) => others.has(id))
    expect(both.length).toBeLessThan(devices.length / 20)
  })

  /** `printf 'salt\0device' | sha256sum` begins with bd35a077. */
  test('the bucket is what others can compute', () => {
    expect(bucketOf('salt', 'device')).toBe(0xbd35a077 % 10_000)
    expect(bucketOf('a', 'bc')).not.toBe(bucketOf('ab', 'c'))
  })
})
