import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { describeError } from '../../src/core/errors.ts'
import { Terminal } from '../../src/system/terminal.ts'
import { describeMachine } from '../support/machine.ts'
import { findProgram } from '../support/mosquitto.ts'
import { limitsProblem } from './limits.ts'
import { type FleetFigures, type FleetOptions, measureFleet } from './measure.ts'

const help = `Usage: bin/node bench/fleet/main.ts [options]

How many devices one MQTT broker can have: devices without cameras (connection, outbox, topics, events and updates are the
daemon's own; what they see is made up) against one Mosquitto on this machine.

Options:
  --devices N,N       how many, one run for each (default: 100,500,1000)
  --seconds N         length of the steady phase (default: 20)
  --outage N          how long the broker is down, in seconds (default: 10)
  --result-rate N     mqtt.result_rate of the devices (default: 1, as in sightd)
  --spread N          over how many seconds devices spread their looks for updates (default: 30, as in sightd)
  --queue N           max_queued_messages of the broker, 0 for no limit (default: 0; Mosquitto's own is 1000)
  --tls               connections with TLS (needs openssl)
  --workers N         processes that the devices share (default: one per core)
  --json              print JSON
  -h, --help

Each run: all are switched on at once; each looks for updates; the steady phase; the broker is restarted, and each device sees
what it sees all the while; a nudge (sightd ota refresh, sightd ota hint); and at the end each event is looked for that was made.

  a device gives    1 result a second, and an event every 20 s (5 messages on event, 2 on current); the rest by default
  memory of device  growth of the processes that hold them, by device: without Node.js itself, camera and model
  back after        from the moment the broker listens again
  missing           events that were made and did not arrive: has to be 0
  an event takes    from the capture of its frame to the arrival at a subscriber

Examples:
  bin/node bench/fleet/main.ts --devices 1000
  bin/node bench/fleet/main.ts --devices 1000 --result-rate 10      where does the broker bend?
  bin/node bench/fleet/main.ts --devices 1000 --tls --outage 1      the storm at its worst
  bin/node bench/fleet/main.ts --devices 1000 --outage 60 --queue 1000   what the broker's own default loses

Exit codes: 0 done, 1 it could not be measured, 2 wrong usage. A thousand devices take 3 minutes and 1 GB of memory.
`

const usageError = 2

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      devices: { type: 'string', default: '100,500,1000' },
      seconds: { type: 'string', default: '20' },
      outage: { type: 'string', default: '10' },
      'result-rate': { type: 'string', default: '1' },
      spread: { type: 'string', default: '30' },
      queue: { type: 'string', default: '0' },
      workers: { type: 'string', default: `${availableParallelism()}` },
      tls: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) {
    process.stdout.write(help)
    return 0
  }
  type Name = Exclude<keyof typeof values, 'tls' | 'json' | 'help'>
  const number = (name: Name, min: number, max: number, text = values[name]) => {
    const value = Number(text)
    if (text !== '' && value >= min && value <= max) return value
    throw new UsageError(`--${name}: found ${JSON.stringify(text)}, has to be a number from ${min} to ${max}`)
  }
  const whole = (name: Name, min: number, max: number, text = values[name]) => {
    const value = number(name, min, max, text)
    if (Number.isInteger(value)) return value
    throw new UsageError(`--${name}: found ${JSON.stringify(text)}, has to be a whole number`)
  }
  const fleets = values.devices.split(',').map((text) => whole('devices', 1, 100_000, text))
  const workers = whole('workers', 1, 256)
  const asked = {
    workers,
    seconds: number('seconds', 1, 3600),
    outageS: number('outage', 0, 3600),
    spreadS: number('spread', 0, 3600),
    resultRate: number('result-rate', 0, 120),
    queue: whole('queue', 0, 10_000_000),
    tls: values.tls,
  }
  const mosquitto = findProgram('mosquitto')
  if (mosquitto === undefined) throw new Error('there is no mosquitto on this machine: apt-get install mosquitto')
  if (values.tls && findProgram('openssl') === undefined)
    throw new Error('--tls needs openssl, for a certificate: apt-get install openssl')
  for (const devices of fleets) {
    const problem = limitsProblem(devices, workers)
    if (problem !== undefined) throw new Error(problem)
  }
  const options: FleetOptions = { ...asked, mosquitto }
  const machine = describeMachine()
  const runs: FleetFigures[] = []
  const terminal = process.stderr.isTTY ? new Terminal(process.stderr) : undefined
  try {
    for (const devices of fleets)
      runs.push(await measureFleet(devices, options, (what) => terminal?.status(`${devices} devices: ${what}`)))
  } finally {
    // What the smaller fleets have shown counts also when a larger one fails.
    terminal?.[Symbol.dispose]()
    if (values.json) process.stdout.write(`${JSON.stringify({ bench: 'fleet', machine, options: asked, runs })}\n`)
    else if (runs.length > 0)
      process.stdout.write(
        `${machine.cpu}, ${machine.cores} cores, Node ${machine.node}\n${table(runs)}\n${histograms(runs)}`,
      )
  }
  return 0
}

class UsageError extends Error {}

/** A row for each figure, a column for each fleet. */
function table(runs: readonly FleetFigures[]): string {
  const share = ({ p50_s, p95_s, all_s }: FleetFigures['nudge']) =>
    [p50_s, p95_s, all_s].map((s) => s ?? '-').join(' / ')
  const rows: [string, (run: FleetFigures) => string | number | null][] = [
    ['devices', ({ devices }) => devices],
    ['all switched on at once: connected after, 50 / 95 / 100 %, s', ({ connect }) => share(connect)],
    ['first look for updates after, 50 / 95 / 100 %, s', ({ first_look }) => share(first_look)],
    ['connections', ({ steady }) => steady.connections],
    ['messages in, per s', ({ steady }) => steady.in_per_s],
    ['messages out to one subscriber of all, per s', ({ steady }) => steady.out_per_s],
    ['payload in, KiB per s', ({ steady }) => steady.in_kb_per_s],
    ['an event takes, p50 / p99, ms', ({ steady }) => `${steady.event_ms.p50 ?? '-'} / ${steady.event_ms.p99 ?? '-'}`],
    ['CPU of the broker, % of a core', ({ steady }) => steady.broker_cpu_percent],
    ['memory of the broker, MiB', ({ steady }) => steady.broker_rss_mb],
    ['memory of the broker by device, KiB', ({ steady }) => steady.broker_kb_per_device],
    ['memory of a device here, KiB', ({ steady }) => steady.device_kb],
    ['CPU of all devices here, % of a core', ({ steady }) => steady.devices_cpu_percent],
    ['event loop of the devices late by, p99, ms', ({ steady }) => steady.devices_lag_ms],
    ['broker away, s', ({ storm }) => storm.outage_s],
    ['attempts to connect in the worst second', ({ storm }) => storm.peak_attempts_per_s],
    ['connections in the worst second', ({ storm }) => storm.peak_connects_per_s],
    ['CPU of the broker in the worst second, %', ({ storm }) => storm.peak_broker_cpu_percent],
    ['back after, 50 / 95 / 100 %, s', ({ storm }) => share(storm.back)],
    ['nudged: looked after, 50 / 95 / 100 %, s', ({ nudge }) => share(nudge)],
    ['event messages made / without a broker', ({ events }) => `${events.made} / ${events.made_away}`],
    ['missing / twice', ({ events }) => `${events.missing} / ${events.twice}`],
    ['dropped by the broker', ({ events }) => events.dropped_by_broker],
  ]
  const width = Math.max(...rows.map(([name]) => name.length))
  return rows
    .map(([name, figure]) => `${name.padEnd(width)}${runs.map((run) => `${figure(run) ?? '-'}`.padStart(24)).join('')}`)
    .join('\n')
}

function histograms(runs: readonly FleetFigures[]): string {
  return runs
    .map(
      ({ devices, storm }) =>
        `${devices} devices, attempts to connect in each second after the broker went:\n  ${storm.attempts_per_s.join(' ')}\n`,
    )
    .join('')
}

// The processes and files of a run go with this one; a second signal must not cut that short.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(1))
try {
  process.exitCode = await main()
} catch (error) {
  const isUsage = error instanceof UsageError || (error instanceof TypeError && 'code' in error)
  process.stderr.write(`fleet: ${describeError(error)}${isUsage ? '; see --help' : ''}\n`)
  process.exitCode = isUsage ? usageError : 1
}
