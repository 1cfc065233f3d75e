import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import type { FleetSettings } from './device.ts'
import type { Report, Request } from './worker.ts'

/** A report of all workers together; `rssBytes` and the like are sums, `lagMs` is that of the slowest. */
export type CrewReport = Report

/** The processes that are full of devices. */
export class Crew implements Disposable {
  readonly #workers: readonly ChildProcess[]
  readonly #died = new AbortController()

  constructor(workers: number) {
    this.#workers = Array.from({ length: workers }, () => {
      const worker = fork(new URL('./worker.ts', import.meta.url), { serialization: 'advanced' })
      worker.once('exit', (code, signal) =>
        this.#died.abort(new Error(`a process of devices died (${signal ?? `exit code ${code}`})`)),
      )
      return worker
    })
  }

  open(ids: readonly string[], folder: string, settings: FleetSettings): Promise<CrewReport> {
    const share = Math.ceil(ids.length / this.#workers.length)
    return this.#ask((i) => ({ do: 'open', ids: ids.slice(i * share, (i + 1) * share), folder, settings }))
  }

  /** All at once, as after a power cut. */
  start(): Promise<CrewReport> {
    return this.#ask(() => ({ do: 'start' }))
  }

  look(): Promise<CrewReport> {
    return this.#ask(() => ({ do: 'look' }))
  }

  hush(): Promise<CrewReport> {
    return this.#ask(() => ({ do: 'hush' }))
  }

  close(): Promise<CrewReport> {
    return this.#ask(() => ({ do: 'close' }))
  }

  [Symbol.dispose](): void {
    for (const worker of this.#workers) worker.kill('SIGKILL')
  }

  async #ask(request: (worker: number) => Request): Promise<CrewReport> {
    const reports = await Promise.all(
      this.#workers.map(async (worker, i) => {
        worker.send(request(i))
        const [report]: Report[] = await once(worker, 'message', { signal: this.#died.signal }).catch((error) => {
          throw this.#died.signal.reason ?? error
        })
        if (report === undefined) throw new Error('a process of devices said nothing')
        return report
      }),
    )
    const sum = (of: (report: Report) => number) => reports.reduce((total, report) => total + of(report), 0)
    return {
      connected: sum(({ connected }) => connected),
      made: sum(({ made }) => made),
      madeAway: sum(({ madeAway }) => madeAway),
      pending: sum(({ pending }) => pending),
      lost: sum(({ lost }) => lost),
      attempts: reports.flatMap(({ attempts }) => attempts),
      connects: reports.flatMap(({ connects }) => connects),
      rssBytes: sum(({ rssBytes }) => rssBytes),
      cpuMs: sum(({ cpuMs }) => cpuMs),
      lagMs: Math.max(...reports.map(({ lagMs }) => lagMs)),
    }
  }
}
