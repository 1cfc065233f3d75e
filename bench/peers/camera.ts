import { appendFileSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'

/**
 * Plays rpicam-vid for the peers and for sightd alike: raw I420 frames of a file, over and over, into a FIFO, at a steady rate;
 * SIGUSR2 changes to the fast rate and back. A frame that can't be written in time makes the next one late, as with a camera that
 * has no buffer free.
 * Each frame's number and the time at which it was ready (CLOCK_MONOTONIC, ns) go to the log before it is written.
 */

const { values, tokens } = parseArgs({
  // What rpicam-vid is told besides is of no matter here.
  strict: false,
  tokens: true,
  options: {
    file: { type: 'string' },
    log: { type: 'string' },
    'frame-bytes': { type: 'string' },
    rate: { type: 'string' },
    'fast-rate': { type: 'string' },
    output: { type: 'string' },
    frames: { type: 'string' },
  },
})
const given = (name: keyof typeof values) => {
  const value = values[name]
  if (typeof value !== 'string') throw new Error(`--${name} is missing: ${JSON.stringify(tokens)}`)
  return value
}

// sightd ends only what is called like a camera program.
writeFileSync('/proc/self/comm', 'rpicam-vid')
const frames = readFileSync(given('file'))
const frameBytes = Number(given('frame-bytes'))
const output = openSync(given('output'), 'w')
let rate: 'rate' | 'fast-rate' = 'rate'
process.on('SIGUSR2', () => {
  rate = rate === 'rate' ? 'fast-rate' : 'rate'
})

if (values.frames === '1') write(frames.subarray(0, frameBytes))
else await stream()

async function stream(): Promise<void> {
  let dueMs = performance.now()
  for (let frame = 0; ; frame++) {
    await delay(Math.max(0, dueMs - performance.now()))
    const at = (frame * frameBytes) % frames.length
    appendFileSync(given('log'), `${process.pid} ${frame} ${process.hrtime.bigint()}\n`)
    write(frames.subarray(at, at + frameBytes))
    dueMs = Math.max(dueMs + 1000 / Number(given(rate)), performance.now())
  }
}

function write(bytes: Uint8Array): void {
  try {
    for (let at = 0; at < bytes.length; ) at += writeSync(output, bytes, at)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EPIPE') process.exit(0)
    throw error
  }
}
