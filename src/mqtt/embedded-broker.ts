import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { Aedes } from 'aedes'

/** A small MQTT broker in this process, for the demo: nothing to install, nothing kept, this machine only. */
export type EmbeddedBroker = { readonly port: number; readonly url: string } & AsyncDisposable

const lastPort = 65_535

/** Listens on 127.0.0.1, on `firstPort` or the next one that is free. */
export async function startEmbeddedBroker(firstPort: number): Promise<EmbeddedBroker> {
  const broker = await Aedes.createBroker()
  const server = createServer(broker.handle)
  const sockets = new Set<Socket>()
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  let port = firstPort
  for (; ; port++) {
    server.listen(port, '127.0.0.1')
    try {
      await once(server, 'listening')
      break
    } catch (error) {
      const isTaken =
        error instanceof Error && 'code' in error && (error.code === 'EADDRINUSE' || error.code === 'EACCES')
      if (!isTaken || port >= lastPort) throw error
    }
  }
  return {
    port,
    url: `mqtt://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      server.close()
      for (const socket of sockets) socket.destroy()
      await new Promise<void>((resolve) => broker.close(resolve))
    },
  }
}
