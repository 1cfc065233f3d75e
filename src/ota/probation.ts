import { Ring } from '../lib/ring.ts'

/** How a model does while it is in charge. */
export type Conduct = {
  /** Median and 95th percentile of a run, in ms; null before there are enough of them. */
  readonly p50Ms: number | null
  readonly p95Ms: number | null
  /** Share of results whose best find is the commonest one, 0..1. */
  readonly commonest: number
}

export type ProbationLimits = {
  readonly ms: number
  readonly results: number
  /** It may take so many times as long as the model before. */
  readonly slowdown: number
}

export type ProbationVerdict = { readonly code: 'slow' | 'constant' | 'mqtt_lost'; readonly reason: string } | 'good'

/** The newest results that count. */
const window = 1000
/** A percentile of fewer says little. */
const minRuns = 100
/** What else a board does makes runs longer, the slowest of them most: so much more is no fault of the model. */
export const medianToleranceMs = 2
const tailToleranceMs = 10
/** Of a longer pause only so much counts: the camera was away, or inference off; or a still scene is looked at but rarely. */
const maxPauseMs = 10_000
/** Always the same answer, where the model before it had others. */
const constantShare = 0.98
const variedShare = 0.8

/** Follows results: how long runs take, and whether they say different things. */
export class ConductRecorder {
  readonly #runs = new Ring(window)
  readonly #labels = new Map<string, number>()
  #results = 0

  note(inferenceMs: number, label: string): void {
    this.#runs.push(inferenceMs)
    this.#results++
    this.#labels.set(label, (this.#labels.get(label) ?? 0) + 1)
    if (this.#results < 2 * window) return
    // Half of what is long past is forgotten.
    for (const [name, times] of this.#labels) this.#labels.set(name, times / 2)
    this.#results = window
  }

  get conduct(): Conduct {
    const total = [...this.#labels.values()].reduce((sum, times) => sum + times, 0)
    const quantile = (q: number) => (this.#runs.length < minRuns ? null : (this.#runs.quantile(q) ?? null))
    return {
      p50Ms: quantile(0.5),
      p95Ms: quantile(0.95),
      commonest: total === 0 ? 1 : Math.max(...this.#labels.values()) / total,
    }
  }
}

/**
 * Judges a model by its first results in charge, held against what the model before it was like. Time counts only while
 * results come and the board is not throttled: a camera that is unplugged or a hot day proves nothing.
 */
export class Probation {
  readonly #limits: ProbationLimits
  readonly #before: Conduct & { readonly isConnected: boolean }
  /** Of the model in charge. */
  readonly recorder = new ConductRecorder()
  #results = 0
  #ms = 0
  #lastMs: number | undefined
  #wasConnected = false

  constructor(limits: ProbationLimits, before: Conduct & { readonly isConnected: boolean }) {
    this.#limits = limits
    this.#before = before
  }

  /** How much of it is over, 0..100. */
  get percent(): number {
    return 100 * Math.min(1, this.#ms / this.#limits.ms, this.#results / this.#limits.results)
  }

  /** Takes one result at `nowMs` of a clock that never jumps; undefined while there is no verdict. */
  note(
    { inferenceMs, label }: { readonly inferenceMs: number; readonly label: string },
    { isThrottled, isConnected }: { readonly isThrottled: boolean; readonly isConnected: boolean },
    nowMs: number,
  ): ProbationVerdict | undefined {
    const sinceLastMs = nowMs - (this.#lastMs ?? nowMs)
    this.#lastMs = nowMs
    this.#wasConnected ||= isConnected
    if (isThrottled) return undefined
    this.#ms += Math.min(sinceLastMs, maxPauseMs)
    this.#results++
    this.recorder.note(inferenceMs, label)
    return this.#slow() ?? (this.percent < 100 ? undefined : (this.#atTheEnd() ?? 'good'))
  }

  #slow(): ProbationVerdict | undefined {
    // Sorting at each result would cost more than it tells.
    if (this.#results % minRuns !== 0 && this.percent < 100) return undefined
    const now = this.recorder.conduct
    const { slowdown } = this.#limits
    return (
      slower('half of the runs', now.p50Ms, this.#before.p50Ms, slowdown, medianToleranceMs) ??
      slower('95 % of the runs', now.p95Ms, this.#before.p95Ms, slowdown, tailToleranceMs)
    )
  }

  #atTheEnd(): ProbationVerdict | undefined {
    const { commonest } = this.recorder.conduct
    if (commonest > constantShare && this.#before.commonest < variedShare)
      return { code: 'constant', reason: `${Math.round(100 * commonest)} % of its results say the same` }
    if (this.#before.isConnected && !this.#wasConnected)
      return { code: 'mqtt_lost', reason: 'the broker was never reached since it took over, and was before' }
    return undefined
  }
}

/** A verdict when runs take longer than they may, with what was there before. */
export function slower(
  what: string,
  nowMs: number | null,
  beforeMs: number | null,
  slowdown: number,
  toleranceMs: number,
): Exclude<ProbationVerdict, 'good'> | undefined {
  if (nowMs === null || beforeMs === null || nowMs <= Math.max(slowdown * beforeMs, beforeMs + toleranceMs))
    return undefined
  const found = `${what} within ${nowMs.toFixed(1)} ms, ${beforeMs.toFixed(1)} ms with the model before`
  return { code: 'slow', reason: `${found}: more than ${slowdown} times as long` }
}
