import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import * as ort from 'onnxruntime-node'
import { bundledModel } from '../src/daemon.ts'
import { Ring } from '../src/lib/ring.ts'
import { mallocLimits } from '../src/pipeline/confined-process.ts'
import { readGoldenInput, readModelFolder } from '../src/vision/model-folder.ts'
import { describeMachine } from './support/machine.ts'
import { resident } from './support/resident.ts'
import { tempFolder } from './support/temp-folder.ts'

/**
 * What each option of ONNX Runtime costs and gives: one process per row, all of them with the bundled model and one of its
 * golden samples. The first row is what `src/vision/session.ts` chooses; each other row changes what its name says. Rows take
 * turns `--rounds` times and the median of a row's rounds is shown, so that a machine that slows down slows all.
 */

const help = `Usage: bin/node bench/session-options.ts [--rounds N] [--runs N] [--only TEXT] [--json]

  --rounds N   how often each row gets a process of its own (3)
  --runs N     timed inferences per process (100)
  --only TEXT  only rows whose name has TEXT in it, and the first
  --json       one JSON object instead of a table`

type Extra = Readonly<Record<string, string>>
type Row = {
  readonly name: string
  readonly options: ort.InferenceSession.SessionOptions
  /** Configuration entries by their full names. */
  readonly extra?: Extra
  /** glibc's settings; those of the vision process if undefined. */
  readonly malloc?: Readonly<Record<string, string>>
  /** Written by an earlier row; undefined: the model as it is shipped. */
  readonly network?: string | undefined
}
type Measured = {
  readonly loadMs: number
  readonly firstMs: number
  readonly p50Ms: number
  readonly p95Ms: number
  /** Of all threads, for 1,000 inferences. */
  readonly cpuS: number
  /** What session and runs have added to the process, the library's text apart. */
  readonly addedMb: number
  readonly outputs: string
}

const { values } = parseArgs({
  options: {
    help: { type: 'boolean', short: 'h', default: false },
    rounds: { type: 'string', default: '3' },
    runs: { type: 'string', default: '100' },
    only: { type: 'string', default: '' },
    json: { type: 'boolean', default: false },
    row: { type: 'string' },
  },
})
if (values.help) process.stdout.write(`${help}\n`)
else if (values.row !== undefined) process.stdout.write(JSON.stringify(await measure(JSON.parse(values.row))))
else compare()

function rows(folder: string): Row[] {
  const chosen: ort.InferenceSession.SessionOptions = {
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    graphOptimizationLevel: 'all',
    enableCpuMemArena: true,
    enableMemPattern: false,
    logSeverityLevel: 4,
  }
  const still: Extra = { 'session.intra_op.allow_spinning': '0', 'session.inter_op.allow_spinning': '0' }
  const row = (name: string, options: ort.InferenceSession.SessionOptions = {}, extra: Extra = {}): Row => ({
    name,
    options: { ...chosen, ...options },
    extra: { ...still, ...extra },
  })
  const saved = (level: 'basic' | 'extended' | 'all', kind: 'onnx' | 'ort') => join(folder, `${level}.${kind}`)
  const save = (level: 'basic' | 'extended' | 'all', kind: 'onnx' | 'ort') =>
    row(
      `writes the model optimised (${level}, ${kind})`,
      { graphOptimizationLevel: level, optimizedModelFilePath: saved(level, kind) },
      kind === 'ort' ? { 'session.save_model_format': 'ORT' } : {},
    )
  const load = (level: 'basic' | 'extended' | 'all', kind: 'onnx' | 'ort', extra: Extra = {}, suffix = '') => ({
    ...row(`model optimised offline (${level}, ${kind})${suffix}`, { graphOptimizationLevel: 'disabled' }, extra),
    network: saved(level, kind),
  })
  return [
    row('chosen'),
    ...[2, 3, 4].map((threads) => row(`${threads} threads`, { intraOpNumThreads: threads })),
    row('2 threads, spinning', { intraOpNumThreads: 2 }, { 'session.intra_op.allow_spinning': '1' }),
    row('no arena', { enableCpuMemArena: false }),
    row('memory pattern', { enableMemPattern: true }),
    { ...row("malloc's own thresholds"), malloc: {} },
    { ...row("no arena, malloc's own thresholds", { enableCpuMemArena: false }), malloc: {} },
    row('no prepacking', {}, { 'session.disable_prepacking': '1' }),
    row('weights outside the arena', {}, { 'session.use_device_allocator_for_initializers': '1' }),
    row('denormals as zero', {}, { 'session.set_denormal_as_zero': '1' }),
    ...(['disabled', 'basic', 'extended'] as const).map((graphOptimizationLevel) =>
      row(`optimisation: ${graphOptimizationLevel}`, { graphOptimizationLevel }),
    ),
    ...(['basic', 'extended', 'all'] as const).flatMap((level) => [save(level, 'onnx'), load(level, 'onnx')]),
    save('all', 'ort'),
    load('all', 'ort'),
    load(
      'all',
      'ort',
      { 'session.use_ort_model_bytes_directly': '1', 'session.use_ort_model_bytes_for_initializers': '1' },
      ', weights left in its bytes',
    ),
  ]
}

function compare(): void {
  using folder = tempFolder()
  const [first, ...others] = rows(folder.path)
  const chosen = [first, ...others.filter(({ name }) => name.includes(values.only))].filter((row) => row !== undefined)
  const measured = new Map<string, Measured[]>(chosen.map(({ name }) => [name, []]))
  const rounds = Number(values.rounds)
  for (let round = 0; round < rounds; round++) {
    for (const [i, row] of chosen.entries()) {
      if (process.stderr.isTTY)
        process.stderr.write(`\rround ${round + 1} of ${rounds}, row ${i + 1} of ${chosen.length} `)
      measured.get(row.name)?.push(inOwnProcess(row))
    }
  }
  print(chosen.map(({ name, network }) => ({ name, network, ...medians(measured.get(name) ?? []) })))
}

function inOwnProcess(row: Row): Measured {
  const args = [fileURLToPath(import.meta.url), '--row', JSON.stringify(row), '--runs', values.runs]
  const env = { ORT_DISABLE_TELEMETRY: '1', ...(row.malloc ?? mallocLimits) }
  return JSON.parse(execFileSync(process.execPath, ['--expose-gc', ...args], { env, encoding: 'utf8' }))
}

async function measure({ options, extra = {}, network }: Row): Promise<Measured> {
  const folder = await readModelFolder(bundledModel)
  const { manifest } = folder
  const { input, golden } = manifest
  const [sample] = golden
  if (sample === undefined) throw new Error('the model has no golden sample')
  const pixels = await readGoldenInput(
    bundledModel,
    manifest,
    sample,
    input.shape.reduce((a, b) => a * b),
  )
  const bytes = Uint8Array.from(network === undefined ? folder.network : readFileSync(network))
  globalThis.gc?.()
  // The bytes go once they are loaded.
  const before = resident(process.pid).anonymous - bytes.length / 2 ** 20

  const loadMs = performance.now()
  const session = await ort.InferenceSession.create(bytes, { ...options, extra: nested(extra) })
  const loadedMs = performance.now()
  if (extra['session.use_ort_model_bytes_directly'] === undefined) bytes.buffer.transfer(0)
  const feeds = { [input.name]: new ort.Tensor('uint8', pixels, input.shape) }
  let outputs = await session.run(feeds)
  const firstMs = performance.now()
  const release = () => {
    for (const { data } of Object.values(outputs))
      if (ArrayBuffer.isView(data) && data.buffer instanceof ArrayBuffer) data.buffer.transfer(0)
  }
  const ms = new Ring(Number(values.runs))
  const warmUp = 10
  let cpu = process.cpuUsage()
  for (let run = 0; run < warmUp + Number(values.runs); run++) {
    if (run === warmUp) cpu = process.cpuUsage()
    const startMs = performance.now()
    release()
    outputs = await session.run(feeds)
    if (run >= warmUp) ms.push(performance.now() - startMs)
  }
  const { user, system } = process.cpuUsage(cpu)
  const hash = createHash('sha256')
  for (const { data } of Object.values(outputs)) if (ArrayBuffer.isView(data)) hash.update(data)
  return {
    loadMs: loadedMs - loadMs,
    firstMs: firstMs - loadedMs,
    p50Ms: ms.quantile(0.5) ?? 0,
    p95Ms: ms.quantile(0.95) ?? 0,
    cpuS: (user + system) / 1000 / ms.length,
    addedMb: resident(process.pid).anonymous - before,
    outputs: hash.digest('hex').slice(0, 8),
  }
}

/** `a.b.c` as the binding wants it: objects within objects. */
function nested(extra: Extra): Record<string, unknown> {
  const root: Record<string, unknown> = {}
  for (const [path, value] of Object.entries(extra)) {
    const keys = path.split('.')
    const last = keys.pop() ?? ''
    let at: Record<string, unknown> = root
    for (const key of keys) {
      const below = at[key] ?? {}
      at[key] = below
      at = below as Record<string, unknown>
    }
    at[last] = value
  }
  return root
}

function medians(rounds: readonly Measured[]): Measured {
  const of = (key: Exclude<keyof Measured, 'outputs'>) => {
    const ring = new Ring(rounds.length)
    for (const round of rounds) ring.push(round[key])
    return ring.quantile(0.5) ?? 0
  }
  return {
    loadMs: of('loadMs'),
    firstMs: of('firstMs'),
    p50Ms: of('p50Ms'),
    p95Ms: of('p95Ms'),
    cpuS: of('cpuS'),
    addedMb: of('addedMb'),
    outputs: [...new Set(rounds.map(({ outputs }) => outputs))].join(','),
  }
}

function print(measured: readonly (Measured & Pick<Row, 'name' | 'network'>)[]): void {
  const [first] = measured
  if (first === undefined) return
  const machine = describeMachine()
  if (values.json) {
    process.stdout.write(
      `${JSON.stringify({ bench: 'session-options', machine, runs: values.runs, rows: measured })}\n`,
    )
    return
  }
  const lines = measured.map(({ name, network, loadMs, firstMs, p50Ms, p95Ms, cpuS, addedMb, outputs }) => [
    name,
    p50Ms.toFixed(1),
    (p50Ms / first.p50Ms).toFixed(2),
    p95Ms.toFixed(1),
    cpuS.toFixed(1),
    addedMb.toFixed(1),
    loadMs.toFixed(0),
    firstMs.toFixed(0),
    network === undefined ? '' : `${(statSync(network).size / 2 ** 20).toFixed(1)} MiB`,
    outputs === first.outputs ? 'same' : 'other',
  ])
  const heads = ['', 'p50 ms', 'ratio', 'p95 ms', 'CPU s/1,000', 'MiB', 'load ms', 'first ms', 'file', 'outputs']
  process.stdout.write(`\r${machine.cpu}, ${machine.cores} cores, Node ${machine.node}\n\n`)
  process.stdout.write(`| ${heads.join(' | ')} |\n|${heads.map((_, i) => (i === 0 ? '---' : '--:')).join('|')}|\n`)
  for (const line of lines) process.stdout.write(`| ${line.join(' | ')} |\n`)
}
