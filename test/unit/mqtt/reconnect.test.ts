import { expect, test } from 'vitest'
import { backoffDelays } from '../../../src/lib/backoff.ts'
import { reconnectBackoff } from '../../../src/mqtt/link.ts'
import { seededRandom } from '../../support/scene.ts'

const devices = 1000

test('a thousand devices that lose their broker at one moment do not come back at one moment', () => {
  const random = seededRandom(1)
  const tries: number[] = []
  const firsts: number[] = []
  for (let device = 0; device < devices; device++) {
    const delays = backoffDelays({ ...reconnectBackoff, random })
    let atMs = delays.next().value
    firsts.push(atMs)
    for (; atMs < 60_000; atMs += delays.next().value) tries.push(Math.floor(atMs / 1000))
  }
  const inSecond = Array.from({ length: 60 }, (_, second) => tries.filter((at) => at === second).length)
  // A broker that is back at once gets the first tries only; one that stays away gets those and the second ones.
  expect(
    Math.max(...Array.from({ length: 5 }, (_, s) => firsts.filter((ms) => Math.floor(ms / 1000) === s).length)),
  ).toBeLessThan(devices / 4)
  expect(Math.max(...inSecond)).toBeLessThan(devices * 0.4)
  expect(Math.min(...firsts)).toBeGreaterThanOrEqual(500)
})
