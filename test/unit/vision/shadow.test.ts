import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Box, Finding } from '../../../src/core/prediction.ts'
import { agreementOf, ShadowPace } from '../../../src/vision/shadow.ts'
import { finding } from '../arbitraries.ts'

const found = (...detections: readonly (readonly [label: string, box: Box])[]): Finding => ({
  task: 'detection',
  detections: detections.map(([label, box]) => ({ label, classId: 1, score: 0.9, box })),
})
const classified = (...labels: readonly string[]): Finding => ({
  task: 'classification',
  predictions: labels.map((label, classId) => ({ label, classId, score: 0.9 })),
})

/** A box of full height, from one x to another. */
const from = (xmin: number, xmax: number): Box => ({ xmin, xmax, ymin: 0, ymax: 1 })
const left = from(0, 0.4)
const right = from(0.6, 1)

describe('agreement on one frame', () => {
  test.each([
    ['nothing on either side', found(), found(), 1],
    ['the same box', found(['cat', left]), found(['cat', left]), 1],
    ['a box that is half again as wide', found(['cat', left]), found(['cat', from(0, 0.6)]), 1],
    ['a box twice as wide, and a little', found(['cat', left]), found(['cat', from(0, 0.81)]), 0],
    ['another label', found(['cat', left]), found(['dog', left]), 0],
    ['another place', found(['cat', left]), found(['cat', right]), 0],
    ['something on one side only', found(['cat', left]), found(), 0],
    ['one of two', found(['cat', left], ['dog', right]), found(['cat', left]), 1 / 2],
    ['one of three between them', found(['cat', left], ['dog', right]), found(['cat', left], ['cow', right]), 1 / 3],
    ['one box for two', found(['cat', left]), found(['cat', left], ['cat', from(0, 0.45)]), 1 / 2],
    [
      'two boxes that overlap, each with its own',
      found(['cat', from(0, 0.4)], ['cat', from(0.1, 0.5)]),
      found(['cat', from(0.1, 0.5)], ['cat', from(0, 0.4)]),
      1,
    ],
    [
      'a box for which there are two: the better one is its own',
      found(['cat', from(0, 0.4)], ['cat', from(0.1, 0.5)]),
      found(['cat', from(0.1, 0.5)], ['cat', from(0.2, 0.6)]),
      1 / 3,
    ],
    ['the same first label', classified('cat', 'dog'), classified('cat', 'cow'), 1],
    ['the same labels the other way round', classified('cat', 'dog'), classified('dog', 'cat'), 0],
    ['no label on either side', classified(), classified(), 1],
    ['a label on one side only', classified('cat'), classified(), 0],
    ['a classifier and a detector', classified(), found(), 0],
  ])('%s', (_, a, b, agreement) => {
    expect(agreementOf(a, b)).toBeCloseTo(agreement)
    expect(agreementOf(b, a)).toBeCloseTo(agreement)
  })

  test('is between 0 and 1, and 1 with itself', () => {
    fc.assert(
      fc.property(finding, finding, (a, b) => {
        expect(agreementOf(a, b)).toBeGreaterThanOrEqual(0)
        expect(agreementOf(a, b)).toBeLessThanOrEqual(1)
        expect(agreementOf(a, a)).toBe(1)
      }),
    )
  })
})

describe('the pace of the candidate', () => {
  /** Looks in `seconds`, and the share of the time they take, when each takes `tookMs` and frames come every `frameMs`. */
  function looks(tookMs: number, frameMs: number, seconds: number) {
    const pace = new ShadowPace()
    let count = 0
    let nowMs = 0
    for (; nowMs < seconds * 1000; nowMs += frameMs) {
      if (!pace.isDue(nowMs)) continue
      nowMs += tookMs
      pace.note(tookMs, nowMs)
      count++
    }
    return { count, share: (count * tookMs) / nowMs }
  }

  test('the first look is due at once', () => {
    expect(new ShadowPace().isDue(0)).toBe(true)
  })

  test.each([
    [10, 33],
    [100, 33],
    [100, 250],
  ])('a model that takes %i ms looks at least once a second, with a frame every %i ms', (tookMs, frameMs) => {
    expect(looks(tookMs, frameMs, 60).count).toBeGreaterThanOrEqual(60)
  })

  test.each([5, 50, 150, 800, 5000])('a model that takes %i ms takes at most a fifth of the time', (tookMs) => {
    expect(looks(tookMs, 33, 600).share).toBeLessThanOrEqual(0.21)
  })
})
