import { execFile } from 'node:child_process'
import { join } from 'node:path'
import * as v from 'valibot'
import { describe, expect, onTestFinished, test } from 'vitest'
import { packageRoot } from '../../src/lib/package.ts'
import { findProgram } from '../support/mosquitto.ts'

const count = v.pipe(v.number(), v.integer(), v.minValue(0))
const amount = v.pipe(v.number(), v.minValue(0))
const perSecond = v.array(count)
/** Of a phase that all devices have come through. */
const spread = v.pipe(
  v.strictObject({ p50_s: v.number(), p95_s: v.number(), all_s: v.number() }),
  v.check(({ p50_s, p95_s, all_s }) => p50_s <= p95_s && p95_s <= all_s, 'in order'),
)

const outputSchema = v.strictObject({
  bench: v.literal('fleet'),
  machine: v.strictObject({ cpu: v.string(), cores: count, arch: v.string(), node: v.string() }),
  options: v.looseObject({ workers: count, seconds: amount, tls: v.boolean() }),
  runs: v.tuple([
    v.strictObject({
      devices: count,
      connect: spread,
      first_look: spread,
      steady: v.strictObject({
        seconds: amount,
        connections: count,
        in_per_s: amount,
        out_per_s: amount,
        in_kb_per_s: amount,
        broker_cpu_percent: amount,
        broker_rss_mb: amount,
        broker_kb_per_device: v.number(),
        device_kb: v.number(),
        devices_cpu_percent: amount,
        devices_lag_ms: amount,
        event_ms: v.strictObject({ p50: v.nullable(v.number()), p99: v.nullable(v.number()) }),
      }),
      storm: v.strictObject({
        outage_s: amount,
        attempts_per_s: perSecond,
        connects_per_s: perSecond,
        peak_attempts_per_s: count,
        peak_connects_per_s: count,
        back: spread,
        peak_broker_cpu_percent: amount,
      }),
      nudge: spread,
      events: v.strictObject({
        made: count,
        made_away: count,
        replayed: count,
        twice: count,
        given_up_by_devices: count,
        pending: count,
        missing: v.number(),
        dropped_by_broker: count,
      }),
    }),
  ]),
})

type Ending = { readonly code: number | string | null | undefined; readonly stdout: string; readonly stderr: string }

/** The command to its end, with a limit on open files if need be. */
async function fleet(args: readonly string[], { openFiles = 4096 } = {}): Promise<Ending> {
  const command = `ulimit -n ${openFiles} && exec "$0" "$@"`
  const line = ['-c', command, process.execPath, join(packageRoot, 'bench/fleet/main.ts'), ...args]
  return new Promise((resolve) => {
    const child = execFile('sh', line, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : error.code, stdout, stderr }),
    )
    onTestFinished(() => {
      child.kill()
    })
  })
}

describe('the bench of fleets', () => {
  test('--help tells what is measured', async () => {
    const { code, stdout } = await fleet(['--help'])
    expect(code).toBe(0)
    for (const option of ['--devices', '--outage', '--queue', '--tls', '--json']) expect(stdout).toContain(option)
  })

  test.each([
    [['--devices', 'many'], '--devices: found "many"'],
    [['--devices', '5', '--seconds', '0'], '--seconds: found "0"'],
    [['--pings'], "Unknown option '--pings'"],
  ])('%j is no usage', async (args, says) => {
    const { code, stderr } = await fleet(args)
    expect(code).toBe(2)
    expect(stderr).toContain(says)
  })
})

describe.skipIf(findProgram('mosquitto') === undefined)(
  'the bench of fleets with a real Mosquitto (skipped where it is not installed)',
  () => {
    test('says how to raise the limit on open files, before anything is started', async () => {
      const { code, stderr } = await fleet(['--devices', '500', '--workers', '1'], { openFiles: 1024 })
      expect(code).toBe(1)
      expect(stderr).toContain('500 devices need 1600 open files in one process, and the limit is 1024')
      expect(stderr).toContain('ulimit -n 1600')
    })

    test('five devices come through all of it, and none of their events is missing', { timeout: 90_000 }, async () => {
      const args = '--devices 5 --seconds 2 --outage 1 --spread 1 --workers 2 --json'
      const { code, stdout, stderr } = await fleet(args.split(' '))
      expect(stderr).toBe('')
      expect(code).toBe(0)
      const [run] = v.parse(v.pipe(v.string(), v.parseJson(), outputSchema), stdout).runs
      const { steady, storm, events } = run
      expect(run.devices).toBe(5)
      expect(steady.connections).toBe(5)
      expect(steady.in_per_s).toBeGreaterThan(0)
      expect(steady.broker_rss_mb).toBeGreaterThan(1)
      // Each tried at least once, and came through once.
      expect(storm.attempts_per_s.reduce((sum, n) => sum + n)).toBeGreaterThanOrEqual(5)
      expect(storm.connects_per_s.reduce((sum, n) => sum + n)).toBe(5)
      expect(events.made).toBeGreaterThan(0)
      expect(events).toMatchObject({ missing: 0, pending: 0, given_up_by_devices: 0, dropped_by_broker: 0 })
    })
  },
)
