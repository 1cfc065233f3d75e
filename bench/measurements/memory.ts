import { join } from 'node:path'
import { packageRoot } from '../../src/lib/package.ts'
import { compared, type Measurement, told } from '../measurement.ts'
import { freePort, lacksMosquitto, launchMosquitto } from '../support/mosquitto.ts'
import { memoryOf } from '../support/processes.ts'
import { startSightd } from '../support/sightd.ts'
import { subscribe } from '../support/subscriber.ts'

/** The demo's photos as a camera, and a broker. */
export const demoConfig = (port: number, fps: number) => ({
  camera: { source: 'replay', path: join(packageRoot, 'deploy/demo'), fps },
  mqtt: { url: `mqtt://127.0.0.1:${port}`, result_rate: 120 },
})

export const memory: Measurement = {
  name: 'memory',
  about: 'resident memory of both processes of `sightd run` on the demo, with a broker',
  lacks: lacksMosquitto,
  async run({ rounds, onProgress }) {
    const port = await freePort()
    await using _broker = await launchMosquitto(port)
    const wanted = rounds(100)
    const enough = Promise.withResolvers<void>()
    let results = 0
    await using _subscriber = await subscribe(port, 'sightd/bench/result', () => {
      onProgress(`${++results} of ${wanted} results`)
      if (results === wanted) enough.resolve()
    })
    await using sightd = startSightd(demoConfig(port, 10))
    await Promise.race([enough.promise, sightd.ended])
    const [control, vision] = [memoryOf(sightd.control), memoryOf(sightd.vision() ?? 0)]
    return {
      'control RSS': compared(control.rss, 'MB'),
      'vision RSS': compared(vision.rss, 'MB'),
      'together RSS': compared(control.rss + vision.rss, 'MB'),
      'together PSS': told(control.pss + vision.pss, 'MB'),
    }
  },
}
