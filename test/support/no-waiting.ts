import { syncBuiltinESMExports } from 'node:module'
import timers from 'node:timers/promises'

/** Once loaded, waits of less than an hour are over with the next turn of the event loop, and longer ones never. */

const longMs = 3_600_000

const wait: typeof timers.setTimeout = async (ms = 0, value, { signal } = {}) => {
  signal?.throwIfAborted()
  if (ms < longMs) return timers.setImmediate(value)
  return new Promise((_, reject) => {
    signal?.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
}

Object.assign(timers, { setTimeout: wait })
syncBuiltinESMExports()
