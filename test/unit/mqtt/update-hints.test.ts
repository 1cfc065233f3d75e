import fc from 'fast-check'
import { expect, test } from 'vitest'
import { UpdateHints } from '../../../src/mqtt/update-hints.ts'

const topic = 'sightd/update/hint'

function takeAll(payloads: readonly (string | Buffer)[]) {
  const hints: number[] = []
  const warnings: object[] = []
  const taker = new UpdateHints({
    topic,
    isEnabled: true,
    onHint: (version) => hints.push(version),
    log: { warn: (fields) => warnings.push(fields) },
  })
  for (const payload of payloads) taker.take({ topic, payload: Buffer.from(payload), isRetained: true })
  return { hints, warnings }
}

test('a hint is the version of a timestamp', () => {
  expect(takeAll(['{"timestamp":1}', ' { "timestamp" : 2147483647 } '])).toEqual({
    hints: [1, 2147483647],
    warnings: [],
  })
})

test('an empty message takes a hint away, and says nothing', () => {
  expect(takeAll([''])).toEqual({ hints: [], warnings: [] })
})

test.each([
  '{"timestamp":0}',
  '{"timestamp":-1}',
  '{"timestamp":1.5}',
  '{"timestamp":2147483648}',
  '{"timestamp":"1"}',
  '{"timestamp":1e999}',
  '{"timestamp":null}',
  '{"timestamp":1,"url":"http://evil"}',
  '{}',
  '[1]',
  '1',
  'null',
  '{',
  '\0',
  `{"timestamp":${' '.repeat(300)}1}`,
  '['.repeat(100_000),
])('%j is none', (payload) => {
  const { hints, warnings } = takeAll([payload])
  expect([hints, warnings.length]).toEqual([[], 1])
})

test('of many that are none, one is told, short and harmless to a terminal', () => {
  const { warnings } = takeAll(['\x1b[2J\u202e'.repeat(100), 'x', 'y'])
  expect(warnings).toEqual([{ topic, found: expect.stringMatching(/^[?[2J]{1,100}$/) }])
})

test('whatever comes, only versions are taken from it', () => {
  fc.assert(
    fc.property(fc.oneof(fc.json(), fc.string({ unit: 'binary' })), (payload) => {
      const { hints } = takeAll([payload])
      expect(hints.every((version) => Number.isInteger(version) && version > 0)).toBe(true)
    }),
  )
})

test('other topics are not meant, and nobody listens where there is nowhere to look', () => {
  const options = { topic, onHint: () => {}, log: { warn: () => {} } }
  const listening = new UpdateHints({ ...options, isEnabled: true })
  const hint = { payload: Buffer.from('{"timestamp":1}'), isRetained: false }
  expect(listening.take({ ...hint, topic })).toBe(true)
  expect(listening.take({ ...hint, topic: 'sightd/update/hints' })).toBe(false)
  expect(listening.subscriptions).toEqual([{ filter: topic, wantsRetained: true }])
  expect(new UpdateHints({ ...options, isEnabled: false }).subscriptions).toEqual([])
})
