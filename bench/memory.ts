import { parseArgs } from 'node:util'
import { demoCamera, type HeardSightd, startHeardSightd } from './support/heard-sightd.ts'
import { describeMachine } from './support/machine.ts'
import { resident, residentByMapping, residentTogether } from './support/resident.ts'
import { ownProgram } from './support/sightd.ts'

/**
 * What the daemon takes of a board's memory: both processes, on the demo's photos and with a real Mosquitto, after so many
 * results, and what it consists of. Also the time from the start of the program to the first result at a subscriber.
 */

const help = `Usage: bin/node bench/memory.ts [--program FILE] [--results N] [--source NAME] [--json]

  --program FILE  what is started (bin/sightd; /usr/bin/sightd measures the package)
  --results N     when it is measured (150)
  --source NAME   replay (the demo's photos, needs libvips) or synthetic (nothing but the model, as with a camera)
  --json          one JSON object instead of tables`

const { values } = parseArgs({
  options: {
    help: { type: 'boolean', short: 'h', default: false },
    program: { type: 'string', default: ownProgram },
    results: { type: 'string', default: '150' },
    source: { type: 'string', default: 'replay' },
    json: { type: 'boolean', default: false },
  },
})
if (values.help) process.stdout.write(`${help}\n`)
else {
  const camera = values.source === 'replay' ? demoCamera : { source: values.source }
  await using sightd = await startHeardSightd({ camera }, values.program)
  await sightd.results(Number(values.results))
  print(sightd)
}

function print({ control, vision, firstResultMs }: HeardSightd): void {
  const processes = { control: resident(control), vision: resident(vision) }
  const togetherMb = residentTogether([control, vision])
  const mappings = { control: residentByMapping(control), vision: residentByMapping(vision) }
  if (values.json) {
    const { program, results, source } = values
    const report = { program, results, source, firstResultMs, togetherMb, processes, mappings }
    process.stdout.write(`${JSON.stringify({ bench: 'memory', machine: describeMachine(), ...report })}\n`)
    return
  }
  const row = (name: string, ...mb: number[]) =>
    process.stdout.write(`| ${name} | ${mb.map((each) => each.toFixed(1)).join(' | ')} |\n`)
  process.stdout.write('| MiB | control | vision | sum |\n|---|--:|--:|--:|\n')
  for (const key of ['rss', 'pss', 'anonymous'] as const)
    row(key, processes.control[key], processes.vision[key], processes.control[key] + processes.vision[key])
  process.stdout.write(`\nTogether, pages of files that both use once: ${togetherMb.toFixed(1)} MiB\n`)
  process.stdout.write(`First result after ${firstResultMs.toFixed(0)} ms\n`)
  process.stdout.write('\n| resident MiB | control | vision |\n|---|--:|--:|\n')
  const names = new Set([...mappings.vision, ...mappings.control].filter(([, mb]) => mb >= 0.5).map(([name]) => name))
  const of = (list: typeof mappings.control, name: string) => list.find(([each]) => each === name)?.[1] ?? 0
  for (const name of names) row(name, of(mappings.control, name), of(mappings.vision, name))
}
