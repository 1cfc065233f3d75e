import { describe, expect, onTestFinished, test } from 'vitest'
import { RetainedTopics } from '../../../src/mqtt/retained.ts'

const message = (topic: string, payload = 'x', isRetained = true) => ({
  topic,
  payload: Buffer.from(payload),
  isRetained,
})
const never = new AbortController().signal

describe('RetainedTopics', () => {
  test('keeps what is retained, with the beginning of what it says, and nothing else', () => {
    const kept = new RetainedTopics()
    kept.take(message('a', 'online'))
    kept.take(message('b', 'x'.repeat(100)))
    kept.take(message('c', 'online', false))
    expect([...kept.topics]).toEqual([
      ['a', 'online'],
      ['b', 'x'.repeat(16)],
    ])
  })

  test('keeps at most 1000', () => {
    const kept = new RetainedTopics()
    for (let i = 0; i < 1500; i++) kept.take(message(`t/${i}`))
    expect(kept.topics.size).toBe(1000)
  })

  test('keeps more, and waits for longer, where that is asked for', async () => {
    const kept = new RetainedTopics({ maxTopics: 1200, limitMs: 1500 })
    for (let i = 0; i < 1500; i++) kept.take(message(`t/${i}`))
    expect(kept.topics.size).toBe(1200)
    const flood = new RetainedTopics({ limitMs: 1500 })
    const timer = setInterval(() => flood.take(message('a')), 20)
    onTestFinished(() => clearInterval(timer))
    const startMs = performance.now()
    await flood.complete(never)
    expect(performance.now() - startMs).toBeGreaterThan(1400)
  })

  test('is complete soon after the last one, and after a second even if there is no end', async () => {
    const kept = new RetainedTopics()
    const startMs = performance.now()
    await kept.complete(never)
    expect(performance.now() - startMs).toBeLessThan(900)
    const flood = setInterval(() => kept.take(message('a')), 20)
    onTestFinished(() => clearInterval(flood))
    const floodMs = performance.now()
    await kept.complete(never)
    expect(performance.now() - floodMs).toBeGreaterThan(950)
    expect(performance.now() - floodMs).toBeLessThan(3000)
  })

  test('is complete at once when it is called off', async () => {
    const stop = new AbortController()
    const complete = new RetainedTopics().complete(stop.signal)
    stop.abort()
    await complete
    expect(stop.signal.aborted).toBe(true)
  })
})
