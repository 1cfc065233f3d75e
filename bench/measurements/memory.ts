import { compared, type Measurement } from '../measurement.ts'
import { demoCamera, startHeardSightd } from '../support/heard-sightd.ts'
import { lacksMosquitto } from '../support/mosquitto.ts'
import { resident, residentTogether } from '../support/resident.ts'

/** What both processes should take together. */
const mostMb = 150

export const memory: Measurement = {
  name: 'memory',
  about: 'resident memory of both processes of `sightd run` on the demo; together, what both use counts once',
  lacks: lacksMosquitto,
  async run({ rounds, onProgress }) {
    await using sightd = await startHeardSightd({ camera: { ...demoCamera, fps: 10 } })
    const wanted = rounds(100)
    for (let count = 1; count <= wanted; count++) {
      await sightd.results(count)
      onProgress(`${count} of ${wanted} results`)
    }
    const { control, vision } = sightd
    return {
      'control RSS': compared(resident(control).rss, 'MB'),
      'vision RSS': compared(resident(vision).rss, 'MB'),
      together: compared(residentTogether([control, vision]), 'MB', mostMb),
    }
  },
}
