import { Socket } from 'node:net'
import { connectAsync } from 'mqtt'

export type Heard = { readonly topic: string; readonly payload: Buffer; readonly atNs: bigint }

/** Hears what is published below `filter` on 127.0.0.1, with the time by CLOCK_MONOTONIC, which is the same in every process. */
export async function subscribe(port: number, filter: string, onMessage: (message: Heard) => void) {
  const client = await connectAsync(`mqtt://127.0.0.1:${port}`)
  // Its own part of the way is not to be measured.
  if (client.stream instanceof Socket) client.stream.setNoDelay(true)
  client.on('message', (topic, payload) => onMessage({ topic, payload, atNs: process.hrtime.bigint() }))
  await client.subscribeAsync(filter)
  return {
    publish: (topic: string, payload: string) => client.publishAsync(topic, payload),
    [Symbol.asyncDispose]: () => client.endAsync(true),
  }
}
