import { Ring } from '../../src/lib/ring.ts'
import { type Measurement, quantileFigures } from '../measurement.ts'
import { demoCamera, startHeardSightd } from '../support/heard-sightd.ts'
import { lacksMosquitto } from '../support/mosquitto.ts'

export const startup: Measurement = {
  name: 'startup',
  about: 'from the start of `sightd run` on the demo to the first result at a subscriber',
  lacks: lacksMosquitto,
  async run({ rounds }) {
    const starts = new Ring(rounds(5))
    for (let round = 0; round < rounds(5); round++) {
      await using sightd = await startHeardSightd({ camera: { ...demoCamera, fps: 30 } })
      starts.push(sightd.firstResultMs)
    }
    return quantileFigures('first result', 'ms', starts)
  },
}
