import { Ring } from '../../src/lib/ring.ts'
import { type Measurement, quantileFigures } from '../measurement.ts'
import { freePort, lacksMosquitto, launchMosquitto } from '../support/mosquitto.ts'
import { startSightd } from '../support/sightd.ts'
import { subscribe } from '../support/subscriber.ts'
import { demoConfig } from './memory.ts'

export const startup: Measurement = {
  name: 'startup',
  about: 'from the start of `sightd run` on the demo to the first result at a subscriber',
  lacks: lacksMosquitto,
  async run({ rounds }) {
    const port = await freePort()
    await using _broker = await launchMosquitto(port)
    let heard = Promise.withResolvers<void>()
    await using _subscriber = await subscribe(port, 'sightd/bench/result', () => heard.resolve())
    const starts = new Ring(rounds(5))
    for (let round = 0; round < rounds(5); round++) {
      heard = Promise.withResolvers()
      const startMs = performance.now()
      await using sightd = startSightd(demoConfig(port, 30))
      await Promise.race([heard.promise, sightd.ended])
      starts.push(performance.now() - startMs)
    }
    return quantileFigures('first result', 'ms', starts)
  },
}
