import * as v from 'valibot'
import { describe, expect, test } from 'vitest'
import { eventOptionsSchema } from '../../../../src/core/event-options.ts'
import { lowestScore } from '../../../../src/pipeline/events/event-engine.ts'
import { LabelRules } from '../../../../src/pipeline/events/label-rules.ts'

type Input = v.InferInput<typeof eventOptionsSchema>
const rulesOf = (input: Input) => new LabelRules(v.parse(eventOptionsSchema, input), 0.5)

describe('a label', () => {
  test.each<[string, Input, boolean]>([
    ['is wanted by default', {}, true],
    ['is wanted when it is allowed', { allow: ['cat', 'dog'] }, true],
    ['is not when only others are', { allow: ['dog'] }, false],
    ['is not when none is', { allow: [] }, false],
    ['is not when it is denied', { deny: ['cat'] }, false],
    ['is when another is denied', { deny: ['dog'] }, true],
    ['is not when it is both', { allow: ['cat'], deny: ['cat'] }, false],
  ])('%s', (_, input, isWanted) => {
    expect(rulesOf(input).isWanted('cat')).toBe(isWanted)
  })

  const rules = rulesOf({ keep_ratio: 0.5, min_size: 0.1, labels: { cat: { threshold: 0.8, min_size: 0.2 }, dog: {} } })

  test.each([
    ['cat', 'its own', 0.8, 0.4, 0.2],
    ['dog', 'the general', 0.5, 0.25, 0.1],
    ['fox', 'the general', 0.5, 0.25, 0.1],
    ['constructor', 'the general', 0.5, 0.25, 0.1],
  ])('%s has %s scores and size', (label, _, enter, keep, size) => {
    expect([rules.enterScore(label), rules.keepScore(label), rules.minSize(label)]).toEqual([enter, keep, size])
  })
})

test.each<[string, Input, number]>([
  ['keeps what entered with the threshold', { keep_ratio: 0.5 }, 0.25],
  ['keeps what entered with a lower one', { keep_ratio: 0.5, labels: { cat: { threshold: 0.2 } } }, 0.1],
  ['is not raised by a higher one', { keep_ratio: 0.5, labels: { cat: { threshold: 0.9 } } }, 0.25],
  ['does not care for what is denied', { keep_ratio: 0.5, deny: ['cat'], labels: { cat: { threshold: 0.2 } } }, 0.25],
  ['is the threshold itself at a ratio of 1', { keep_ratio: 1 }, 0.5],
])('the lowest score %s', (_, input, lowest) => {
  expect(lowestScore(v.parse(eventOptionsSchema, input), 0.5)).toBe(lowest)
})
