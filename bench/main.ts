import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { packageRoot, packageVersions } from '../src/lib/package.ts'
import { Terminal } from '../src/system/terminal.ts'
import { judge, ratioOf, readBaseline, renewBaseline, tolerance } from './baseline.ts'
import { type Context, type Measurement, Yardstick } from './measurement.ts'
import { decode } from './measurements/decode.ts'
import { handover } from './measurements/handover.ts'
import { memory } from './measurements/memory.ts'
import { mqtt } from './measurements/mqtt.ts'
import { overhead } from './measurements/overhead.ts'
import { preprocess } from './measurements/preprocess.ts'
import { spool } from './measurements/spool.ts'
import { startup } from './measurements/startup.ts'
import { swap } from './measurements/swap.ts'
import { describeOutcomes, type Outcome } from './report.ts'
import { describeMachine } from './support/machine.ts'

const measurements: readonly Measurement[] = [
  overhead,
  preprocess,
  decode,
  handover,
  spool,
  mqtt,
  swap,
  memory,
  startup,
]
const names = [...measurements.map(({ name }) => name), 'peers']

const help = `Measures what sightd costs around the model, each figure in units of a bare run of the model on the same machine at the same
time, and compares them with a baseline, so that a regression shows on any machine of that kind.

  npm run bench                          all but peers
  npm run bench -- overhead swap         only these
  npm run bench -- peers                 beside what a user would write instead; first bench/peers/install.sh. Its own --help.
  npm run bench -- --renew               writes what it measured into the baseline

${measurements.map(({ name, about }) => `  ${name.padEnd(10)} ${about}`).join('\n')}
  ${'peers'.padEnd(10)} the same frames through Python, LiteRT and Node programs; one table with ratios to ours

  --against FILE   another baseline than bench/baseline.json
  --renew          after a change that is meant to change figures, on a quiet machine: run it, look at the difference in git, and
                   commit it with the change. Only what was measured is replaced, and only for this architecture.
  --threads N      threads of one inference (1)
  --json           one JSON object
  --quick          a few rounds of each: shows that it works, the figures are worth nothing

Exit code 1: a figure is more than ${Math.round((tolerance - 1) * 100)} % worse than the baseline, or above its aim where the baseline is not.
`

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: 'boolean', default: false },
    against: { type: 'string', default: join(packageRoot, 'bench/baseline.json') },
    renew: { type: 'boolean', default: false },
    threads: { type: 'string', default: '1' },
    quick: { type: 'boolean', default: false },
    seconds: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})
const unknown = positionals.filter((name) => !names.includes(name))
if (unknown.length > 0) {
  process.stderr.write(`bench: nothing is called ${unknown.join(', ')}; there are ${names.join(', ')}\n`)
  process.exit(2)
}
if (values.help) {
  process.stdout.write(help)
  process.exit(0)
}

const threads = Number(values.threads)
const terminal = process.stderr.isTTY ? new Terminal(process.stderr) : undefined
const machine = { ...describeMachine(), ort: packageVersions().ort }
const rounds = (usual: number) => (values.quick ? Math.min(usual, 5) : usual)

if (positionals.includes('peers')) {
  const { comparePeers } = await import('./peers/main.ts')
  const seconds = values.quick ? 1 : Number(values.seconds ?? 8)
  const table = await comparePeers({ threads, seconds, onProgress: (words) => terminal?.status(words) })
  terminal?.status('')
  process.stdout.write(values.json ? `${JSON.stringify({ machine, threads, seconds, ...table.json })}\n` : table.text)
} else {
  const chosen = measurements.filter(({ name }) => positionals.length === 0 || positionals.includes(name))
  process.exitCode = await measureAll(chosen)
}

async function measureAll(chosen: readonly Measurement[]): Promise<number> {
  const baseline = readBaseline(values.against)
  const outcomes: Outcome[] = []
  for (const measurement of chosen) {
    const { name, lacks } = measurement
    const onProgress = (words: string) => terminal?.status(`${name}: ${words}`)
    onProgress('')
    const reason = lacks?.()
    if (reason !== undefined) outcomes.push({ name, skipped: reason, bareMs: null, figures: [] })
    else outcomes.push(await measureOne(measurement, { threads, rounds, onProgress }))
  }
  terminal?.status('')
  const figures = outcomes.flatMap((outcome) => outcome.figures)
  if (values.renew) {
    const compared = figures.filter(({ isCompared }) => isCompared)
    renewBaseline(values.against, baseline, new Map(compared.map(({ key, ratio }) => [key, ratio])))
  }
  process.stdout.write(
    values.json
      ? `${JSON.stringify({ machine, threads, tolerance, outcomes })}\n`
      : `${machine.cpu}, ${machine.cores} cores, Node ${machine.node}, ONNX Runtime ${machine.ort}, ${threads} thread(s)\n${describeOutcomes(outcomes)}`,
  )
  return figures.some(({ verdict }) => verdict === 'WORSE' || verdict === 'TOO MUCH') ? 1 : 0

  async function measureOne({ name, run }: Measurement, context: Context): Promise<Outcome> {
    await using yardstick = await Yardstick.open(threads)
    await yardstick.medianMs(rounds(20))
    // Before and after: what happens to the machine meanwhile happens to both.
    const before = await yardstick.medianMs(rounds(50))
    const measured = await run(context)
    const bareMs = (before + (await yardstick.medianMs(rounds(50)))) / 2
    const figures = Object.entries(measured).map(([what, figure]) => {
      const key = `${name}: ${what}`
      const ratio = ratioOf(figure, bareMs)
      const baselineRatio = baseline[process.arch]?.[key]
      return { key, ...figure, ratio, baseline: baselineRatio ?? null, verdict: judge(figure, ratio, baselineRatio) }
    })
    return { name, skipped: null, bareMs, figures }
  }
}
