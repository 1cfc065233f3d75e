import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readMessage, watchedKinds } from '../../../../src/cli/watch/messages.ts'
import { saidCurrent, saidEvent, saidInfo, saidMetrics, saidState } from '../../../support/said.ts'

const read = (topic: string, payload: string) => readMessage(topic, Buffer.from(payload), 'sightd')

const messages = [
  ['status', 'online'],
  ['info', saidInfo('porch')],
  ['state', saidState()],
  ['current', saidCurrent('person')],
  ['event', saidEvent()],
  ['metrics', saidMetrics()],
] as const

describe('readMessage', () => {
  test.each(messages)('understands what a device says on %s', (kind, payload) => {
    const heard = read(`sightd/porch/${kind}`, payload)
    expect(heard).toMatchObject({ id: 'porch', said: { kind } })
    if ('problem' in heard) return
    expect(heard.said.value).toBeDefined()
    expect(JSON.parse(heard.json)).toEqual(kind === 'status' ? payload : JSON.parse(payload))
  })

  test.each(messages.slice(1))('does not mind fields of a newer %s that it does not know', (kind, payload) => {
    const newer = JSON.stringify({ ...JSON.parse(payload), mood: { is: ['good'] }, __proto__: 1 })
    expect(read(`sightd/porch/${kind}`, newer)).toMatchObject({ said: { kind, value: { v: 1 } } })
    const deep = newer.replaceAll('{"', '{"new":1,"')
    expect(read(`sightd/porch/${kind}`, deep)).toMatchObject({ said: { kind, value: { v: 1 } } })
  })

  test.each([
    ['state', '{"v":1,"ts":"2026-11-25T08:00:00.000Z","status":"running"}'],
    ['metrics', '{"v":1,"ts":"2026-11-25T08:00:00.000Z"}'],
    ['info', '{"v":1,"name":"Porch"}'],
  ])('does not mind an older %s that lacks most', (kind, payload) => {
    expect(read(`sightd/porch/${kind}`, payload)).toMatchObject({ said: { kind } })
  })

  test.each(watchedKinds)('an empty message takes what was kept on %s away', (kind) => {
    expect(read(`sightd/porch/${kind}`, '')).toEqual({ id: 'porch', said: { kind }, json: 'null' })
  })

  test.each([
    ['sightd/porch/status', 'ONLINE', 'but received "ONLINE"'],
    ['sightd/porch/state', 'nonsense', 'not JSON'],
    ['sightd/porch/state', '[1]', 'v: Invalid key: Expected "v" but received undefined'],
    ['sightd/porch/state', 'null', 'Expected Object but received null'],
    ['sightd/porch/state', '{"v":1}', 'ts: Invalid key'],
    ['sightd/porch/state', saidState().replace('"v":1', '"v":2'), 'v: Invalid type: Expected 1 but received 2'],
    ['sightd/porch/state', saidState().replace('running', 'asleep'), 'but received "asleep"'],
    ['sightd/porch/current', '{"v":1,"ts":"today","summary":"x"}', 'ts: Invalid timestamp'],
    [
      'sightd/porch/event',
      saidEvent().replace('"score":0.82', '"score":82'),
      'score: Invalid value: Expected <=1 but received 82',
    ],
    ['sightd/Porch/state', saidState(), 'not a topic of a device'],
    ['sightd/porch/state/x', saidState(), 'not a topic of a device'],
    ['sightd/porch/result', saidState(), 'not a topic of a device'],
    ['sightd/all/request', '{}', 'not a topic of a device'],
    ['other/porch/state', saidState(), 'not a topic of a device'],
    ['sightdx/porch/state', saidState(), 'not a topic of a device'],
    ['sightd-porch/state', saidState(), 'not a topic of a device'],
    ['', '', 'not a topic of a device'],
  ])('makes nothing of %s: %.40s', (topic, payload, problem) => {
    expect(read(topic, payload)).toEqual({ problem: expect.stringContaining(problem) })
  })

  const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`
  const long = ':'.repeat(250_000)
  test.each([
    ['nesting', `{"v":1,"ts":"2026-11-25T08:00:00Z","status":"running","x":${deep}}`],
    ['nesting', `{"v":${deep}}`],
    ['nesting', deep],
    ['length', `{"v":"${long}"}`],
    ['length', JSON.stringify({ ...JSON.parse(saidState()), status: long })],
    ['length', `{"v":1,"ts":"${long}"}`],
    ['length', `{"v":1,"${long}":1}`],
    ['length', long],
  ])('%s takes neither long nor room: %.60s', (_, payload) => {
    const startMs = performance.now()
    const heard = read('sightd/porch/state', payload)
    expect(performance.now() - startMs).toBeLessThan(1000)
    expect('problem' in heard && heard.problem.length).toBeLessThan(250)
  })

  test('never throws, whatever comes', () => {
    const broken = fc
      .constantFrom(...messages)
      .chain(([kind, payload]) =>
        fc
          .tuple(fc.nat(payload.length), fc.nat(payload.length), fc.string())
          .map(([from, length, text]) => [kind, payload.slice(0, from) + text + payload.slice(from + length)] as const),
      )
    const anything = fc.tuple(
      fc.constantFrom(...watchedKinds),
      fc.oneof(
        fc.string({ unit: 'binary' }),
        fc.json(),
        fc.jsonValue().map((value) => JSON.stringify({ v: 1, value })),
      ),
    )
    fc.assert(
      fc.property(fc.oneof(broken, anything), ([kind, payload]) => {
        const heard = read(`sightd/porch/${kind}`, payload)
        expect('problem' in heard ? heard.problem : heard.id).not.toBe('')
      }),
    )
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.uint8Array(), (topic, payload) => {
        readMessage(topic, Buffer.from(payload), 'sightd')
        readMessage('sightd/porch/state', Buffer.from(payload), 'sightd')
      }),
    )
  })
})
