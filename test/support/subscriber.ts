import { connectAsync } from 'mqtt'
import { onTestFinished } from 'vitest'

export type Received = {
  readonly topic: string
  readonly text: string
  readonly isRetained: boolean
  readonly qos: number
  readonly atMs: number
}

/** A subscriber of everything below `sightd/`. */
export async function subscribe(port: number, { protocolVersion = 4 }: { protocolVersion?: 4 | 5 } = {}) {
  const client = await connectAsync(`mqtt://127.0.0.1:${port}`, { protocolVersion })
  onTestFinished(() => {
    client.end(true)
  })
  const received: Received[] = []
  const waiting = new Set<() => void>()
  client.on('message', (topic, payload, { retain, qos }) => {
    received.push({ topic, text: payload.toString(), isRetained: retain, qos, atMs: performance.now() })
    for (const wake of [...waiting]) wake()
  })
  await client.subscribeAsync('sightd/#', { qos: 1 })
  return {
    received,
    /** The first message, from `from` on, that fits. */
    async message(fits: (message: Received) => boolean, from = 0): Promise<Received> {
      for (;;) {
        const found = received.slice(from).find(fits)
        if (found !== undefined) return found
        await new Promise<void>((resolve) => {
          const wake = () => {
            waiting.delete(wake)
            resolve()
          }
          waiting.add(wake)
        })
      }
    },
  }
}
