import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { freePort, listening } from '../support/mosquitto.ts'
import { cpuSeconds } from '../support/processes.ts'
import { resident } from '../support/resident.ts'

/** One real Mosquitto on a loopback port that remembers sessions and retained messages over a restart. */
export class Broker implements Disposable {
  readonly url: string
  /** Its authority, in PEM; undefined without TLS. */
  readonly caPath: string | undefined
  readonly #program: string
  readonly #configPath: string
  #process: ChildProcess | undefined

  private constructor(program: string, configPath: string, url: string, caPath: string | undefined) {
    this.#program = program
    this.#configPath = configPath
    this.url = url
    this.caPath = caPath
  }

  /** `queue`: messages that wait for one slow subscriber (max_queued_messages); 0 is no limit. */
  static async create(
    program: string,
    folder: string,
    { queue, tls }: { queue: number; tls: boolean },
  ): Promise<Broker> {
    const [data, configPath] = [join(folder, 'data'), join(folder, 'mosquitto.conf')]
    const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
    await mkdir(data, { recursive: true })
    if (tls) makeCertificate(key, cert)
    const port = await freePort()
    const lines = [
      `listener ${port} 127.0.0.1`,
      ...(tls ? [`keyfile ${key}`, `certfile ${cert}`] : []),
      'allow_anonymous true',
      `user ${userInfo().username}`,
      'persistence true',
      `persistence_location ${data}/`,
      `max_queued_messages ${queue}`,
      'sys_interval 1',
      'connection_messages false',
      'log_dest stderr',
      'log_type error',
      'log_type warning',
      'log_type information',
    ]
    await writeFile(configPath, `${lines.join('\n')}\n`)
    return new Broker(program, configPath, `${tls ? 'mqtts' : 'mqtt'}://127.0.0.1:${port}`, tls ? cert : undefined)
  }

  /** Resolves when it listens. */
  async start(): Promise<void> {
    const broker = spawn(this.#program, ['-c', this.#configPath], { stdio: ['ignore', 'ignore', 'pipe'] })
    this.#process = broker
    await listening(broker)
  }

  /** As a restart of its service does; resolves when it has saved what it keeps. */
  async stop(): Promise<void> {
    const broker = this.#process
    if (broker === undefined) return
    this.#process = undefined
    broker.kill('SIGTERM')
    await once(broker, 'exit')
  }

  /** Processor time since its start, and resident memory now. */
  get usage(): { readonly cpuMs: number; readonly rssBytes: number } {
    const pid = this.#process?.pid
    if (pid === undefined) return { cpuMs: 0, rssBytes: 0 }
    return { cpuMs: cpuSeconds(pid) * 1000, rssBytes: resident(pid).rss * 2 ** 20 }
  }

  [Symbol.dispose](): void {
    this.#process?.kill('SIGKILL')
  }
}

/** One that is its own authority, with a key on P-256. */
function makeCertificate(key: string, cert: string): void {
  const subject = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1', '-days', '2']
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', key]
  execFileSync('openssl', ['req', '-x509', ...newKey, '-out', cert, ...subject], { stdio: 'pipe' })
}
