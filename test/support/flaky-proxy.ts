import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'

/** A TCP proxy to a port of 127.0.0.1 whose link can go bad. */
export class FlakyProxy {
  readonly port: number
  readonly #sockets: Set<Socket>
  readonly #pairs: readonly [Socket, Socket][]

  private constructor(port: number, sockets: Set<Socket>, pairs: readonly [Socket, Socket][]) {
    this.port = port
    this.#pairs = pairs
    this.#sockets = sockets
  }

  static async to(target: number): Promise<FlakyProxy> {
    const sockets = new Set<Socket>()
    const pairs: [Socket, Socket][] = []
    const server = createServer({ allowHalfOpen: true }, (near) => {
      const far = connect(target, '127.0.0.1')
      for (const socket of [near, far]) {
        sockets.add(socket)
        socket.on('error', () => {})
        socket.once('close', () => sockets.delete(socket))
      }
      near.pipe(far)
      far.pipe(near)
      pairs.push([near, far], [far, near])
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    onTestFinished(() => {
      server.close()
      for (const socket of sockets) socket.destroy()
    })
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('no port')
    return new FlakyProxy(address.port, sockets, pairs)
  }

  /** Forwards nothing more over the connections there are, and closes none: the network is gone without a word. */
  freeze(): void {
    for (const socket of this.#sockets) {
      socket.unpipe()
      socket.pause()
    }
  }

  /** From now on lets so many bytes through each 10 ms, in each direction of the connections there are. */
  throttle(bytes: number): void {
    for (const [from, to] of this.#pairs) {
      from.unpipe()
      const timer = setInterval(() => {
        const chunk: Buffer | null = from.read(Math.min(bytes, from.readableLength)) ?? null
        if (chunk !== null) to.write(chunk)
      }, 10)
      from.once('close', () => clearInterval(timer))
      from.once('end', () => to.end())
    }
  }

  cut(): void {
    for (const socket of this.#sockets) socket.destroy()
  }
}
