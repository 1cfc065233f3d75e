import { availableParallelism, cpus } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { frameBytes } from '../src/core/frame.ts'
import { bundledModel } from '../src/daemon.ts'
import { BufferPool } from '../src/lib/buffer-pool.ts'
import { packageRoot } from '../src/lib/package.ts'
import { Ring } from '../src/lib/ring.ts'
import { createInputTensor, type TensorData } from '../src/vision/input-tensor.ts'
import { readModelFolder } from '../src/vision/model-folder.ts'
import { createPreprocessor } from '../src/vision/preprocess.ts'
import { openSource } from '../src/vision/source.ts'
import { createPlainPreprocessor } from '../test/support/plain-preprocess.ts'

/**
 * What it costs to make the bundled model's input out of a frame of 640x480: by the kernel, by the same in plain TypeScript, and
 * beside them the network itself. They take turns in one run, each after a run of the network, which leaves them cold caches.
 */

const usage = `Usage: bin/node bench/preprocess.ts [--rounds N] [--only kernel|plain] [--json]

--rounds  how often each is measured; 300
--only    runs one of them that often and nothing else, without the network: for a profiler that counts instructions
--json    one line of JSON instead of the table
`

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '300' },
    only: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})
const rounds = Number(values.rounds)
if (values.help || !Number.isInteger(rounds) || rounds < 1 || !['kernel', 'plain', undefined].includes(values.only)) {
  process.stdout.write(usage)
  process.exit(values.help ? 0 : 2)
}
const warmUp = 50

const model = await readModelFolder(bundledModel)
const { input } = model.manifest
const geometry = { width: 640, height: 480, stride: 640 }
const stages = {
  kernel: createPreprocessor(geometry, input),
  plain: createPlainPreprocessor(geometry, input),
}

if (values.only === 'kernel' || values.only === 'plain') {
  const { write } = stages[values.only]
  const frame = new Uint8Array(frameBytes(geometry))
  const tensor = createInputTensor(input)
  for (let round = 0; round < rounds; round++) write(frame, tensor)
} else {
  await compare(await demoFrame())
}

async function compare(frame: Uint8Array): Promise<void> {
  // Not for a profiler: ONNX Runtime's own threads would count.
  const { ModelSession } = await import('../src/vision/session.ts')
  await using session = await ModelSession.open(model, { threads: 1 })
  const ms = { kernel: new Ring(rounds), plain: new Ring(rounds), run: new Ring(rounds * 2) }
  for (let round = -warmUp; round < rounds; round++) {
    for (const stage of ['kernel', 'plain'] as const) {
      const startMs = performance.now()
      stages[stage].write(frame, session.input)
      const writtenMs = performance.now()
      await session.run()
      if (round < 0) continue
      ms[stage].push(writtenMs - startMs)
      ms.run.push(performance.now() - writtenMs)
    }
    if (!values.json && process.stderr.isTTY) process.stderr.write(`\r${round + warmUp} of ${rounds + warmUp}`)
  }
  const p50 = (ring: Ring) => ring.quantile(0.5) ?? Number.NaN
  const ratios = { plainOverKernel: p50(ms.plain) / p50(ms.kernel), kernelOverRun: p50(ms.kernel) / p50(ms.run) }
  const garbageBytes = garbagePerFrame(frame, session.input)
  const machine = {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    arch: process.arch,
    node: process.version,
  }
  const rows = Object.entries(ms).map(([stage, ring]) => ({
    stage,
    p50: p50(ring),
    p95: ring.quantile(0.95) ?? Number.NaN,
  }))
  if (values.json) {
    const quantiles = Object.fromEntries(rows.map(({ stage, ...quantiles }) => [stage, quantiles]))
    process.stdout.write(
      `${JSON.stringify({ bench: 'preprocess', machine, rounds, ms: quantiles, ratios, garbageBytes })}\n`,
    )
    return
  }
  process.stdout.write(
    `\r${machine.cpu}, ${machine.cores} cores, Node ${machine.node}; ${rounds} frames of 640x480, 1 thread\n`,
  )
  process.stdout.write('                     p50 ms   p95 ms\n')
  for (const { stage, p50, p95 } of rows)
    process.stdout.write(`${stage.padEnd(18)} ${p50.toFixed(3).padStart(8)} ${p95.toFixed(3).padStart(8)}\n`)
  process.stdout.write(`plain over kernel, p50: ${ratios.plainOverKernel.toFixed(1)}\n`)
  process.stdout.write(`kernel over run, p50: ${ratios.kernelOverRun.toFixed(3)}\n`)
  process.stdout.write(`garbage of the kernel: ${garbageBytes.toFixed(1)} bytes per frame\n`)
}

/** What V8's heap grows by; reading its size takes some kilobytes itself, so many frames share them. */
function garbagePerFrame(frame: Uint8Array, tensor: TensorData): number {
  const frames = 10_000
  const before = process.memoryUsage().heapUsed
  for (let i = 0; i < frames; i++) stages.kernel.write(frame, tensor)
  return (process.memoryUsage().heapUsed - before) / frames
}

async function demoFrame(): Promise<Uint8Array> {
  const { width, height } = geometry
  const source = await openSource({ source: 'replay', path: join(packageRoot, 'deploy/demo'), width, height, fps: 120 })
  const stop = new AbortController()
  const pool = new BufferPool(2, frameBytes(source.geometry))
  for await (const { data } of source.frames(pool, stop.signal)) return data
  throw new Error('the demo has no photos')
}
