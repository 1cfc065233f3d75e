import { describe, expect, test } from 'vitest'
import type { VisionReport } from '../../../src/core/vision-protocol.ts'
import { ProgressDeadline } from '../../../src/pipeline/deadline.ts'
import * as reports from './reports.ts'

function limitAfter(...noted: VisionReport[]): number | undefined {
  const deadline = new ProgressDeadline(30)
  for (const report of noted) deadline.note(report)
  return deadline.limitMs
}

const slow = (ms: number, times: number) => Array.from({ length: times }, () => reports.result({ inferenceMs: ms }))

describe('ProgressDeadline', () => {
  test.each([
    ['a minute until the model is loaded', [], 60_000],
    ['a minute until the model is loaded, though frames arrive', [reports.camera('online')], 60_000],
    ['no limit while the camera starts', [reports.ready, reports.camera('starting')], undefined],
    ['no limit before the camera is known', [reports.ready], undefined],
    ['no limit while the camera fails', [reports.ready, reports.camera('online'), reports.camera('failed')], undefined],
    ['10 s before the first result', [reports.ready, reports.camera('online')], 10_000],
    ['10 s whichever comes first, camera or model', [reports.camera('online'), reports.ready], 10_000],
    ['10 s for a fast model', [reports.ready, reports.camera('online'), ...slow(20, 9)], 10_000],
    ['50 medians for a slow model', [reports.ready, reports.camera('online'), ...slow(400, 9)], 20_000],
    [
      'no more for a few slow runs',
      [reports.ready, reports.camera('online'), ...slow(20, 9), ...slow(9000, 3)],
      10_000,
    ],
    [
      '50 medians of the last runs, not of all',
      [reports.ready, reports.camera('online'), ...slow(20, 200), ...slow(1000, 64)],
      50_000,
    ],
    [
      'after a swap, what the new model needs: a fast one',
      [reports.ready, reports.camera('online'), ...slow(1000, 64), reports.swapped],
      10_000,
    ],
    [
      'after a swap, what the new model needs: a slow one',
      [reports.ready, reports.camera('online'), ...slow(20, 64), reports.swapped, ...slow(400, 1)],
      20_000,
    ],
  ])('allows %s', (_, noted, limitMs) => {
    expect(limitAfter(...noted)).toBe(limitMs)
  })

  test('takes another least time', () => {
    const deadline = new ProgressDeadline(30, 500)
    for (const report of [reports.ready, reports.camera('online')]) deadline.note(report)
    expect(deadline.limitMs).toBe(500)
  })

  test('is longer for a camera that gives a frame only now and then', () => {
    const deadline = new ProgressDeadline(0.1)
    for (const report of [reports.ready, reports.camera('online')]) deadline.note(report)
    expect(deadline.limitMs).toBe(150_000)
  })

  test('news of the camera is no work of the model: it counts only when there is something to wait for, or no longer', () => {
    const deadline = new ProgressDeadline(30)
    expect(
      (['starting', 'absent', 'starting', 'online'] as const).map((state) => deadline.note(reports.camera(state))),
    ).toEqual([false, false, false, false])
    deadline.note(reports.ready)
    expect(deadline.note(reports.camera('online'))).toBe(false)
    expect(deadline.note(reports.camera('stalled'))).toBe(true)
    expect(deadline.note(reports.camera('online'))).toBe(true)
  })

  test.each([
    [true, reports.ready],
    [true, reports.result()],
    [true, reports.skipping],
    [true, reports.swapped],
    [true, reports.shadow],
    [false, reports.candidate],
    [false, reports.picture],
    [false, reports.failed],
    [false, reports.stopped],
  ])('takes for progress (%s) a report of type $type', (isProgress, report) => {
    const deadline = new ProgressDeadline(30)
    deadline.note(reports.ready)
    expect(deadline.note(report)).toBe(isProgress)
  })

  test('frames that are skipped while the model is loaded do not hide that it takes too long', () => {
    expect(new ProgressDeadline(30).note(reports.skipping)).toBe(false)
  })
})
