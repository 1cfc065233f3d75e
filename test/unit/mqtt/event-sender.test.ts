import { describe, expect, onTestFinished, test } from 'vitest'
import { sendEvents } from '../../../src/mqtt/event-sender.ts'
import type { Delivery } from '../../../src/mqtt/wire.ts'
import { MemoryEvents, Watch } from '../../support/link.ts'

const payloads = ['a', 'b', 'c', 'd', 'e']

/** A sender that may have all in flight; the test is the broker. */
function startSender() {
  const stop = new AbortController()
  const watch = new Watch()
  const events = new MemoryEvents(payloads, watch)
  const inFlight: { readonly payload: string; readonly answer: (delivery: Delivery) => void }[] = []
  const sender = {
    room: async () => {},
    publish: (payload: string) =>
      new Promise<Delivery>((answer) => {
        inFlight.push({ payload, answer })
        watch.changed()
      }),
    backoff: { firstMs: 1, lastMs: 1 },
  }
  const ended = sendEvents(events, sender, stop.signal)
  onTestFinished(async () => {
    stop.abort()
    answerAll('lost')
    await ended
  })
  function answerAll(delivery: Delivery): void {
    for (const { answer } of inFlight.splice(0)) answer(delivery)
  }
  return {
    events,
    answerAll,
    /** Resolves when so many are in flight and the sender has had its chance to send more. */
    async flight(count: number): Promise<string[]> {
      await watch.until(() => inFlight.length >= count)
      for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
      return inFlight.map(({ payload }) => payload)
    },
  }
}

describe('while the broker forbids the topic', () => {
  test('one event at a time asks whether it may, the oldest; all others wait for its answer', async () => {
    const { events, flight, answerAll } = startSender()
    expect(await flight(5)).toEqual(payloads)
    for (let time = 0; time < 5; time++) {
      answerAll('forbidden')
      expect(await flight(1)).toEqual(['a'])
    }
    expect(events.settled).toEqual([])
    answerAll('done')
    expect(await flight(4)).toEqual(['b', 'c', 'd', 'e'])
    answerAll('done')
    await flight(0)
    expect(events.settled.map(({ seq, delivery }) => `${seq} ${delivery}`)).toEqual(payloads.map((_, i) => `${i} done`))
  })

  test('what it has taken before it began to is not sent again', async () => {
    const { events, flight, answerAll } = startSender()
    await flight(5)
    answerAll('forbidden')
    await flight(1)
    answerAll('done')
    expect(await flight(4)).toEqual(['b', 'c', 'd', 'e'])
    answerAll('forbidden')
    expect(await flight(1)).toEqual(['b'])
    expect(events.settled).toEqual([{ seq: 0, delivery: 'done' }])
  })
})

test('what the broker will never have is given up, and holds up nothing', async () => {
  const { events, flight, answerAll } = startSender()
  await flight(5)
  answerAll('refused')
  await flight(0)
  expect(events.settled).toEqual(payloads.map((_, seq) => ({ seq, delivery: 'refused' })))
})
