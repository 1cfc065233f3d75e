import { describe, expect, test } from 'vitest'
import type { Finding } from '../../../src/core/prediction.ts'
import { describeSightings, Scene } from '../../../src/pipeline/scene.ts'

const box = { xmin: 0, ymin: 0, xmax: 1, ymax: 1 }

/** `cat dog dog`: a finding with these, scores falling from 0.9. */
function sees(labels: string): Finding {
  const detections = labels
    .split(' ')
    .filter((label) => label !== '')
    .map((label, i) => ({ label, classId: 1, score: 0.9 - i / 10, box }))
  return { task: 'detection', detections }
}

/** What the scene tells of each finding, `-` where it has no news. */
function toldOf(...findings: Finding[]): string[] {
  const scene = new Scene()
  return findings.map((finding) => {
    const sightings = scene.note(finding)
    return sightings === undefined ? '-' : describeSightings(sightings)
  })
}

describe('Scene', () => {
  test.each([
    ['tells of a change at the third result in a row', 'cat|cat|cat|cat', '-|-|cat 0.90|-'],
    ['ignores a single odd result', 'cat|cat|cat|dog|cat|cat|cat', '-|-|cat 0.90|-|-|-|-'],
    ['starts to count anew after an odd result', 'cat|cat||cat|cat|cat', '-|-|-|-|-|cat 0.90'],
    ['tells when the view is empty again', 'cat|cat|cat|||', '-|-|cat 0.90|-|-|nothing'],
    ['has nothing to tell of a view that was empty all along', '||||', '-|-|-|-|-'],
    ['tells of one more of the same', 'cat|cat|cat|cat cat|cat cat|cat cat', '-|-|cat 0.90|-|-|2 × cat 0.90'],
    [
      'has no news when only the order changes',
      'cat dog|cat dog|cat dog|dog cat|dog cat|dog cat',
      '-|-|cat 0.90, dog 0.80|-|-|-',
    ],
    ['tells the best score first', 'cat dog|dog cat|dog cat', '-|-|dog 0.90, cat 0.80'],
  ])('%s', (_, seen, told) => {
    expect(toldOf(...seen.split('|').map(sees))).toEqual(told.split('|'))
  })

  test("takes a classifier's best label and not its doubts", () => {
    const finding: Finding = {
      task: 'classification',
      predictions: [
        { label: 'tabby', classId: 1, score: 0.7 },
        { label: 'tiger cat', classId: 2, score: 0.2 },
      ],
    }
    expect(toldOf(finding, finding, finding)).toEqual(['-', '-', 'tabby 0.70'])
  })
})

test.each([
  ['nothing', []],
  ['cat 0.92', [{ label: 'cat', count: 1, score: 0.92 }]],
  [
    'cat 0.92, 2 × person 0.88',
    [
      { label: 'cat', count: 1, score: 0.92 },
      { label: 'person', count: 2, score: 0.881 },
    ],
  ],
])('sightings read: %s', (text, sightings) => {
  expect(describeSightings(sightings)).toBe(text)
})
