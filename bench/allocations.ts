import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { frameBytes, paddedGeometry } from '../src/core/frame.ts'
import { bundledModel } from '../src/daemon.ts'
import { BufferPool } from '../src/lib/buffer-pool.ts'
import { heapLimits } from '../src/pipeline/confined-process.ts'
import { type FeedResult, InferenceFeed } from '../src/vision/inference-feed.ts'

/**
 * What a frame costs the garbage collector: frames go through the inference feed one after the other, and `--trace-gc` tells
 * what each collection of young objects found. New objects per frame of a thread = what its scavenges saw / frames.
 */

const help = `Usage: bin/node bench/allocations.ts [--frames N] [--model DIR] [--json]

  --frames N   frames after a warm-up of 500 (2,000)
  --model DIR  model folder (the bundled one)
  --json       one JSON object instead of a table`

const warmUp = 500
const { values } = parseArgs({
  options: {
    help: { type: 'boolean', short: 'h', default: false },
    frames: { type: 'string', default: '2000' },
    model: { type: 'string', default: bundledModel },
    json: { type: 'boolean', default: false },
    traced: { type: 'boolean', default: false },
  },
})
const frames = Number(values.frames)
if (values.help) process.stdout.write(`${help}\n`)
else if (values.traced) await runFrames()
else report()

/** The traced process: says where the warm-up ends. */
async function runFrames(): Promise<void> {
  const geometry = paddedGeometry(640, 480)
  const pool = new BufferPool(3, frameBytes(geometry))
  let landed = Promise.withResolvers<FeedResult>()
  const feed = new InferenceFeed({
    options: { model: { dir: values.model, manifestSha256: null }, threads: 1 },
    pool,
    tuning: { lowestScore: null, maxFps: null, isPaused: false, motion: null },
    onResult: (result) => landed.resolve(result),
  })
  await feed.ready
  for (let frame = 0; frame < warmUp + frames; frame++) {
    if (frame === warmUp) process.stdout.write('warm\n')
    landed = Promise.withResolvers()
    feed.offer({ capturedAtMs: 0, geometry, data: pool.take(), isStale: false })
    await landed.promise
  }
  process.stdout.write('done\n')
  await feed.close()
}

/** A heap is named by its isolate's address; the first that is traced is the main thread's. */
type Heap = { scavenges: number; majors: number; allocatedBytes: number; afterMb: number | undefined }

function report(): void {
  const args = [
    '--trace-gc',
    ...heapLimits,
    fileURLToPath(import.meta.url),
    '--traced',
    '--frames',
    values.frames,
    '--model',
    values.model,
  ]
  const trace = execFileSync(process.execPath, args, { encoding: 'utf8', maxBuffer: 2 ** 28 })
  const heaps = new Map<string, Heap>()
  let isWarm = false
  for (const line of trace.split('\n')) {
    if (line === 'done') break
    if (line === 'warm') isWarm = true
    const [, isolate = '', kind = '', before = '', after = ''] =
      /^\[\d+:(0x[0-9a-f]+)[^\]]*\].*: (Scavenge|Mark-Compact)[^\d]*([\d.]+) \([\d.]+\) -> ([\d.]+)/.exec(line) ?? []
    if (isolate === '') continue
    const heap = heaps.get(isolate) ?? { scavenges: 0, majors: 0, allocatedBytes: 0, afterMb: undefined }
    heaps.set(isolate, heap)
    if (isWarm && heap.afterMb !== undefined) {
      heap.allocatedBytes += (Number(before) - heap.afterMb) * 2 ** 20
      if (kind === 'Scavenge') heap.scavenges++
      else heap.majors++
    }
    heap.afterMb = Number(after)
  }
  const rows = [...heaps.values()].map(({ scavenges, majors, allocatedBytes }, i) => ({
    thread: i === 0 ? 'main' : 'inference',
    scavenges,
    majors,
    bytesPerFrame: Math.round(allocatedBytes / frames),
  }))
  if (values.json) {
    process.stdout.write(`${JSON.stringify({ bench: 'allocations', frames, threads: rows })}\n`)
    return
  }
  process.stdout.write('| thread | scavenges | mark-compacts | bytes per frame |\n|---|--:|--:|--:|\n')
  for (const { thread, scavenges, majors, bytesPerFrame } of rows)
    process.stdout.write(`| ${thread} | ${scavenges} | ${majors} | ${bytesPerFrame} |\n`)
}
