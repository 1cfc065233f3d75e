import fc from 'fast-check'
import * as v from 'valibot'
import { expect, test } from 'vitest'
import { encodeMessage, resultSchema } from '../../../src/mqtt/messages.ts'
import { resultMessage } from '../../../src/mqtt/result-message.ts'
import { model, visionResult } from '../arbitraries.ts'

test('any result becomes a message that its schema promises', () => {
  fc.assert(
    fc.property(visionResult, model, fc.nat(), (result, from, seq) => {
      const message = resultMessage(result, from, 'a1b2c3d4', seq)
      expect(v.parse(resultSchema, message)).toEqual(message)
      const objects = message.task === 'detection' ? message.detections : message.predictions
      const found = result.finding.task === 'detection' ? result.finding.detections : result.finding.predictions
      expect(objects.map(({ label }) => label)).toEqual(found.map(({ label }) => label))
    }),
  )
})

const frame = { id: 7, width: 640, height: 480, capturedAtMs: Date.UTC(2026, 0, 31), ageMs: 41.26 }
const timingMs = { preprocess: 1.04, inference: 20.05001, decode: 3, total: 25 }
const counters = { captured: 1, inferred: 1, dropped: 0, skipped: 0, still: 0, pending: 0 }
const cat = { label: 'cat', classId: 17, score: 0.123456 }
const ssd = { name: 'ssd', version: '2', sha256: '0123456789abcdef', task: 'detection', threshold: 0.5 } as const
const head = {
  v: 1,
  ts: '2026-01-31T00:00:00.000Z',
  boot: 'a1b2c3d4',
  seq: 3,
  model: { name: 'ssd', version: '2', sha256: '0123456789ab' },
  frame: { id: 7, width: 640, height: 480, age_ms: 41.3 },
  timing_ms: { preprocess: 1, inference: 20.1, total: 25 },
}

test('a detection is told with a short digest, rounded scores and rounded corners', () => {
  const box = { xmin: 0.11119, ymin: 0.22221, xmax: 0.33338, ymax: 1 }
  const finding = { task: 'detection' as const, detections: [{ ...cat, box }] }
  const message = resultMessage({ type: 'result', frame, finding, timingMs, counters }, ssd, 'a1b2c3d4', 3)
  expect(JSON.parse(encodeMessage(resultSchema, message))).toEqual({
    ...head,
    task: 'detection',
    detections: [
      { label: 'cat', class_id: 17, score: 0.1235, box: { xmin: 0.1112, ymin: 0.2222, xmax: 0.3334, ymax: 1 } },
    ],
  })
})

test('a classification is told without boxes', () => {
  const finding = { task: 'classification' as const, predictions: [cat] }
  const message = resultMessage({ type: 'result', frame, finding, timingMs, counters }, ssd, 'a1b2c3d4', 3)
  expect(JSON.parse(encodeMessage(resultSchema, message))).toEqual({
    ...head,
    task: 'classification',
    predictions: [{ label: 'cat', class_id: 17, score: 0.1235 }],
  })
})
