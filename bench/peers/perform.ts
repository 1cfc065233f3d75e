import { setTimeout as delay } from 'node:timers/promises'
import { Ring } from '../../src/lib/ring.ts'
import { commandOf, cpuSeconds, descendants, threadSeconds } from '../support/processes.ts'
import { resident } from '../support/resident.ts'
import type { Contender, Performer } from './contenders.ts'
import { type Stage, setStage } from './stage.ts'

export type Performance = {
  /** Frames per second that went through the model while the camera gave more than it can take. */
  readonly fps: number
  /** Processor time of 1,000 frames while the camera gave 10 per second. */
  readonly cpuSPer1000: number
  /** The same by thread, see `threadSeconds`, the greatest first; threads that take less than a hundredth are left out. */
  readonly cpuByThread: Record<string, number>
  /** Frame ready to message received, while the camera gave 10 per second. */
  readonly latencyP50Ms: number
  readonly latencyP95Ms: number
  /** Of all its processes but the camera, flat out. */
  readonly pssMb: number
  readonly rssMb: number
  /** `ping` to its answer over the same connection, flat out: what a keep-alive waits too. */
  readonly lagP95Ms: number
}

export type PerformOptions = {
  readonly threads: number
  /** How long each of the two parts takes. */
  readonly seconds: number
  /** Of the camera in the first part, per second. */
  readonly fastRate: number
  readonly onProgress: (words: string) => void
}

const pingEveryMs = 100

/**
 * One contender alone: flat out, then at 10 frames per second. In that order, so that what a compiler makes of busy code is there
 * when it counts: a device runs for years.
 */
export async function perform(
  { name, start }: Contender,
  { threads, seconds, fastRate, onProgress }: PerformOptions,
): Promise<Performance> {
  await using stage = await setStage(fastRate)
  await using performer = await start(stage, threads)
  const alive = <T>(promise: Promise<T>) => Promise.race([promise, performer.ended])
  onProgress(`${name}: starts`)
  await alive(stage.firstResult())

  onProgress(`${name}: flat out`)
  stage.changeRate()
  await alive(delay(seconds * 250))
  const inferred = performer.inferred ?? (async () => stage.results.length)
  const [startMs, startCount] = [performance.now(), await inferred()]
  const lags = new Ring(1000)
  while (performance.now() - startMs < seconds * 1000) {
    const lagMs = await alive(stage.ping())
    lags.push(lagMs)
    await alive(delay(Math.max(0, pingEveryMs - lagMs)))
  }
  const fps = ((await inferred()) - startCount) / ((performance.now() - startMs) / 1000)
  const memory = {
    pssMb: costOf(performer, (pid) => resident(pid).pss),
    rssMb: costOf(performer, (pid) => resident(pid).rss),
  }

  onProgress(`${name}: 10 frames per second`)
  stage.changeRate()
  await alive(delay(seconds * 125))
  const before = { results: stage.results.length, cpuS: costOf(performer, cpuSeconds), threads: threadsOf(performer) }
  await alive(delay(seconds * 1000))
  const calm = stage.results.slice(before.results)
  const cpuS = costOf(performer, cpuSeconds) - before.cpuS
  const cpuByThread = [...threadsOf(performer)]
    .map(([name, s]) => [name, ((s - (before.threads.get(name) ?? 0)) / calm.length) * 1000] as const)
    .filter(([, s]) => s >= 0.01)
  const latencies = latenciesOf(calm, stage)
  return {
    fps,
    cpuSPer1000: (cpuS / calm.length) * 1000,
    cpuByThread: Object.fromEntries(cpuByThread.toSorted(([, a], [, b]) => b - a)),
    latencyP50Ms: latencies.quantile(0.5) ?? Number.NaN,
    latencyP95Ms: latencies.quantile(0.95) ?? Number.NaN,
    ...memory,
    lagP95Ms: lags.quantile(0.95) ?? Number.NaN,
  }
}

/** Summed over its processes. */
function costOf(performer: Performer, cost: (pid: number) => number): number {
  return processesOf(performer).reduce((sum, each) => sum + cost(each), 0)
}

function threadsOf(performer: Performer): Map<string, number> {
  return new Map(processesOf(performer).flatMap((pid) => [...threadSeconds(pid)]))
}

/** The camera program, which is the same for all, and the shell that waits for it are left out. */
function processesOf({ pid }: Performer): number[] {
  return descendants(pid).filter((each) => !/libcamera-vid|rpicam-vid|peers\/camera\.ts/.test(commandOf(each)))
}

function latenciesOf(results: Stage['results'], stage: Stage): Ring {
  const ready = stage.readyTimes()
  const latencies = new Ring(Math.max(1, results.length))
  for (const { frame, atNs } of results) {
    const readyNs = ready.get(frame)
    if (readyNs !== undefined) latencies.push(Number(atNs - readyNs) / 1e6)
  }
  return latencies
}
