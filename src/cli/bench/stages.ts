import type { StageTimings } from '../../core/vision-protocol.ts'
import { Ring } from '../../lib/ring.ts'

/** In ms, by the nearest rank. */
export type Quantiles = { readonly p50: number; readonly p95: number; readonly p99: number }

/** `handover` is what the other stages leave of `total`: to the inference thread and back. */
export const stages = ['preprocess', 'inference', 'decode', 'handover', 'total'] as const
export type Stage = (typeof stages)[number]

/** The newest so many frames count. */
const frames = 20_000

/** Collects what frames took, stage by stage. */
export class StageTimes {
  readonly #rings = new Map(stages.map((stage) => [stage, new Ring(frames)]))

  push(ms: StageTimings): void {
    const handover = ms.total - ms.preprocess - ms.inference - ms.decode
    for (const stage of stages) this.#rings.get(stage)?.push(stage === 'handover' ? handover : ms[stage])
  }

  /** All 0 while nothing was pushed. */
  get quantiles(): Record<Stage, Quantiles> {
    const of = (stage: Stage) => {
      const at = (q: number) => this.#rings.get(stage)?.quantile(q) ?? 0
      return { p50: at(0.5), p95: at(0.95), p99: at(0.99) }
    }
    return {
      preprocess: of('preprocess'),
      inference: of('inference'),
      decode: of('decode'),
      handover: of('handover'),
      total: of('total'),
    }
  }
}
