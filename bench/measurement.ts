import { bundledModel } from '../src/daemon.ts'
import { Ring } from '../src/lib/ring.ts'
import { readModelFolder } from '../src/vision/model-folder.ts'
import { ModelSession } from '../src/vision/session.ts'

/**
 * A number and what it counts. Times and rates are compared in units of a bare run of the model, which the same machine
 * needs at the same time: a figure of 2 ms is 0.2 where a run takes 10 ms, a rate of 1000/s is 10 per run. MB and x stand for themselves.
 */
export type Figure = {
  readonly value: number
  readonly unit: 'ms' | 'us' | '/s' | 'MB' | 'x'
  /** It is held against the baseline; not what depends on the disk, or on who else uses the machine. */
  readonly isCompared: boolean
  /** The aim. Once reached, more is too much; where the baseline misses it too, that is told. */
  readonly atMost?: number
}

export const compared = (value: number, unit: Figure['unit'], atMost?: number): Figure => ({
  value,
  unit,
  isCompared: true,
  ...(atMost === undefined ? {} : { atMost }),
})
export const told = (value: number, unit: Figure['unit']): Figure => ({ value, unit, isCompared: false })

export type Context = {
  /** Threads of one inference. */
  readonly threads: number
  /** How often to do something that is done `usual` times; a few times only when the bench itself is tried. */
  readonly rounds: (usual: number) => number
  readonly onProgress: (words: string) => void
}

export type Measurement = {
  readonly name: string
  /** One line on what is measured. */
  readonly about: string
  /** Why it can't be measured here; undefined when it can. */
  readonly lacks?: () => string | undefined
  readonly run: (context: Context) => Promise<Record<string, Figure>>
}

/** The two that count of many: `<name> p50` is compared, `<name> p95` only told. */
export function quantileFigures(name: string, unit: Figure['unit'], values: Ring): Record<string, Figure> {
  return {
    [`${name} p50`]: compared(values.quantile(0.5) ?? 0, unit),
    [`${name} p95`]: told(values.quantile(0.95) ?? 0, unit),
  }
}

/** Runs of a model (the bundled one) with nothing around them: what everything else is held against. */
export class Yardstick implements AsyncDisposable {
  readonly #session: ModelSession

  private constructor(session: ModelSession) {
    this.#session = session
  }

  static async open(threads: number, model = bundledModel): Promise<Yardstick> {
    return new Yardstick(await ModelSession.open(await readModelFolder(model), { threads }))
  }

  /** Median of so many runs, in ms. */
  async medianMs(runs: number): Promise<number> {
    const times = new Ring(runs)
    for (let run = 0; run < runs; run++) times.push(await this.runMs())
    return times.quantile(0.5) ?? 0
  }

  async runMs(): Promise<number> {
    const startMs = performance.now()
    await this.#session.run()
    return performance.now() - startMs
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#session[Symbol.asyncDispose]()
  }
}
