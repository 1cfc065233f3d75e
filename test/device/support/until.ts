import { setTimeout as wait } from 'node:timers/promises'

/** Does something over and over until it no longer throws, for what nobody tells when it is so. */
export async function until<T>(act: () => T | Promise<T>, limitMs = 60_000, everyMs = 100): Promise<T> {
  const endMs = performance.now() + limitMs
  for (;;) {
    try {
      return await act()
    } catch (error) {
      if (performance.now() > endMs) throw error
    }
    await wait(everyMs)
  }
}
