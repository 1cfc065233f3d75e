import { describe, expect, test } from 'vitest'
import { compareToGolden } from '../../../src/vision/golden.ts'
import { detectionManifest } from '../../support/models.ts'

const manifest = detectionManifest()
const box = { xmin: 0.1, ymin: 0.1, xmax: 0.9, ymax: 0.9 }
const sample = { input: 'cat.rgb.gz', expect: [{ label: 'cat', score: 0.8, box }] }
const found = (...detections: { label: string; score: number; box?: typeof box }[]) => ({
  task: 'detection' as const,
  detections: detections.map(({ label, score, box: at = box }) => ({ label, score, classId: 1, box: at })),
})

describe('compareToGolden', () => {
  test.each([
    ['the expected find, within the tolerances', found({ label: 'cat', score: 0.84, box: { ...box, xmax: 0.92 } }), []],
    [
      'a weak extra find, which another CPU may well have',
      found({ label: 'cat', score: 0.8 }, { label: 'dog', score: 0.54 }),
      [],
    ],
    ['nothing', found(), ['expected cat 0.800, found nothing']],
    [
      'another label',
      found({ label: 'dog', score: 0.8 }),
      ['expected cat 0.800, found dog 0.800', 'found dog 0.800, which was not expected'],
    ],
    ['a score too far off', found({ label: 'cat', score: 0.7 }), ['expected cat 0.800 ± 0.05, found 0.700']],
    [
      'a box too far off',
      found({ label: 'cat', score: 0.8, box: { ...box, xmin: 0.2 } }),
      ['expected cat 0.800, found cat 0.800', 'found cat 0.800, which was not expected'],
    ],
    [
      'a strong extra find',
      found({ label: 'cat', score: 0.8 }, { label: 'dog', score: 0.9 }),
      ['found dog 0.900, which was not expected'],
    ],
  ])('%s', (_, finding, problems) => {
    expect(compareToGolden(sample, finding, manifest).problems).toEqual(problems)
  })
})
