import { syncBuiltinESMExports } from 'node:module'
import timers from 'node:timers/promises'
import { onTestFinished } from 'vitest'

/** Waits of an hour and more (`setTimeout` of `node:timers/promises`) are over when the function that it gives is called. */
export function holdLongWaits(): () => void {
  const { setTimeout } = timers
  const over = Promise.withResolvers<void>()
  const wait: typeof setTimeout = async (ms = 0, value, options = {}) => {
    if (ms < 3_600_000) return setTimeout(ms, value, options)
    const { signal } = options
    const aborted = Promise.withResolvers<never>()
    signal?.addEventListener('abort', () => aborted.reject(signal.reason), { once: true })
    return Promise.race([over.promise.then(() => timers.setImmediate(value)), aborted.promise])
  }
  Object.assign(timers, { setTimeout: wait })
  syncBuiltinESMExports()
  onTestFinished(() => {
    Object.assign(timers, { setTimeout })
    syncBuiltinESMExports()
  })
  return over.resolve
}
