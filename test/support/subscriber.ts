import { connectAsync } from 'mqtt'
import { onTestFinished } from 'vitest'

export type Received = {
  readonly topic: string
  readonly text: string
  readonly bytes: Buffer
  readonly isRetained: boolean
  readonly qos: number
  readonly atMs: number
  /** Of MQTT 5. */
  readonly userProperties: Readonly<Record<string, string | string[]>>
}

/** A subscriber of everything below `sightd/`, unless `filter` says otherwise. */
export async function subscribe(
  port: number,
  { protocolVersion = 4, filter = 'sightd/#' }: { protocolVersion?: 4 | 5; filter?: string } = {},
) {
  const client = await connectAsync(`mqtt://127.0.0.1:${port}`, { protocolVersion })
  onTestFinished(() => {
    client.end(true)
  })
  const received: Received[] = []
  const waiting = new Set<() => void>()
  client.on('message', (topic, payload, { retain, qos, properties }) => {
    received.push({
      topic,
      text: payload.toString(),
      bytes: payload,
      isRetained: retain,
      qos,
      atMs: performance.now(),
      userProperties: { ...properties?.userProperties },
    })
    for (const wake of [...waiting]) wake()
  })
  await client.subscribeAsync(filter, { qos: 1 })
  return {
    received,
    client,
    /** Resolves when everything that was published before has arrived: brokers keep the order of a connection. */
    async fence(): Promise<void> {
      const topic = `sightd/fence/${Math.random()}`
      await client.publishAsync(topic, '', { qos: 1 })
      const at = await this.message((message) => message.topic === topic)
      received.splice(received.indexOf(at), 1)
    },
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
