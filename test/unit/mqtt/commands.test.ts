import fc from 'fast-check'
import * as v from 'valibot'
import { describe, expect, test } from 'vitest'
import { SightdError } from '../../../src/core/errors.ts'
import { CommandDesk, type CommandDeskOptions, command } from '../../../src/mqtt/commands.ts'
import { responseSchema } from '../../../src/mqtt/messages.ts'
import { deviceTopics } from '../../../src/mqtt/topics.ts'
import type { IncomingMessage, OutgoingMessage } from '../../../src/mqtt/wire.ts'

const topics = deviceTopics('sightd', 'porch')
const quiet = { info: () => {}, warn: () => {} }

function deskWith(options: Partial<CommandDeskOptions> = {}) {
  const replies: OutgoingMessage[] = []
  let runs = 0
  const desk = new CommandDesk({
    topics,
    commands: {
      ping: command({}, () => ({ run: ++runs })),
      add: command({ a: v.number(), b: v.number() }, ({ a, b }) => ({ sum: a + b })),
      fail: command({}, () => {
        throw new SightdError('picture_failed', 'no light')
      }),
    },
    properties: { threshold: async (value) => ({ value }) },
    broadcast: ['ping'],
    maxBroadcastDelayMs: 0,
    reply: (message) => replies.push(message),
    log: quiet,
    signal: new AbortController().signal,
    ...options,
  })
  return {
    desk,
    replies,
    answers: () =>
      replies.map(({ topic, payload }) => ({ topic, ...v.parse(responseSchema, JSON.parse(`${payload}`)) })),
  }
}

function request(topic: string, payload: unknown = '', message: Partial<IncomingMessage> = {}): IncomingMessage {
  const bytes = typeof payload === 'string' ? Buffer.from(payload) : Buffer.from(JSON.stringify(payload))
  return { topic: `sightd/porch/${topic}`, payload: bytes, isRetained: false, ...message }
}

describe('a request', () => {
  test('is answered on its response topic, with its transaction', async () => {
    const { desk, answers } = deskWith()
    await desk.take(request('request/add', { a: 1, b: 2, transaction: 't1' }))
    expect(answers()).toEqual([
      { topic: 'sightd/porch/response/add', status: 'ok', data: { sum: 3 }, transaction: 't1' },
    ])
  })

  test('may be empty', async () => {
    const { desk, answers } = deskWith()
    await desk.take(request('request/ping'))
    expect(answers()).toEqual([{ topic: 'sightd/porch/response/ping', status: 'ok', data: { run: 1 } }])
  })

  test.each([
    [
      'request/pong',
      '',
      'unknown_command',
      'no command is called pong (did you mean ping?); there are ping, add, fail',
    ],
    ['request/constructor', '', 'unknown_command', 'no command is called constructor'],
    ['request/add', '{"a":1}', 'invalid', 'b: missing'],
    ['request/add', '{"a":1,"b":"x"}', 'invalid', 'b: found "x", has to be number'],
    ['request/add', '{"a":1,"b":2,"c":3}', 'invalid', 'c: unknown key'],
    ['request/ping', '{', 'invalid', 'not JSON'],
    ['request/ping', '[]', 'invalid', 'has to be a JSON object'],
    ['request/ping', 'null', 'invalid', 'has to be a JSON object'],
    ['request/ping', '{"transaction":{}}', 'invalid', 'transaction'],
    ['request/ping', '{"expires":"tomorrow"}', 'invalid', 'a time such as'],
    ['request/ping', '{"expires":"2026-11-25T08:00:00+23"}', 'invalid', 'no such time'],
    ['request/ping', ' '.repeat(16 * 1024 + 1), 'invalid', 'at most 16384 are read'],
    ['request/fail', '', 'picture_failed', 'no light'],
  ])('%s with %j is answered with an error', async (topic, payload, code, message) => {
    const { desk, answers } = deskWith()
    await desk.take(request(topic, payload))
    expect(answers()).toMatchObject([
      { status: 'error', data: null, error: { code, message: expect.stringContaining(message) } },
    ])
  })

  test('that comes twice is carried out once and answered twice', async () => {
    const { desk, answers } = deskWith()
    for (const transaction of ['a', 'a', 'b', 1, '1']) await desk.take(request('request/ping', { transaction }))
    expect(answers().map(({ data }) => data)).toEqual([{ run: 1 }, { run: 1 }, { run: 2 }, { run: 3 }, { run: 4 }])
  })

  test("of another sender with the same transaction is not taken for the first one's", async () => {
    const { desk, answers } = deskWith()
    await desk.take(request('request/add', { a: 1, b: 1, transaction: 1 }))
    await desk.take(request('request/add', { a: 2, b: 2, transaction: 1 }))
    expect(answers().map(({ data }) => data)).toEqual([{ sum: 2 }, { sum: 4 }])
  })

  test('that comes again while it is under way waits for the same outcome', async () => {
    const { promise, resolve } = Promise.withResolvers<{ done: true }>()
    let runs = 0
    const { desk, answers } = deskWith({
      commands: {
        slow: command({}, () => {
          runs++
          return promise
        }),
      },
    })
    const both = [
      desk.take(request('request/slow', { transaction: 1 })),
      desk.take(request('request/slow', { transaction: 1 })),
    ]
    resolve({ done: true })
    await Promise.all(both)
    expect(runs).toBe(1)
    expect(answers().map(({ data }) => data)).toEqual([{ done: true }, { done: true }])
  })

  test('is remembered among the last 64', async () => {
    const { desk, answers } = deskWith()
    for (let transaction = 0; transaction < 65; transaction++) await desk.take(request('request/ping', { transaction }))
    await desk.take(request('request/ping', { transaction: 64 }))
    await desk.take(request('request/ping', { transaction: 0 }))
    expect(
      answers()
        .slice(-2)
        .map(({ data }) => data),
    ).toEqual([{ run: 65 }, { run: 66 }])
  })

  test('beyond 16 under way is told to come again', async () => {
    const { promise, resolve } = Promise.withResolvers<object>()
    const { desk, answers } = deskWith({ commands: { slow: command({}, async () => ({ ...(await promise) })) } })
    const all = Array.from({ length: 17 }, () => desk.take(request('request/slow')))
    await all[16]
    expect(answers()).toMatchObject([{ error: { code: 'busy' } }])
    resolve({})
    await Promise.all(all)
    expect(answers().filter(({ status }) => status === 'ok')).toHaveLength(16)
  })

  test.each([
    ['retained', request('request/ping', '', { isRetained: true })],
    ['expired by its own word', request('request/ping', { expires: '2020-01-01T00:00:00Z' })],
    ['not for all', { ...request(''), topic: 'sightd/all/request/add' }],
    ['of no name', request('request/Ping%20')],
  ])('that is %s is refused and counted', async (_, message) => {
    const { desk, replies } = deskWith()
    await desk.take(message)
    expect(replies).toEqual([])
    expect(desk.counts).toEqual({ answered: 0, refused: 1 })
  })

  test('to all that expires while the device waits its turn is refused', async () => {
    const { desk, replies } = deskWith({ maxBroadcastDelayMs: 20 })
    await desk.take({ ...request('', '', { expiryS: -1 }), topic: 'sightd/all/request/ping' })
    expect(replies).toEqual([])
    expect(desk.counts.refused).toBe(1)
  })

  test('to all beyond 16 that wait, or too long, is refused', async () => {
    const { desk } = deskWith({ maxBroadcastDelayMs: 20 })
    const toAll = (payload = '') => desk.take({ ...request('', payload), topic: 'sightd/all/request/ping' })
    await toAll(' '.repeat(16 * 1024 + 1))
    expect(desk.counts.refused).toBe(1)
    await Promise.all(Array.from({ length: 20 }, () => toAll()))
    expect(desk.counts).toEqual({ answered: 16, refused: 5 })
    await toAll()
    expect(desk.counts.answered).toBe(17)
  })

  test('to all is answered on the own response topic', async () => {
    const { desk, answers } = deskWith()
    await desk.take({ ...request(''), topic: 'sightd/all/request/ping' })
    expect(answers()).toMatchObject([{ topic: 'sightd/porch/response/ping', status: 'ok' }])
  })
})

describe('a response topic', () => {
  test('gets the answer too, with the correlation data', async () => {
    const { desk, replies } = deskWith()
    const correlationData = Buffer.from([1, 2])
    await desk.take(request('request/ping', '', { responseTopic: 'asker/7', correlationData }))
    expect(replies.map(({ topic }) => topic)).toEqual(['sightd/porch/response/ping', 'asker/7'])
    expect(replies[1]?.correlationData).toBe(correlationData)
  })

  test.each(['sightd/porch/state', 'a/#', 'a/+/b', '$SYS/x', '', 'x'.repeat(201), 'a\0b'])(
    '%j is not answered on: others trust what we say there, or nobody may',
    async (responseTopic) => {
      const { desk, replies } = deskWith()
      await desk.take(request('request/ping', '', { responseTopic }))
      expect(replies.map(({ topic }) => topic)).toEqual(['sightd/porch/response/ping'])
      expect(desk.counts).toEqual({ answered: 1, refused: 0 })
    },
  )
})

describe('a property', () => {
  test('takes its bare value and answers on response/set', async () => {
    const { desk, answers } = deskWith()
    await desk.take(request('threshold/set', ' 0.6\n'))
    expect(answers()).toEqual([
      { topic: 'sightd/porch/response/set', status: 'ok', data: { property: 'threshold', value: '0.6' } },
    ])
  })

  test.each([
    ['treshold/set', '1', 'unknown_property', 'did you mean threshold?'],
    ['toString/set', '1', 'unknown_property', 'no property is called toString'],
    ['threshold/set', '1'.repeat(101), 'invalid', 'longer than 100 bytes'],
  ])('%s = %s is answered with an error', async (topic, value, code, message) => {
    const { desk, answers } = deskWith()
    await desk.take(request(topic, value))
    expect(answers()).toMatchObject([{ status: 'error', error: { code, message: expect.stringContaining(message) } }])
  })
})

test('10,000 requests of any kind: each is answered, or refused and counted; none brings anything down', async () => {
  const name = fc.oneof(fc.constantFrom('ping', 'add', 'fail', 'set_config', '__proto__', ''), fc.string())
  const topic = fc.oneof(
    fc.tuple(fc.constantFrom('sightd/porch/request/', 'sightd/all/request/'), name).map((parts) => parts.join('')),
    name.map((property) => `sightd/porch/${property}/set`),
    fc.string(),
  )
  const object = fc.dictionary(
    fc.oneof(fc.constantFrom('transaction', 'expires', 'a', 'b', 'config', '__proto__', 'constructor'), fc.string()),
    fc.jsonValue(),
  )
  const payload = fc.oneof(
    fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
    fc.json().map((text) => Buffer.from(text)),
    object.map((value) => Buffer.from(JSON.stringify(value))),
    fc
      .record({ a: fc.double(), b: fc.double(), transaction: fc.nat(20) })
      .map((value) => Buffer.from(JSON.stringify(value))),
  )
  const message: fc.Arbitrary<IncomingMessage> = fc.record({
    topic,
    payload,
    isRetained: fc.boolean(),
    expiryS: fc.option(fc.nat(10), { nil: undefined }),
    responseTopic: fc.option(fc.oneof(fc.string(), fc.constant('sightd/porch/status')), { nil: undefined }),
    correlationData: fc.option(
      fc.uint8Array().map((bytes) => Buffer.from(bytes)),
      { nil: undefined },
    ),
  })
  const { desk, replies } = deskWith()
  await fc.assert(
    fc.asyncProperty(message, async (incoming) => {
      const before = { ...desk.counts, replies: replies.length }
      await desk.take(incoming)
      const { answered, refused } = desk.counts
      expect(answered - before.answered + refused - before.refused).toBeGreaterThan(0)
      for (const reply of replies.slice(before.replies)) {
        v.parse(responseSchema, JSON.parse(`${reply.payload}`))
        if (reply.topic.startsWith('sightd/porch/')) expect(reply.topic).toMatch(/^sightd\/porch\/response\/[a-z_]+$/)
        expect(reply.topic).not.toMatch(/[+#]|^\$/)
      }
      replies.length = 0
    }),
    { numRuns: 10_000 },
  )
}, 120_000)
