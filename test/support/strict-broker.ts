import { once } from 'node:events'
import { createServer, type Server } from 'node:net'
import { Aedes } from 'aedes'
import { onTestFinished } from 'vitest'

/** The port of a server that listens on a free one of the loopback interface, until the test is over. */
export async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  onTestFinished(() => {
    server.close()
  })
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

/** A broker (MQTT 3.1.1) that refuses subscriptions; Mosquitto's simple rules grant each and then send nothing. */
export async function startStrictBroker(
  maySubscribe: (client: string | undefined, filter: string) => boolean,
): Promise<{ readonly port: number; readonly url: string }> {
  const broker = await Aedes.createBroker({
    authorizeSubscribe: (client, subscription, done) =>
      done(null, maySubscribe(client?.id, subscription.topic) ? subscription : null),
  })
  onTestFinished(() => {
    broker.close()
  })
  const port = await listen(createServer(broker.handle))
  return { port, url: `mqtt://127.0.0.1:${port}` }
}
