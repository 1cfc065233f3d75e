import { describe, expect, test } from 'vitest'
import { diagnoseModel, needOf } from '../../../src/cli/doctor-findings.ts'
import type { TrialReport } from '../../../src/cli/trial.ts'

const golden = { input: 'golden/cat.rgb.gz', ms: 20, worstScoreError: 0, problems: [] }
const done = (...samples: Extract<TrialReport, { type: 'done' }>['golden']): TrialReport => ({
  type: 'done',
  loadMs: 100,
  golden: samples,
})

describe('diagnoseModel', () => {
  test.each([
    ['all golden', done(golden), 'ok', 'golden samples came out as expected (1, 20 ms', null],
    ['none golden', done(), 'warning', 'nothing is known', 'Add golden samples'],
    [
      'one wrong',
      done(golden, { ...golden, problems: ['expected cat, found dog'] }),
      'problem',
      'expected cat, found dog',
      'sightd model verify /m',
    ],
    [
      'refused',
      { type: 'failed', message: 'ONNX Runtime refuses it' },
      'problem',
      'refuses it',
      'sightd model verify /m',
    ],
    [
      'SIGILL',
      { type: 'failed', message: 'died: illegal instruction: …' },
      'problem',
      'illegal instruction',
      'another ONNX Runtime',
    ],
  ] as const)('%s', (_, report, status, found, advice) => {
    const finding = diagnoseModel('/m', '1.30.0', report)
    expect(finding).toMatchObject({ status, found: expect.stringContaining(found) })
    expect(finding.advice ?? '').toContain(advice ?? '')
    expect(finding.advice === null).toBe(advice === null)
  })
})

describe('needOf', () => {
  test('a folder of pictures needs nothing, a video ffmpeg, a camera its devices', () => {
    expect(needOf('replay', false)).toMatchObject({ programs: [], devices: [] })
    expect(needOf('replay', true)).toMatchObject({ programs: ['ffmpeg'], devices: [] })
    expect(needOf('v4l2', false)).toMatchObject({ programs: ['ffmpeg'], devices: ['video'] })
    expect(needOf('libcamera', false)).toMatchObject({ programs: ['camera'], devices: ['video', 'media', 'dma_heap'] })
  })
})
