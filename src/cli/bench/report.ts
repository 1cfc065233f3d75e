import { isSlowed } from '../../system/board-sensors.ts'
import type { DeviceFacts, Gauges } from './device.ts'
import type { Precision } from './precision.ts'
import { type Quantiles, type Stage, stages } from './stages.ts'

/** What was measured with so many threads. */
export type Setting = {
  readonly threads: number
  readonly loadMs: number
  readonly frames: number
  readonly seconds: number
  readonly cpuS: number
  /** Resident memory of this process at the end. */
  readonly memoryMb: number
  readonly ms: Record<Stage, Quantiles>
  readonly before: Gauges
  readonly after: Gauges
}

export type BenchReport = {
  readonly device: DeviceFacts
  readonly model: { readonly name: string; readonly version: string }
  readonly frame: { readonly width: number; readonly height: number }
  readonly settings: readonly Setting[]
  /** Median ms of a run of the comparison network on one thread. */
  readonly precisionMs: Record<Precision, number>
}

/** What makes the figures worth less, or the model worth changing. */
export function warningsOf({ settings, precisionMs: { int8, float32 } }: BenchReport): string[] {
  const slowed = settings.some(({ before, after }) => isSlowed(before.throttled) || isSlowed(after.throttled))
  return [
    ...(int8 < float32
      ? []
      : [
          `int8 is not faster than float32 on this CPU (${ms(int8)} ms and ${ms(float32)} ms for the same network): a quantized model saves memory here, but no time`,
        ]),
    ...(slowed ? ['the firmware slowed the CPU down meanwhile (heat or power): these are not its best figures'] : []),
  ]
}

/** Markdown that reads well as it is: to be pasted into an issue, or looked at. */
export function describeReport(report: BenchReport): string {
  const { device, model, frame, settings, precisionMs } = report
  const { cpu } = device
  const features = cpu.features === null ? 'features unknown' : cpu.features.join(' ') || 'no int8 instructions'
  return [
    `sightd ${device.sightd} bench: ${model.name} ${model.version}, frames of ${frame.width}x${frame.height}`,
    '',
    `- board: ${device.board ?? 'not told'}`,
    `- CPU: ${cpu.cores} × ${cpu.model ?? 'unknown'} (${features})`,
    `- system: ${device.os ?? 'unknown'}, ${device.kernel}, ${device.arch}`,
    `- Node.js ${device.node}, ONNX Runtime ${device.ort}`,
    `- int8 ${ms(precisionMs.int8)} ms, float32 ${ms(precisionMs.float32)} ms for the same small network: int8 is ${(precisionMs.float32 / precisionMs.int8).toFixed(2)} times as fast`,
    ...warningsOf(report).map((warning) => `- **warning: ${warning}**`),
    '',
    ...table(
      ['threads', 'ms', 'p50', 'p95', 'p99'],
      settings.flatMap(({ threads, ms: times }) =>
        stages.map((stage) => {
          const { p50, p95, p99 } = times[stage]
          return [String(threads), stage, ms(p50), ms(p95), ms(p99)]
        }),
      ),
    ),
    '',
    ...table(
      ['threads', 'fps', 'CPU s per 1,000 frames', 'memory MB', 'load ms', '°C', 'throttled', 'J per frame'],
      settings.map((setting) => [
        String(setting.threads),
        (setting.frames / setting.seconds).toFixed(1),
        ((setting.cpuS / setting.frames) * 1000).toFixed(1),
        setting.memoryMb.toFixed(0),
        setting.loadMs.toFixed(0),
        fromTo(setting, ({ tempC }) => tempC?.toFixed(0) ?? '–'),
        fromTo(setting, ({ throttled }) => (throttled === null ? '–' : `0x${throttled.toString(16)}`)),
        energyPerFrame(setting)?.toFixed(3) ?? '–',
      ]),
    ),
    '',
  ].join('\n')
}

/** Null where the machine has no counter, or where it began anew meanwhile. */
export function energyPerFrame({ before, after, frames }: Setting): number | null {
  if (before.energyJ === null || after.energyJ === null || after.energyJ < before.energyJ) return null
  return (after.energyJ - before.energyJ) / frames
}

function fromTo({ before, after }: Setting, text: (gauges: Gauges) => string): string {
  return text(before) === text(after) ? text(before) : `${text(before)} → ${text(after)}`
}

function ms(value: number): string {
  return value.toFixed(2)
}

/** The first column of words is on the left, numbers are on the right. */
function table(heads: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = heads.map((head, i) => Math.max(head.length, ...rows.map((row) => row[i]?.length ?? 0)))
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, i) => (isWord(i) ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join(' | ')} |`
  const isWord = (i: number) => rows.every((row) => /^[a-z]+$/.test(row[i] ?? ''))
  const rule = `|${widths.map((width, i) => (isWord(i) ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`)).join('|')}|`
  return [line(heads), rule, ...rows.map(line)]
}

/** The same for a program; snake case, as in all JSON that sightd prints. */
export function jsonReport(report: BenchReport): object {
  const { device, model, frame, settings, precisionMs } = report
  return {
    ...device,
    model,
    frame,
    precision_ms: rounded(precisionMs),
    warnings: warningsOf(report),
    settings: settings.map((setting) => ({
      threads: setting.threads,
      frames: setting.frames,
      fps: round(setting.frames / setting.seconds),
      cpu_s_per_1000_frames: round((setting.cpuS / setting.frames) * 1000),
      memory_mb: Math.round(setting.memoryMb),
      load_ms: round(setting.loadMs),
      ms: Object.fromEntries(stages.map((stage) => [stage, rounded(setting.ms[stage])])),
      temp_c: { before: setting.before.tempC, after: setting.after.tempC },
      throttled: { before: setting.before.throttled, after: setting.after.throttled },
      energy_j_per_frame: energyPerFrame(setting),
    })),
  }
}

function rounded(values: { readonly [name: string]: number }): object {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, round(value)]))
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000
}
