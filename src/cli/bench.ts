import { availableParallelism } from 'node:os'
import { exitCodes } from '../core/errors.ts'
import { bundledModel } from '../daemon.ts'
import { residentBytes } from '../system/board.ts'
import { Terminal } from '../system/terminal.ts'
import { readDevice, readGauges } from './bench/device.ts'
import { startFeedRun } from './bench/feed-run.ts'
import { demoFrames, type Pictures } from './bench/frames.ts'
import { comparePrecision } from './bench/precision.ts'
import { type BenchReport, describeReport, jsonReport, type Setting } from './bench/report.ts'
import { StageTimes } from './bench/stages.ts'

export type BenchOptions = {
  readonly seconds?: number
  readonly threads?: readonly number[]
  readonly model?: string
  readonly json?: boolean
}

/** A camera's usual size; see `camera` in the configuration. */
const frame = { width: 640, height: 480 }

/** Frames of each of the demo's photos, made beforehand: enough for none to be like the one before, few enough to hold. */
const perPhoto = 4

/** Until caches are warm and V8 has compiled what is hot. */
const warmUpFrames = 30

const megabyte = 1024 * 1024

type Run = {
  readonly pictures: Pictures
  readonly model: string
  readonly seconds: number
  readonly signal: AbortSignal
  readonly onProgress: (line: string) => void
}

/** `sightd bench`: how fast this board takes frames through the model, for each number of threads, and at what cost. */
export async function bench(
  {
    seconds = 10,
    threads = [Math.max(1, availableParallelism() - 1)],
    model = bundledModel,
    json = false,
  }: BenchOptions,
  signal: AbortSignal,
): Promise<number> {
  using terminal = process.stderr.isTTY ? new Terminal(process.stderr) : undefined
  const onProgress = (line: string) => terminal?.status(line)
  onProgress('int8 and float32 side by side')
  // Here, in the main thread, so that ONNX Runtime is told before its first session that it is to report to nobody.
  const precisionMs = await comparePrecision(1)
  const pictures = await demoFrames(frame.width, frame.height, perPhoto)
  const settings: Setting[] = []
  let measured: BenchReport['model'] | undefined
  for (const count of threads) {
    if (signal.aborted) break
    const one = await measure(count, { pictures, model, seconds, signal, onProgress })
    settings.push(one.setting)
    measured = one.model
  }
  onProgress('')
  if (signal.aborted || measured === undefined) {
    process.stderr.write('sightd: stopped before all was measured\n')
    return exitCodes.failure
  }
  const report = { device: await readDevice(), model: measured, frame, settings, precisionMs }
  process.stdout.write(json ? `${JSON.stringify(jsonReport(report))}\n` : describeReport(report))
  return exitCodes.ok
}

async function measure(
  threads: number,
  { pictures, model: dir, seconds, signal, onProgress }: Run,
): Promise<{ setting: Setting; model: BenchReport['model'] }> {
  await using run = await startFeedRun(pictures, { model: { dir, manifestSha256: null }, threads })
  const { name, version } = run.model
  for (let i = 0; i < warmUpFrames && !signal.aborted; i++) await run.show()
  const times = new StageTimes()
  const before = await readGauges()
  const cpuBefore = process.cpuUsage()
  const startMs = performance.now()
  const passedS = () => (performance.now() - startMs) / 1000
  let frames = 0
  let told = 0
  do {
    times.push((await run.show()).timingMs)
    frames++
    if (passedS() >= told) onProgress(`threads ${threads}: ${told++} of ${seconds} s`)
  } while (passedS() < seconds && !signal.aborted)
  const measuredS = passedS()
  const { user, system } = process.cpuUsage(cpuBefore)
  const setting = {
    threads,
    loadMs: run.loadMs,
    frames,
    seconds: measuredS,
    cpuS: (user + system) / 1e6,
    memoryMb: ((await residentBytes(process.pid)) ?? 0) / megabyte,
    ms: times.quantiles,
    before,
    after: await readGauges(),
  }
  return { setting, model: { name, version } }
}
