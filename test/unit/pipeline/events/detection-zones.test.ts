import { describe, expect, test } from 'vitest'
import type { Detection } from '../../../../src/core/prediction.ts'
import { at, eventsOf, newEngine, type Options, person, results, told } from '../../../support/events.ts'
import { startMs } from '../../../support/scene.ts'

describe('zones', () => {
  const rectangle = (xmin: number, ymin: number, xmax: number, ymax: number): [number, number][] => [
    [xmin, ymin],
    [xmax, ymin],
    [xmax, ymax],
    [xmin, ymax],
  ]
  const zones = { left: rectangle(0, 0, 0.5, 1), yard: rectangle(0.2, 0.6, 1, 1), sky: rectangle(0, 0, 1, 0.7) }
  const options: Options = { zones, update_interval_s: 0.1 }
  /** In `left` and `yard`, in `yard` only; the lower edge counts, so that `sky` has only their heads. */
  const [both, yard] = [person(0.8, at(0.495)), person(0.8, at(0.505))]
  const zonesOf = (seen: readonly Detection[]) =>
    eventsOf(results(...seen.map((one) => [one])), newEngine(options)).map(
      ({ atMs, zones, enteredZones }) => `${(atMs - startMs) / 200}: ${zones.join(' ')} of ${enteredZones.join(' ')}`,
    )

  test('count from the beginning when the last results agree', () => {
    expect(zonesOf([both, both, both])).toEqual(['2: left yard of left yard'])
  })

  test('do not count when one of them does not', () => {
    expect(zonesOf([both, yard, both])).toEqual(['2: yard of yard'])
  })

  test('count from a single result if that begins the event', () => {
    const engine = newEngine({ ...options, confirm_hits: 1, confirm_of: 1 })
    expect(eventsOf(results([both]), engine)).toMatchObject([{ zones: ['left', 'yard'] }])
  })

  test('are entered and left with the third result in a row, and told in the order of the configuration', () => {
    expect(zonesOf([yard, yard, yard, both, both, both, both, yard, yard, yard])).toEqual([
      '2: yard of yard',
      '5: left yard of left yard',
      '9: yard of left yard',
    ])
  })

  test('are not entered nor left by trembling at a border', () => {
    expect(zonesOf([both, both, both, yard, both, yard, yard, both, yard, yard, both])).toEqual([
      '2: left yard of left yard',
    ])
  })

  test('stay while it is hidden, and results that do not see it count for nothing', () => {
    const seen = [both, both, both, yard, yard].map((one) => [one])
    const events = eventsOf(results(...seen, [], [], [yard]), newEngine(options))
    expect(told(events)).toEqual(['0.4 new person', '1.4 update person'])
  })

  test('are told even if it was there only between two updates', () => {
    const seen = [yard, yard, yard, both, both, both, yard, yard, yard, yard, yard].map((one) => [one])
    const events = eventsOf(results(...seen), newEngine({ ...options, update_interval_s: 1.5 }))
    expect(told(events)).toEqual(['0.4 new person', '2 update person'])
    expect(events[1]).toMatchObject({ zones: ['yard'], enteredZones: ['left', 'yard'] })
  })

  test('are counted in the view, each configured one', () => {
    const engine = newEngine(options)
    eventsOf(
      results(...Array.from({ length: 3 }, () => [person(0.9, at(0.8)), both, { ...yard, label: 'cat' }])),
      engine,
    )
    expect(engine.view).toEqual({
      labels: new Map([
        ['person', { count: 2, score: 0.9 }],
        ['cat', { count: 1, score: 0.8 }],
      ]),
      zones: new Map([
        ['left', new Map([['person', { count: 1, score: 0.8 }]])],
        [
          'yard',
          new Map([
            ['person', { count: 2, score: 0.9 }],
            ['cat', { count: 1, score: 0.8 }],
          ]),
        ],
        ['sky', new Map()],
      ]),
    })
  })
})
