import { existsSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { startHeardSightd } from './support/heard-sightd.ts'
import { describeMachine } from './support/machine.ts'
import { resident } from './support/resident.ts'
import { ownProgram } from './support/sightd.ts'

/**
 * Does memory stay flat? The daemon runs as fast as it can on generated frames, with a real Mosquitto, and the resident memory
 * of both processes is read at equal distances. The slope of a straight line through them, per frame, is told for an hour at
 * 10 frames per second. The first fifth is left out: there the heaps find their size.
 */

const help = `Usage: bin/node bench/soak.ts [--program FILE] [--frames N] [--samples N] [--fps N] [--json]

  --program FILE  what is started (bin/sightd)
  --frames N      results to wait for (20,000; 100,000 for the figure that counts)
  --samples N     readings on the way (100)
  --fps N         of the source (120, the most that a configuration can ask for)
  --json          one JSON object instead of text`

const { values } = parseArgs({
  options: {
    help: { type: 'boolean', short: 'h', default: false },
    program: { type: 'string', default: ownProgram },
    frames: { type: 'string', default: '20000' },
    samples: { type: 'string', default: '100' },
    fps: { type: 'string', default: '120' },
    json: { type: 'boolean', default: false },
  },
})
if (values.help) process.stdout.write(`${help}\n`)
else await soak()

type Sample = { readonly frames: number; readonly control: number; readonly vision: number }

async function soak(): Promise<void> {
  const frames = Number(values.frames)
  const every = Math.ceil(frames / Number(values.samples))
  const config = { camera: { source: 'synthetic', fps: Number(values.fps) }, motion: { gate: 'off' } }
  await using sightd = await startHeardSightd(config, values.program)
  const samples: Sample[] = []
  const startMs = performance.now()
  for (let seen = every; seen <= frames; seen += every) {
    await sightd.results(seen)
    if (!existsSync(`/proc/${sightd.vision}`)) throw new Error('the vision process was replaced on the way')
    samples.push({ frames: seen, control: resident(sightd.control).rss, vision: resident(sightd.vision).rss })
    if (process.stderr.isTTY) process.stderr.write(`\r${seen} of ${frames} frames `)
  }
  const fps = (frames * 1000) / (performance.now() - startMs)
  const settled = samples.slice(Math.floor(samples.length / 5))
  const report = (['control', 'vision'] as const).map((name) => ({
    process: name,
    firstMb: settled[0]?.[name] ?? 0,
    lastMb: settled.at(-1)?.[name] ?? 0,
    mbPerHourAt10Fps: slope(settled.map((sample) => [sample.frames, sample[name]])) * 36_000,
  }))
  if (values.json) {
    const machine = describeMachine()
    process.stdout.write(`${JSON.stringify({ bench: 'soak', machine, frames, fps, processes: report, samples })}\n`)
    return
  }
  process.stdout.write(`\r${frames} frames, ${fps.toFixed(1)} a second\n\n`)
  process.stdout.write('| process | first MiB | last MiB | MiB per hour at 10 fps |\n|---|--:|--:|--:|\n')
  for (const { process: name, firstMb, lastMb, mbPerHourAt10Fps } of report)
    process.stdout.write(
      `| ${name} | ${firstMb.toFixed(1)} | ${lastMb.toFixed(1)} | ${mbPerHourAt10Fps.toFixed(2)} |\n`,
    )
}

/** Of the straight line that fits best (least squares). */
function slope(points: readonly (readonly [x: number, y: number])[]): number {
  const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length
  const meanX = mean(points.map(([x]) => x))
  const meanY = mean(points.map(([, y]) => y))
  const products = mean(points.map(([x, y]) => (x - meanX) * (y - meanY)))
  return products / mean(points.map(([x]) => (x - meanX) ** 2))
}
