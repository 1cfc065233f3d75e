import { readFileSync, writeFileSync } from 'node:fs'
import type { Figure } from './measurement.ts'

/** Figures of an earlier run, as ratios (see `Figure`), for each architecture: they are alike on machines of one kind only. */
export type Baseline = { readonly [arch: string]: { readonly [figure: string]: number } }

/** A figure may be so much worse than the baseline's: runs on a machine that others use too differ by less. */
export const tolerance = 1.4

export type Verdict = 'as before' | 'better' | 'WORSE' | 'TOO MUCH' | 'new' | 'not compared'

export function readBaseline(path: string): Baseline {
  return JSON.parse(readFileSync(path, 'utf8'))
}

/** Adds these figures to those of the same architecture, sorted by name. */
export function renewBaseline(path: string, before: Baseline, figures: ReadonlyMap<string, number>): void {
  const all = Object.entries({ ...before[process.arch], ...Object.fromEntries(figures) }).map(
    ([name, ratio]) => [name, Number(ratio.toPrecision(4))] as const,
  )
  const sorted = Object.fromEntries(all.sort(([a], [b]) => (a < b ? -1 : 1)))
  writeFileSync(path, `${JSON.stringify({ ...before, [process.arch]: sorted }, null, 2)}\n`)
}

/** A figure in units of a bare run of the model that takes `bareMs`; MB and x stay what they are. */
export function ratioOf({ value, unit }: Figure, bareMs: number): number {
  if (unit === 'ms') return value / bareMs
  if (unit === 'us') return value / 1000 / bareMs
  return unit === '/s' ? (value * bareMs) / 1000 : value
}

/** `before`: the baseline's ratio. More is worse, but for rates. */
export function judge(figure: Figure, ratio: number, before: number | undefined): Verdict {
  const { atMost } = figure
  if (atMost !== undefined && figure.value > atMost && !((before ?? 0) > atMost)) return 'TOO MUCH'
  if (!figure.isCompared) return 'not compared'
  if (before === undefined) return 'new'
  const worse = figure.unit === '/s' ? before / ratio : ratio / before
  return worse > tolerance ? 'WORSE' : worse < 1 / tolerance ? 'better' : 'as before'
}
