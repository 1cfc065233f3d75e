import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { type DeviceHooks, FleetDevice, type FleetSettings } from './device.ts'

/** A process full of devices. It answers each request of its parent with one report, in order. */

export type Request =
  | {
      readonly do: 'open'
      readonly ids: readonly string[]
      readonly folder: string
      readonly settings: FleetSettings
    }
  | { readonly do: 'start' | 'look' | 'hush' | 'close' }

export type Report = {
  readonly connected: number
  /** Since the start: event messages, and those of them that were made without a broker. */
  readonly made: number
  readonly madeAway: number
  /** Events that wait for the broker, and events that devices gave up. */
  readonly pending: number
  readonly lost: number
  /** Since the report before, in ms since the epoch: tries to connect, and those that came through. */
  readonly attempts: readonly number[]
  readonly connects: readonly number[]
  readonly rssBytes: number
  readonly cpuMs: number
  /** 99th percentile of the event loop's delay since the report before. */
  readonly lagMs: number
}

/** State folders are made with fsync: more at a time would only wait. */
const openAtOnce = 50

const devices: FleetDevice[] = []
const count = { made: 0, madeAway: 0 }
let attempts: number[] = []
let connects: number[] = []
const lag = monitorEventLoopDelay({ resolution: 10 })
lag.enable()

const hooks: DeviceHooks = {
  onAttempt: (atMs) => attempts.push(atMs),
  onConnected: (atMs) => connects.push(atMs),
  onEvent: (isAway) => {
    count.made++
    if (isAway) count.madeAway++
  },
}

function report(): Report {
  const { user, system } = process.cpuUsage()
  const events = devices.map((device) => device.events)
  const told = {
    connected: devices.filter(({ isConnected }) => isConnected).length,
    ...count,
    pending: events.reduce((sum, { pending }) => sum + pending, 0),
    lost: events.reduce((sum, { lost }) => sum + lost, 0),
    attempts,
    connects,
    rssBytes: process.memoryUsage.rss(),
    cpuMs: (user + system) / 1000,
    lagMs: lag.percentile(99) / 1e6,
  }
  attempts = []
  connects = []
  lag.reset()
  return told
}

async function answer(request: Request): Promise<void> {
  if (request.do === 'open') {
    const { ids, folder, settings } = request
    const waiting = [...ids]
    const openSome = async () => {
      for (let id = waiting.pop(); id !== undefined; id = waiting.pop())
        devices.push(await FleetDevice.open(id, join(folder, id), settings, hooks))
    }
    await Promise.all(Array.from({ length: openAtOnce }, openSome))
  }
  if (request.do === 'start') for (const device of devices) device.start()
  if (request.do === 'hush') for (const device of devices) device.hush()
  if (request.do === 'close') await Promise.all(devices.splice(0).map((device) => device[Symbol.asyncDispose]()))
  process.send?.(report())
}

process.on('message', (request: Request) => {
  void answer(request)
})
// The parent is gone: nobody is left to measure for.
process.on('disconnect', () => process.exit())
