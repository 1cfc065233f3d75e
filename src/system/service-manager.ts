import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

type Environment = Readonly<Record<string, string | undefined>>

/** How long one message may take to be delivered. */
const sendLimitMs = 5000

/**
 * What a daemon tells systemd (sd_notify(3)): through the program systemd-notify, since Node has no datagram sockets of that
 * kind. Does nothing where it was not started by systemd. One message after the other, so that they keep their order; one
 * that can't be sent is not an error of ours: systemd acts on its absence.
 */
export class ServiceManager {
  readonly #isThere: boolean
  /** How often it wants to hear that work goes on, in ms; undefined when it doesn't ask. */
  readonly watchdogMs: number | undefined
  #sending: Promise<unknown> = Promise.resolve()
  #status = ''

  constructor(environment: Environment = process.env) {
    const { NOTIFY_SOCKET: socket, WATCHDOG_USEC: limit, WATCHDOG_PID: pid } = environment
    this.#isThere = socket !== undefined && socket !== ''
    const isForUs = this.#isThere && (pid === undefined || Number(pid) === process.pid)
    this.watchdogMs = isForUs && Number(limit) > 0 ? Number(limit) / 1000 : undefined
  }

  /** The service has started; at first after a reload too. */
  ready(): void {
    this.#send('READY=1')
  }

  /** One line for `systemctl status`; only what has changed is sent. */
  status(line: string): void {
    if (line === this.#status) return
    this.#status = line
    this.#send(`STATUS=${line.replaceAll('\n', ' ')}`)
  }

  /** Work goes on. */
  feed(): void {
    this.#send('WATCHDOG=1')
  }

  /** The start, or the stop, takes so much longer. */
  extend(ms: number): void {
    this.#send(`EXTEND_TIMEOUT_USEC=${Math.round(ms * 1000)}`)
  }

  /** The end has begun. Resolves when that was told. */
  async stopping(): Promise<void> {
    this.#send('STOPPING=1')
    await this.#sending
  }

  #send(message: string): void {
    if (!this.#isThere) return
    this.#sending = this.#sending
      // Not with --no-block: systemd drops a message whose sender is gone before it has looked up whose process that was.
      .then(() => promisify(execFile)('systemd-notify', [message], { timeout: sendLimitMs }))
      .catch(() => {})
  }
}
