import type { Performance } from './perform.ts'

export type Row = {
  readonly name: string
  /** Why it did not perform. */
  readonly skipped: string | null
  readonly performance: Performance | null
}

type Column = Exclude<keyof Performance, 'cpuByThread'>

const columns: readonly [head: string, figure: Column, places: number][] = [
  ['fps flat out', 'fps', 1],
  ['CPU s / 1,000 frames', 'cpuSPer1000', 1],
  ['latency p50 ms', 'latencyP50Ms', 1],
  ['latency p95 ms', 'latencyP95Ms', 1],
  ['PSS MB', 'pssMb', 0],
  ['RSS MB', 'rssMb', 0],
  ['lag p95 ms', 'lagP95Ms', 1],
]

/** Markdown: each figure, and in brackets what it is of ours, the first row's; then the processor time by thread. */
export function describeGroup({
  title,
  bareMs,
  rows,
}: {
  readonly title: string
  readonly bareMs: number | null
  readonly rows: readonly Row[]
}): string {
  const ours = rows[0]?.performance ?? null
  const cell = (own: Performance, figure: Column, places: number) => {
    const ratio = own === ours || ours === null ? '' : ` (${(own[figure] / ours[figure]).toFixed(2)})`
    return `${own[figure].toFixed(places)}${ratio}`
  }
  const body = rows.map(({ name, skipped, performance: own }) =>
    own === null
      ? `| ${name} | skipped: ${skipped} |${' |'.repeat(columns.length - 1)}`
      : `| ${[name, ...columns.map(([, figure, places]) => cell(own, figure, places))].join(' | ')} |`,
  )
  return [
    `${title}${bareMs === null ? '' : `; a bare run takes ${bareMs.toFixed(2)} ms`}`,
    '',
    `| | ${columns.map(([head]) => head).join(' | ')} |`,
    `|---|${'---:|'.repeat(columns.length)}`,
    ...body,
    '',
    ...rows.flatMap(({ name, performance }) => (performance === null ? [] : [describeThreads(name, performance)])),
    '',
  ].join('\n')
}

function describeThreads(name: string, { cpuByThread }: Performance): string {
  const each = Object.entries(cpuByThread).map(([thread, cpuSPer1000]) => `${thread} ${cpuSPer1000.toFixed(2)}`)
  return `${name}, CPU s / 1,000 frames by thread: ${each.join(', ')}`
}
