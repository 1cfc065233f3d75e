import type { ServiceManager } from './service-manager.ts'

/** How it goes, as the service manager is told. */
export type ServiceCondition = {
  readonly status: string
  readonly reason: string | null
  /** Whether work gets finished, or is known why not. */
  readonly isProgressing: boolean
  /** All of it in one line. */
  readonly line: string
}

/** A program is run for each message: numbers that never stand still are told so often. */
const statusEveryMs = 30_000

/** So much more time is asked for while the model is loaded and the camera started, and how often. */
const startExtensionMs = 90_000
const extendEveryMs = 20_000

/**
 * Tells the service manager when the daemon is up (it sees, or says why not), how it goes, and that work goes on. Nothing is
 * told by a timer alone: without progress the watchdog goes hungry, and the service is started anew.
 */
export class ServiceReport {
  readonly #manager: ServiceManager
  #isReady = false
  #status: string | undefined
  #statusMs = 0
  #fedMs = Number.NEGATIVE_INFINITY
  #extendedMs = Number.NEGATIVE_INFINITY

  constructor(manager: ServiceManager) {
    this.#manager = manager
  }

  /** Every second or so, at `nowMs` of a clock that never jumps. */
  note({ status, reason, isProgressing, line }: ServiceCondition, nowMs = performance.now()): void {
    const text = reason === null ? status : `${status}: ${reason}`
    if (text !== this.#status || nowMs - this.#statusMs >= statusEveryMs) {
      this.#status = text
      this.#statusMs = nowMs
      this.#manager.status(reason === null ? line : text)
    }
    if (!this.#isReady && status !== 'starting') {
      this.#isReady = true
      this.#manager.ready()
    }
    if (!isProgressing) return
    if (!this.#isReady) this.#extend(nowMs)
    const { watchdogMs } = this.#manager
    if (watchdogMs === undefined || nowMs - this.#fedMs < watchdogMs / 3) return
    this.#fedMs = nowMs
    this.#manager.feed()
  }

  #extend(nowMs: number): void {
    if (nowMs - this.#extendedMs < extendEveryMs) return
    this.#extendedMs = nowMs
    this.#manager.extend(startExtensionMs)
  }
}
