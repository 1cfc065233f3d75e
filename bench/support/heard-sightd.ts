import { join } from 'node:path'
import { packageRoot } from '../../src/lib/package.ts'
import { freePort, launchMosquitto, promptSettings } from './mosquitto.ts'
import { ownProgram, startSightd } from './sightd.ts'
import { subscribe } from './subscriber.ts'

/** The demo's photos. */
export const demoCamera = { source: 'replay', path: join(packageRoot, 'deploy/demo') }

export type HeardSightd = AsyncDisposable & {
  readonly control: number
  readonly vision: number
  /** From the start of the program to the first result at the subscriber. */
  readonly firstResultMs: number
  /** Resolves when so many results, the first included, have come; rejects when sightd ends. */
  results(count: number): Promise<void>
}

/** sightd with a Mosquitto of its own and a subscriber that counts its results; resolves at the first. */
export async function startHeardSightd(config: object, program = ownProgram): Promise<HeardSightd> {
  await using cleanup = new AsyncDisposableStack()
  const port = await freePort()
  cleanup.use(await launchMosquitto(port, promptSettings))
  let heard = 0
  let wake = Promise.withResolvers<void>()
  cleanup.use(
    await subscribe(port, 'sightd/bench/result', () => {
      heard++
      wake.resolve()
      wake = Promise.withResolvers()
    }),
  )
  const mqtt = { url: `mqtt://127.0.0.1:${port}`, result_rate: 120 }
  const startMs = performance.now()
  const sightd = cleanup.use(startSightd({ mqtt, ...config }, { program }))
  const results = async (count: number) => {
    while (heard < count) await Promise.race([wake.promise, sightd.ended])
  }
  await results(1)
  const firstResultMs = performance.now() - startMs
  const { control, vision } = sightd
  const owned = cleanup.move()
  return { control, vision: vision(), firstResultMs, results, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}
