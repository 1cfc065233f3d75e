import { once } from 'node:events'
import {
  type ClientRequest,
  createServer,
  type IncomingMessage,
  request,
  type Server,
  type ServerResponse,
} from 'node:http'
import { pipeline } from 'node:stream/promises'
import { onTestFinished } from 'vitest'
import { fileServer } from '../../src/ota/file-server.ts'

/** What was asked for, and how many bytes of body went out for it so far. */
export type Served = {
  readonly path: string
  readonly range: string | undefined
  readonly status: number
  bytes: number
}

type Spoiling = {
  /** So many bytes of body, and then the connection is cut, or nothing more comes over it. */
  readonly afterBytes: number
  readonly by: 'cut' | 'silence'
}

/** `sightd ota serve`'s own server on a free port, behind a front that counts and can break off. */
export class RepositoryServer {
  readonly url: string
  readonly port: number
  /** In the order in which they were answered. */
  readonly requests: Served[] = []
  /** How many answers were broken off. */
  spoilt = 0
  #spoiling: Spoiling | undefined
  #left = 0
  readonly #behind: number
  readonly #waiting = new Set<() => void>()
  readonly #silenced = new Set<() => void>()

  private constructor(port: number, behind: number) {
    this.port = port
    this.url = `http://127.0.0.1:${port}`
    this.#behind = behind
  }

  static async start(folder: string): Promise<RepositoryServer> {
    const front = createServer()
    const server = new RepositoryServer(await listening(front), await listening(fileServer(folder)))
    front.on('request', (incoming, outgoing) => {
      // Whoever asked may have gone.
      server.#answer(incoming, outgoing).catch(() => outgoing.destroy())
    })
    return server
  }

  /** Bytes of body that went out for paths that fit. */
  bytesOf(paths: RegExp): number {
    return this.requests.filter(({ path }) => paths.test(path)).reduce((sum, { bytes }) => sum + bytes, 0)
  }

  /** From the next answer on, so many `times`; answers that are short enough don't count. */
  spoil({ times = Number.POSITIVE_INFINITY, ...spoiling }: Spoiling & { readonly times?: number }): void {
    this.#spoiling = spoiling
    this.#left = times
  }

  /** What was silenced goes on. */
  heal(): void {
    this.#spoiling = undefined
    for (const goOn of this.#silenced) goOn()
    this.#silenced.clear()
  }

  /** The first answer from `from` on that fits, as soon as it does: tried whenever bytes went out. */
  async until(fits: (served: Served) => boolean, from = 0): Promise<Served> {
    for (;;) {
      const found = this.requests.slice(from).find(fits)
      if (found !== undefined) return found
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#waiting.add(resolve)
      await promise
    }
  }

  async #answer(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const { method, url = '', headers } = incoming
    const asked = request({ host: '127.0.0.1', port: this.#behind, method, path: url, headers, agent: false }).end()
    const answer = await answerTo(asked)
    const served: Served = { path: url, range: headers.range, status: answer.statusCode ?? 0, bytes: 0 }
    this.requests.push(served)
    this.#wake()
    outgoing.writeHead(served.status, answer.headers)
    await pipeline(this.#counted(answer, served, outgoing), outgoing)
  }

  async *#counted(answer: IncomingMessage, served: Served, outgoing: ServerResponse): AsyncGenerator<Uint8Array> {
    const spoiling = this.#spoiling
    // Not with `once` of node:events, which would reject where a write fails.
    const { promise: gone, resolve: noteGone } = Promise.withResolvers<void>()
    outgoing.once('close', noteGone)
    const chunks: AsyncIterable<Buffer> = answer
    for await (const chunk of chunks) {
      const limit = this.#spoiling === spoiling ? spoiling?.afterBytes : undefined
      const first = chunk.subarray(0, limit === undefined ? chunk.length : Math.max(0, limit - served.bytes))
      yield this.#count(first, served)
      if (first.length === chunk.length) continue
      if (spoiling !== undefined && this.#spoiling === spoiling) {
        this.#noteSpoilt()
        if (spoiling.by === 'cut') {
          // What was written before still goes out.
          outgoing.socket?.destroySoon()
          await gone
          return
        }
        const { promise, resolve } = Promise.withResolvers<void>()
        this.#silenced.add(resolve)
        await Promise.race([promise, gone])
      }
      yield this.#count(chunk.subarray(first.length), served)
    }
  }

  #count(bytes: Uint8Array, served: Served): Uint8Array {
    served.bytes += bytes.length
    this.#wake()
    return bytes
  }

  #noteSpoilt(): void {
    this.spoilt++
    this.#left--
    if (this.#left <= 0) this.#spoiling = undefined
  }

  #wake(): void {
    for (const wake of this.#waiting) wake()
    this.#waiting.clear()
  }
}

function answerTo(asked: ClientRequest): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  asked.once('response', resolve).once('error', reject)
  return promise
}

async function listening(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.close()
    server.closeAllConnections()
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}
