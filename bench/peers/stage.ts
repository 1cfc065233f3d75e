import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { demoFrames } from '../../src/cli/bench/frames.ts'
import { freePort, launchMosquitto, promptSettings } from '../support/mosquitto.ts'
import { type Heard, subscribe } from '../support/subscriber.ts'
import { tempFolder } from '../support/temp-folder.ts'

/** A camera's usual size and rate. */
export const frame = { width: 640, height: 480, rate: 10 }

/** Where results and answers go, in the words of sightd's topics. */
export const topic = 'sightd/bench'

/**
 * What one contender performs on: a camera program (camera.ts, also under the name rpicam-vid), the FIFO that it writes, a
 * Mosquitto of its own, and a subscriber that takes down when what came.
 */
export type Stage = Awaited<ReturnType<typeof setStage>>

/** `fastRate`: frames per second of the camera after each other `changeRate()`. */
export async function setStage(fastRate: number) {
  await using cleanup = new AsyncDisposableStack()
  const { path: folder } = cleanup.use(tempFolder())
  const log = join(folder, 'camera.log')
  const fifo = join(folder, 'frames.fifo')
  const bin = join(folder, 'bin')
  const pictures = await demoFrames(frame.width, frame.height, 10)
  writeFileSync(join(folder, 'frames.i420'), Buffer.concat(pictures.map(({ data }) => data)))
  writeFileSync(log, '')
  execFileSync('mkfifo', [fifo])
  mkdirSync(bin)
  const camera = [
    process.execPath,
    fileURLToPath(new URL('camera.ts', import.meta.url)),
    `--file=${join(folder, 'frames.i420')}`,
    `--log=${log}`,
    `--frame-bytes=${pictures[0]?.data.length}`,
    `--rate=${frame.rate}`,
    `--fast-rate=${fastRate}`,
  ]
  writeFileSync(join(bin, 'rpicam-vid'), `#!/bin/sh\nexec ${camera.join(' ')} "$@"\n`, { mode: 0o755 })

  const port = await freePort()
  cleanup.use(await launchMosquitto(port, promptSettings))
  /** Number of the frame and time of arrival of each result. */
  const results: { readonly frame: number; readonly atNs: bigint }[] = []
  let wake = Promise.withResolvers<void>()
  let answered = Promise.withResolvers<bigint>()
  const subscriber = cleanup.use(
    await subscribe(port, `${topic}/+/#`, ({ topic: own, payload, atNs }: Heard) => {
      if (own === `${topic}/response/ping`) answered.resolve(atNs)
      if (own !== `${topic}/result`) return
      results.push({ frame: JSON.parse(payload.toString()).frame.id, atNs })
      wake.resolve()
      wake = Promise.withResolvers()
    }),
  )
  const lines = () => readFileSync(log, 'utf8').trim().split('\n')
  const owned = cleanup.move()
  return {
    bin,
    camera,
    fifo,
    port,
    results,
    async firstResult(): Promise<void> {
      while (results.length === 0) await wake.promise
    },
    /** Ms until the answer to a `ping` was here. */
    async ping(): Promise<number> {
      answered = Promise.withResolvers()
      const startNs = process.hrtime.bigint()
      await subscriber.publish(`${topic}/request/ping`, '')
      return Number((await answered.promise) - startNs) / 1e6
    },
    /** Of the camera, to the fast rate or back to the usual one. */
    changeRate(): void {
      process.kill(Number(lines().at(-1)?.split(' ')[0]), 'SIGUSR2')
    },
    /** When each frame of the camera's last start was ready. */
    readyTimes(): Map<number, bigint> {
      const [last = ''] = lines().at(-1)?.split(' ') ?? []
      const own = lines().map((line) => line.split(' '))
      return new Map(own.flatMap(([pid, number, ns = '0']) => (pid === last ? [[Number(number), BigInt(ns)]] : [])))
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}
