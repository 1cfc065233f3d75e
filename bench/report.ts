import type { Verdict } from './baseline.ts'
import type { Figure } from './measurement.ts'

export type Outcome = {
  readonly name: string
  /** Why it was not measured. */
  readonly skipped: string | null
  /** Median of a bare run of the model before and after. */
  readonly bareMs: number | null
  readonly figures: readonly JudgedFigure[]
}

type JudgedFigure = Figure & {
  readonly key: string
  readonly ratio: number
  /** The baseline's ratio; null where it has none. */
  readonly baseline: number | null
  readonly verdict: Verdict
}

/** A line for each figure: its value, its ratio to a bare run, the baseline's, and what is to be thought of it. */
export function describeOutcomes(outcomes: readonly Outcome[]): string {
  const lines = outcomes.flatMap(({ name, skipped, bareMs, figures }) =>
    skipped === null
      ? [`\n${name} (a bare run takes ${bareMs?.toFixed(2)} ms)`, ...figures.map(describeFigure)]
      : [`\n${name}: skipped, ${skipped}`],
  )
  return `${'figure'.padEnd(32)} ${'value'.padStart(14)} ${'ratio'.padStart(9)} ${'baseline'.padStart(9)}${lines.join('\n')}\n`
}

function describeFigure({ key, value, unit, ratio, baseline, verdict, atMost }: JudgedFigure): string {
  const what = key.slice(key.indexOf(': ') + 2)
  const limit = atMost === undefined ? '' : value > atMost ? ` (the aim, ${atMost}, is missed)` : ` (at most ${atMost})`
  return `  ${what.padEnd(30)} ${`${short(value)} ${unit}`.padStart(14)} ${short(ratio).padStart(9)} ${(baseline === null ? '–' : short(baseline)).padStart(9)}  ${verdict}${limit}`
}

/** Four digits that count. */
function short(value: number): string {
  return value >= 1000 ? value.toFixed(0) : value.toPrecision(4)
}
