import { setTimeout as delay } from 'node:timers/promises'
import { backoffDelays } from '../../lib/backoff.ts'
import { openConnection } from '../../mqtt/client.ts'
import type { BrokerSettings, IncomingMessage } from '../../mqtt/wire.ts'

export type WatchConnectionOptions = {
  readonly settings: BrokerSettings
  readonly filters: readonly string[]
  readonly onMessage: (message: IncomingMessage) => void
  /** Connected, but for the filters that the broker refuses. */
  readonly onConnected: (refused: readonly string[]) => void
  /** Not connected, or not any more; it is tried again. */
  readonly onTrouble: (error: Error) => void
  readonly retry?: { readonly firstMs: number; readonly lastMs: number }
}

/** A person waits for it. */
const retryBackoff = { firstMs: 500, lastMs: 10_000 }

/** A connection that lasted so long shows that the trouble is over: the next retry is quick again. */
const goodConnectionMs = 30_000

/** Subscribes to `filters`, with what is retained there, until `signal` aborts; tries again for ever. */
export async function keepWatching(options: WatchConnectionOptions, signal: AbortSignal): Promise<void> {
  const { retry = retryBackoff, onTrouble } = options
  let delays = backoffDelays(retry)
  while (!signal.aborted) {
    const startMs = performance.now()
    const trouble = await watchOnce(options, signal)
    if (trouble === undefined) return
    onTrouble(trouble)
    if (performance.now() - startMs > goodConnectionMs) delays = backoffDelays(retry)
    await delay(delays.next().value, undefined, { signal }).catch(() => {})
  }
}

/** One connection from start to end; why it ended, or undefined when it was told to stop. */
async function watchOnce(
  { settings, filters, onMessage, onConnected }: WatchConnectionOptions,
  signal: AbortSignal,
): Promise<Error | undefined> {
  const stopped = Promise.withResolvers<undefined>()
  const stop = () => stopped.resolve(undefined)
  signal.addEventListener('abort', stop)
  try {
    const connection = await openConnection(settings, { onMessage, signal })
    const subscribed = connection.subscribe(filters.map((filter) => ({ filter, wantsRetained: true })))
    const refused = await Promise.race([subscribed, stopped.promise])
    if (refused !== undefined) onConnected(refused)
    const trouble = await Promise.race([connection.closed, stopped.promise])
    if (trouble === undefined) await connection.leave()
    return trouble
  } catch (error) {
    if (signal.aborted) return undefined
    if (error instanceof Error) return error
    throw error
  } finally {
    signal.removeEventListener('abort', stop)
  }
}
