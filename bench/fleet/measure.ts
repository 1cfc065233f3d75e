import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { round } from '../../src/lib/round.ts'
import { tempFolder } from '../support/temp-folder.ts'
import { Broker } from './broker.ts'
import { Crew, type CrewReport } from './crew.ts'
import { FleetRepository } from './repository.ts'
import { Watcher } from './watcher.ts'

export type FleetOptions = {
  readonly mosquitto: string
  readonly workers: number
  readonly seconds: number
  readonly outageS: number
  readonly spreadS: number
  readonly resultRate: number
  readonly queue: number
  readonly tls: boolean
}

export type FleetFigures = Awaited<ReturnType<typeof measureFleet>>

/** Nothing that is waited for should take longer. What is not there by then is null in the figures. */
const limitMs = 180_000

const lookMs = 200

/** Everything that is measured of one number of devices. `tell` is given what goes on, often. */
export async function measureFleet(devices: number, options: FleetOptions, tell: (what: string) => void) {
  const { mosquitto, workers, seconds, outageS, spreadS, resultRate, queue, tls } = options
  using cleanup = new DisposableStack()
  const endEarly = () => cleanup.dispose()
  process.once('exit', endEarly)
  cleanup.defer(() => process.off('exit', endEarly))
  const { path: folder } = cleanup.use(tempFolder())

  tell('a broker and a repository')
  const broker = cleanup.use(await Broker.create(mosquitto, folder, { queue, tls }))
  await broker.start()
  const repository = cleanup.use(await FleetRepository.create(folder))
  const watcher = cleanup.use(await Watcher.start(broker))
  const crew = cleanup.use(new Crew(workers))
  const { rssBytes: emptyBytes } = await crew.look()
  const { rssBytes: idleBytes } = broker.usage

  /** Reports until one fits or the time is over, and all times in them. */
  const follow = async (what: string, fits: (report: CrewReport) => boolean, forMs = limitMs) => {
    const [attempts, connects, brokerCpu]: [number[], number[], number[]] = [[], [], []]
    const endMs = Date.now() + forMs
    let second = { atMs: Date.now(), cpuMs: broker.usage.cpuMs }
    for (;;) {
      const report = await crew.look()
      attempts.push(...report.attempts)
      connects.push(...report.connects)
      const now = { atMs: Date.now(), cpuMs: broker.usage.cpuMs }
      if (now.atMs - second.atMs >= 1000) {
        brokerCpu.push((now.cpuMs - second.cpuMs) / (now.atMs - second.atMs))
        second = now
      }
      tell(`${what}; ${report.connected} connected, ${report.made} events, ${report.pending} of them wait`)
      if (fits(report) || now.atMs > endMs) return { report, attempts, connects, brokerCpu }
      await delay(lookMs)
    }
  }

  tell('their state folders')
  const ids = Array.from({ length: devices }, (_, i) => `fleet-${i}`)
  const stateFolder = join(folder, 'devices')
  await mkdir(stateFolder)
  await crew.open(ids, stateFolder, {
    broker: { url: broker.url, ...(broker.caPath === undefined ? {} : { ca: await readFile(broker.caPath) }) },
    repository: { url: repository.url, root: repository.root },
    resultRate,
    spreadMs: spreadS * 1000,
  })

  const startMs = Date.now()
  await crew.start()
  const connecting = await follow('all are switched on', ({ connected }) => connected === devices)
  const looked = (version: number) => watcher.looksAtMs.get(version) ?? []
  await follow('first look for updates', () => looked(1).length >= devices)

  // The window begins and ends with the broker's own statistics.
  const counted = () => ({
    received: watcher.system('publish/messages/received'),
    sent: watcher.system('publish/messages/sent'),
    bytes: watcher.system('publish/bytes/received'),
    cpuMs: broker.usage.cpuMs,
  })
  const fromMs = await watcher.tick()
  const from = counted()
  const before = await crew.look()
  watcher.latenciesMs = []
  await follow('steady', () => Date.now() - fromMs >= seconds * 1000)
  const toMs = await watcher.tick()
  const to = counted()
  const after = await crew.look()
  const perSecond = (key: 'received' | 'sent' | 'bytes' | 'cpuMs') => ((to[key] - from[key]) * 1000) / (toMs - fromMs)
  const latencies = watcher.latenciesMs
  const steady = {
    seconds: round((toMs - fromMs) / 1000, 1),
    connections: after.connected,
    in_per_s: round(perSecond('received'), 1),
    out_per_s: round(perSecond('sent'), 1),
    in_kb_per_s: round(perSecond('bytes') / 1024, 1),
    broker_cpu_percent: round(perSecond('cpuMs') / 10, 1),
    broker_rss_mb: round(broker.usage.rssBytes / 2 ** 20, 1),
    broker_kb_per_device: round((broker.usage.rssBytes - idleBytes) / 1024 / devices, 1),
    device_kb: round((after.rssBytes - emptyBytes) / 1024 / devices, 1),
    devices_cpu_percent: round(((after.cpuMs - before.cpuMs) * 100) / (toMs - fromMs), 1),
    devices_lag_ms: round(after.lagMs, 1),
    event_ms: { p50: quantile(latencies, 0.5), p99: quantile(latencies, 0.99) },
  }

  const droppedBefore = watcher.system('publish/messages/dropped')
  await broker.stop()
  const downMs = Date.now()
  const away = await follow('the broker is down', () => Date.now() - downMs >= outageS * 1000)
  await broker.start()
  const upMs = Date.now()
  const back = await follow('the broker is up again', ({ connected }) => connected === devices)
  const attempts = perSecondSince(downMs, [...away.attempts, ...back.attempts])
  const connects = perSecondSince(downMs, back.connects)
  const storm = {
    outage_s: round((upMs - downMs) / 1000, 1),
    attempts_per_s: attempts,
    connects_per_s: connects,
    peak_attempts_per_s: Math.max(0, ...attempts),
    peak_connects_per_s: Math.max(0, ...connects),
    back: spread(back.connects, devices, upMs),
    peak_broker_cpu_percent: round(Math.max(0, ...back.brokerCpu) * 100, 1),
  }

  tell('nudge')
  await repository.nudge(broker)
  const nudged = watcher.hint ?? { version: 2, atMs: Date.now() }
  await follow('nudged to look for updates', () => looked(nudged.version).length >= devices)

  await crew.hush()
  const { report } = await follow('the last events', ({ pending }) => pending === 0)
  await follow('the last events', () => watcher.arrived >= report.made - report.lost, 15_000)
  await watcher.tick()
  const events = {
    made: report.made,
    made_away: report.madeAway,
    replayed: watcher.events.replayed,
    twice: watcher.events.twice,
    given_up_by_devices: report.lost,
    pending: report.pending,
    missing: report.made - report.lost - report.pending - watcher.arrived,
    dropped_by_broker: droppedBefore + watcher.system('publish/messages/dropped'),
  }
  tell('good night')
  await crew.close()
  return {
    devices,
    connect: spread(connecting.connects, devices, startMs),
    first_look: spread(looked(1), devices, startMs),
    steady,
    storm,
    nudge: spread(looked(nudged.version), devices, nudged.atMs),
    events,
  }
}

/** When so many of the devices were there, in seconds from a moment on; null: they never were. */
function spread(timesMs: readonly number[], devices: number, sinceMs: number) {
  const sorted = timesMs.toSorted((a, b) => a - b)
  const at = (share: number) => {
    const timeMs = sorted[Math.ceil(share * devices) - 1]
    return timeMs === undefined ? null : round((timeMs - sinceMs) / 1000, 2)
  }
  return { p50_s: at(0.5), p95_s: at(0.95), all_s: at(1) }
}

function quantile(values: readonly number[], q: number): number | null {
  return values.toSorted((a, b) => a - b)[Math.ceil(q * values.length) - 1] ?? null
}

/** How many there were in each second from a moment on. */
function perSecondSince(sinceMs: number, timesMs: readonly number[]): number[] {
  const counts: number[] = []
  for (const timeMs of timesMs) {
    const second = Math.max(0, Math.floor((timeMs - sinceMs) / 1000))
    counts[second] = (counts[second] ?? 0) + 1
  }
  return Array.from(counts, (count) => count ?? 0)
}
