import type { FrameCounters, VisionResult } from '../core/vision-protocol.ts'
import { Ring } from '../lib/ring.ts'

type Quantiles = { readonly p50: number; readonly p95: number }

/** What a run did, for people at its end and for `--json`-minded logs. */
export type RunSummary = {
  readonly results: number
  readonly seconds: number
  readonly fps: number
  readonly frames: FrameCounters
  readonly ms: {
    readonly age: Quantiles
    readonly preprocess: Quantiles
    readonly inference: Quantiles
    readonly decode: Quantiles
    readonly total: Quantiles
  }
  /** From the start of the daemon to the first result. */
  readonly firstResultMs: number | null
}

/** Results over which the stages' quantiles are taken. */
const window = 1000

/** Span over which the current rate is taken. */
const rateWindowMs = 5000

const noTimes = () => ({
  age: new Ring(window),
  preprocess: new Ring(window),
  inference: new Ring(window),
  decode: new Ring(window),
  total: new Ring(window),
})

/** Keeps count of results: rate, stage times. */
export class RunStats {
  readonly #startMs = performance.now()
  #stages = noTimes()
  /** Times of the newest results, oldest first; never longer than a rate of 120 fps makes it. */
  readonly #recentMs: number[] = []
  #firstMs: number | undefined
  #lastMs = 0
  results = 0

  note({ frame, timingMs }: VisionResult): void {
    const now = performance.now()
    this.#firstMs ??= now
    this.#lastMs = now
    this.results++
    this.#recentMs.push(now)
    this.#forget(now)
    this.#stages.age.push(frame.ageMs)
    for (const stage of ['preprocess', 'inference', 'decode', 'total'] as const)
      this.#stages[stage].push(timingMs[stage])
  }

  /** What the stages took says nothing any more: another model runs. */
  forgetTimes(): void {
    this.#stages = noTimes()
  }

  /** Results per second over the last seconds. */
  get fps(): number {
    const now = performance.now()
    this.#forget(now)
    const [first] = this.#recentMs
    return first === undefined || this.#recentMs.length < 2
      ? 0
      : ((this.#recentMs.length - 1) * 1000) / Math.max(now - first, 1)
  }

  /** Times of the newest runs of the model, and ages of their frames, in ms. */
  get inferenceMs(): Ring {
    return this.#stages.inference
  }

  get ageMs(): Ring {
    return this.#stages.age
  }

  summary(frames: FrameCounters): RunSummary {
    const quantiles = (ring: Ring): Quantiles => ({
      p50: round(ring.quantile(0.5) ?? 0),
      p95: round(ring.quantile(0.95) ?? 0),
    })
    const { age, preprocess, inference, decode, total } = this.#stages
    const spanMs = this.#lastMs - (this.#firstMs ?? 0)
    return {
      results: this.results,
      seconds: round((performance.now() - this.#startMs) / 1000),
      fps: this.results > 1 ? round(((this.results - 1) * 1000) / Math.max(spanMs, 1)) : 0,
      frames,
      ms: {
        age: quantiles(age),
        preprocess: quantiles(preprocess),
        inference: quantiles(inference),
        decode: quantiles(decode),
        total: quantiles(total),
      },
      firstResultMs: this.#firstMs === undefined ? null : Math.round(this.#firstMs - this.#startMs),
    }
  }

  #forget(now: number): void {
    // Two at least: a board that takes longer than the window for a result has a rate all the same.
    while (this.#recentMs.length > 2 && (this.#recentMs[0] ?? now) < now - rateWindowMs) this.#recentMs.shift()
  }
}

function round(value: number): number {
  return Math.round(value * 100) / 100
}
