import { availableParallelism, cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { frameBytes, paddedGeometry } from '../src/core/frame.ts'
import { bundledModel } from '../src/daemon.ts'
import { BufferPool } from '../src/lib/buffer-pool.ts'
import { packageRoot } from '../src/lib/package.ts'
import { Ring } from '../src/lib/ring.ts'
import { type FeedResult, InferenceFeed } from '../src/vision/inference-feed.ts'
import { readModelFolder } from '../src/vision/model-folder.ts'
import { ModelSession } from '../src/vision/session.ts'
import { openSource } from '../src/vision/source.ts'

/**
 * What our way around the model costs: the time from a whole frame to its result (hand-over to the inference thread,
 * preprocess, run, decode, hand-back), over a bare `session.run` of the same model with the same options. The two take
 * turns in one run, so that a machine that slows down slows both.
 */

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '300' },
    threads: { type: 'string', default: '1' },
  },
})
const rounds = Number(values.rounds)
const threads = Number(values.threads)
const warmUp = 50

const pool = new BufferPool(3, frameBytes(paddedGeometry(640, 480)))
let landed = Promise.withResolvers<FeedResult>()
const feed = new InferenceFeed({
  options: { model: { dir: bundledModel, manifestSha256: null }, threads },
  pool,
  tuning: { lowestScore: null, maxFps: null, isPaused: false, motion: null },
  onResult: (result) => landed.resolve(result),
})
await feed.ready
const bare = await ModelSession.open(await readModelFolder(bundledModel), { threads })
const source = await openSource({
  source: 'replay',
  path: `${packageRoot}/deploy/demo`,
  width: 640,
  height: 480,
  fps: 120,
})

const ms = {
  total: new Ring(rounds),
  preprocess: new Ring(rounds),
  inference: new Ring(rounds),
  decode: new Ring(rounds),
  bare: new Ring(rounds),
}
const stop = new AbortController()
let round = 0
for await (const frame of source.frames(pool, stop.signal)) {
  landed = Promise.withResolvers()
  feed.offer(frame)
  const { timingMs } = await landed.promise
  const startMs = performance.now()
  await bare.run()
  const bareMs = performance.now() - startMs
  if (round++ >= warmUp) {
    ms.bare.push(bareMs)
    for (const stage of ['total', 'preprocess', 'inference', 'decode'] as const) ms[stage].push(timingMs[stage])
    if (!values.json && process.stderr.isTTY) process.stderr.write(`\r${round - warmUp} of ${rounds}`)
  }
  if (round >= warmUp + rounds) break
}
await feed.close()
await bare[Symbol.asyncDispose]()

const quantiles = (ring: Ring) => ({ p50: ring.quantile(0.5) ?? 0, p95: ring.quantile(0.95) ?? 0 })
const stages = Object.fromEntries(Object.entries(ms).map(([stage, ring]) => [stage, quantiles(ring)]))
const ratio = (ms.total.quantile(0.5) ?? 0) / (ms.bare.quantile(0.5) ?? 1)
const machine = {
  cpu: cpus()[0]?.model ?? 'unknown',
  cores: availableParallelism(),
  arch: process.arch,
  node: process.version,
}

if (values.json) {
  process.stdout.write(`${JSON.stringify({ bench: 'overhead', machine, rounds, threads, ms: stages, ratio })}\n`)
} else {
  process.stdout.write(
    `\r${machine.cpu}, ${machine.cores} cores, Node ${machine.node}; ${rounds} frames of 640x480, ${threads} thread(s)\n`,
  )
  process.stdout.write('                     p50 ms   p95 ms\n')
  for (const [stage, { p50, p95 }] of Object.entries(stages)) {
    process.stdout.write(`${stage.padEnd(18)} ${p50.toFixed(2).padStart(8)} ${p95.toFixed(2).padStart(8)}\n`)
  }
  process.stdout.write(`frame ready to result over bare run, p50: ${ratio.toFixed(3)}\n`)
}
