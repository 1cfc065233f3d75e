import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'

/** A TCP proxy to a port of 127.0.0.1 whose link can go bad. */
export class FlakyProxy {
  readonly port: number
  readonly #sockets: Set<Socket>

  private constructor(port: number, sockets: Set<Socket>) {
    this.port = port
    this.#sockets = sockets
  }

  static async to(target: number): Promise<FlakyProxy> {
    const sockets = new Set<Socket>()
    const server = createServer({ allowHalfOpen: true }, (near) => {
      const far = connect(target, '127.0.0.1')
      for (const socket of [near, far]) {
        sockets.add(socket)
        socket.on('error', () => {})
        socket.once('close', () => sockets.delete(socket))
      }
      near.pipe(far)
      far.pipe(near)
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    onTestFinished(() => {
      server.close()
      for (const socket of sockets) socket.destroy()
    })
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('no port')
    return new FlakyProxy(address.port, sockets)
  }

  /** Forwards nothing more over the connections there are, and closes none: the network is gone without a word. */
  freeze(): void {
    for (const socket of this.#sockets) {
      socket.unpipe()
      socket.pause()
    }
  }

  cut(): void {
    for (const socket of this.#sockets) socket.destroy()
  }
}
