import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { discoveryPayload, removalPayload } from '../../../src/mqtt/home-assistant.ts'
import { device } from '../../support/home-assistant.ts'

const platforms = ['sensor', 'binary_sensor', 'image', 'update', 'button', 'switch', 'number']

describe('removalPayload', () => {
  const next = discoveryPayload({ ...device, zones: ['door'] })
  const earlier = discoveryPayload({ ...device, labels: ['person', 'cat'], zones: ['door', 'gate'] })
  const earlierText = JSON.stringify(earlier)

  test('names what is no more with its platform, beside all that is', () => {
    expect(removalPayload(earlierText, next)).toEqual({
      ...next,
      cmps: {
        ...next.cmps,
        'label-cat': { p: 'binary_sensor' },
        'zone-door-cat': { p: 'binary_sensor' },
        'zone-gate': { p: 'sensor' },
        'zone-gate-person': { p: 'binary_sensor' },
        'zone-gate-cat': { p: 'binary_sensor' },
      },
    })
  })

  test.each([
    ['the same', JSON.stringify(next)],
    [
      'less',
      JSON.stringify(
        discoveryPayload({ ...device, labels: [], zones: [], hasSnapshot: false, hasEventSnapshot: false }),
      ),
    ],
    ['what has taken it away already', JSON.stringify(removalPayload(earlierText, next))],
    ['nothing', ''],
    ['no JSON', '{"cmps":'],
    ['no object', '["cmps"]'],
    ['no list of entities', '{"cmps":["a"]}'],
    ['entities that are none', '{"cmps":{"a":null,"b":1,"c":{"name":"C"},"d":{"p":["sensor"],"name":"D"}}}'],
    ['a platform that we never had', '{"cmps":{"lock":{"p":"lock","name":"Front door"}}}'],
    ['keys that we never had', '{"cmps":{"__proto__":{"p":"sensor","name":"A"},"A b":{"p":"sensor","name":"B"}}}'],
  ])('is nothing after %s', (_, text) => {
    expect(removalPayload(text, next)).toBeUndefined()
  })

  test('holds nothing from the broker but keys of a plain form with a platform of ours', () => {
    const component = fc.record({ p: fc.oneof(fc.constant('sensor'), fc.jsonValue()), name: fc.jsonValue() })
    const text = fc.oneof(
      fc.string(),
      fc.json(),
      fc
        .dictionary(fc.oneof(fc.string(), fc.stringMatching(/^[a-z0-9_]{1,40}$/)), component)
        .map((cmps) => JSON.stringify({ cmps })),
    )
    fc.assert(
      fc.property(text, (previous) => {
        const payload = removalPayload(previous, next)
        if (payload === undefined) return
        expect(payload).toMatchObject(next)
        for (const [key, removed] of Object.entries(payload.cmps)) {
          if (Object.hasOwn(next.cmps, key)) continue
          expect(key).toMatch(/^[a-z][a-z0-9_-]*$/)
          expect(Object.keys(removed)).toEqual(['p'])
          expect(platforms).toContain(removed.p)
        }
      }),
    )
  })

  test('grows no larger than we could have made it', () => {
    const cmps = Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`a${i}`, { p: 'sensor', name: 'A' }]))
    const removal = removalPayload(JSON.stringify({ cmps }), next)
    expect(Object.keys(removal?.cmps ?? {})).toHaveLength(Object.keys(next.cmps).length + 1100)
  })
})
