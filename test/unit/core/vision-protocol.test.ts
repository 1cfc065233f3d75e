import fc from 'fast-check'
import * as v from 'valibot'
import { describe, expect, test } from 'vitest'
import { cameraStateSchema } from '../../../src/core/camera-state.ts'
import {
  maxPictureBytes,
  type Tuning,
  type VisionCommand,
  type VisionReport,
  visionCommandSchema,
  visionReportSchema,
} from '../../../src/core/vision-protocol.ts'
import { counters, model, unit, visionResult } from '../arbitraries.ts'

const text = fc.string()
const positive = fc.double({ min: 0.1, max: 120, noNaN: true })
const even = fc.integer({ min: 16, max: 2048 }).map((half) => half * 2)
const source = fc.record({
  source: fc.constant('replay' as const),
  path: fc.string({ minLength: 1 }),
  width: even,
  height: even,
  fps: positive,
})

const modelSource = fc.record({ dir: text, manifestSha256: fc.option(fc.stringMatching(/^[0-9a-f]{64}$/)) })
const threads = fc.integer({ min: 1, max: 64 })

const tuning: fc.Arbitrary<Tuning> = fc.record({
  lowestScore: fc.option(unit),
  maxFps: fc.option(positive),
  isPaused: fc.boolean(),
  motion: fc.option(fc.record({ sensitivity: fc.constantFrom('low', 'medium', 'high'), idle_s: positive })),
  keepsPictures: fc.boolean(),
})

const command: fc.Arbitrary<VisionCommand> = fc.oneof(
  fc.record({
    type: fc.constant('start' as const),
    model: modelSource,
    threads,
    source,
    tuning,
  }),
  fc.record({ type: fc.constant('tune' as const), tuning }),
  fc.record(
    {
      type: fc.constant('picture' as const),
      requestId: fc.nat(),
      frameId: fc.option(fc.nat()),
      maxBytes: fc.integer({ min: 1, max: maxPictureBytes }),
      quality: fc.integer({ min: 1, max: 100 }),
    },
    { requiredKeys: ['type', 'requestId', 'frameId', 'maxBytes'] },
  ),
  fc.record({ type: fc.constant('candidate' as const), candidateId: fc.nat(), model: modelSource, threads }),
  fc.record({ type: fc.constantFrom('swap', 'release', 'stop') }),
)

const failureCode = fc.constantFrom('model_invalid', 'bad_output', 'vision_failed')

const report: fc.Arbitrary<VisionReport> = fc.oneof(
  visionResult,
  fc.record({ type: fc.constant('ready' as const), model, loadMs: positive }),
  fc.record({
    type: fc.constant('camera' as const),
    state: fc.constantFrom(...cameraStateSchema.options),
    reason: fc.option(text),
    advice: fc.option(text),
  }),
  fc.record({ type: fc.constantFrom('skipping', 'stopped'), counters }),
  fc.record({
    type: fc.constant('picture' as const),
    requestId: fc.nat(),
    jpeg: fc.option(fc.base64String()),
    reason: fc.option(text),
    frame: fc.option(fc.record({ id: fc.nat(), width: fc.nat(), height: fc.nat(), capturedAtMs: fc.nat() })),
  }),
  fc.record({
    type: fc.constant('failed' as const),
    code: failureCode,
    message: text,
  }),
  fc.record({
    type: fc.constant('candidate' as const),
    state: fc.constant('ready' as const),
    candidateId: fc.nat(),
    model,
    loadMs: positive,
  }),
  fc.record({
    type: fc.constant('candidate' as const),
    state: fc.constant('failed' as const),
    candidateId: fc.nat(),
    code: failureCode,
    message: text,
  }),
  fc.record({ type: fc.constant('swapped' as const), model }),
  fc.record({ type: fc.constant('shadow' as const), agreement: unit, activeMs: positive, candidateMs: positive }),
)

/** What arrives at the other end of the pipe between the processes, which carries JSON and so has no -0. */
const sent = (message: unknown): unknown => JSON.parse(JSON.stringify(message))

describe('what crosses between the processes', () => {
  test('any command arrives as it was sent', () => {
    fc.assert(
      fc.property(command, (message) => {
        expect(v.parse(visionCommandSchema, sent(message))).toEqual(sent(message))
      }),
    )
  })

  test('any report arrives as it was sent', () => {
    fc.assert(
      fc.property(report, (message) => {
        expect(v.parse(visionReportSchema, sent(message))).toEqual(sent(message))
      }),
    )
  })

  const none = { captured: 0, inferred: 0, dropped: 0, skipped: 0, still: 0, pending: 0 }
  const everyFrame = { lowestScore: null, maxFps: null, isPaused: false, motion: null, keepsPictures: false }
  test.each([
    ['a score above 1', { type: 'tune', tuning: { ...everyFrame, lowestScore: 1.1 } }],
    ['a rate of 0', { type: 'tune', tuning: { ...everyFrame, maxFps: 0 } }],
    ['an unknown sensitivity', { type: 'tune', tuning: { ...everyFrame, motion: { sensitivity: 'most', idle_s: 5 } } }],
    ['half a tuning', { type: 'tune', tuning: { isPaused: true } }],
    [
      'a digest in capitals',
      { type: 'candidate', candidateId: 1, model: { dir: '/m', manifestSha256: 'A'.repeat(64) }, threads: 1 },
    ],
    ['no word on the digest', { type: 'candidate', candidateId: 1, model: { dir: '/m' }, threads: 1 }],
    ['no threads', { type: 'candidate', candidateId: 1, model: { dir: '/m', manifestSha256: null }, threads: 0 }],
    ['a model to swap to', { type: 'swap', model: { dir: '/m', manifestSha256: null } }],
    ['a picture without a limit', { type: 'picture', requestId: 1, frameId: null }],
    ['a picture of no bytes', { type: 'picture', requestId: 1, frameId: null, maxBytes: 0 }],
    ['a picture of too many bytes', { type: 'picture', requestId: 1, frameId: null, maxBytes: maxPictureBytes + 1 }],
  ])('a command with %s is refused', (_, message) => {
    expect(v.is(visionCommandSchema, sent(message))).toBe(false)
  })

  const picture = { type: 'picture', requestId: 1, jpeg: '', reason: null, frame: null }
  test.each([
    ['an unknown type', { type: 'hello' }],
    ['no type', {}],
    ['an unknown field', { type: 'stopped', counters: none, frame: 'pixels' }],
    ['a missing counter', { type: 'stopped', counters: { ...none, pending: undefined } }],
    ['a negative counter', { type: 'stopped', counters: { ...none, dropped: -1 } }],
    ['half a frame', { type: 'stopped', counters: { ...none, dropped: 0.5 } }],
    ['an unknown state of the camera', { type: 'camera', state: 'asleep', reason: null }],
    ['a picture beyond what may be asked for', { ...picture, jpeg: 'A'.repeat(1.4 * maxPictureBytes) }],
    ['a candidate in no known state', { type: 'candidate', candidateId: 1, state: 'gone' }],
    ['a candidate without a model', { type: 'candidate', candidateId: 1, state: 'ready', loadMs: 1 }],
    ['a candidate that nobody asked for', { type: 'candidate', state: 'failed', code: 'bad_output', message: '' }],
    ['more agreement than there can be', { type: 'shadow', agreement: 1.5, activeMs: 1, candidateMs: 1 }],
    ['a run in negative time', { type: 'shadow', agreement: 1, activeMs: -1, candidateMs: 1 }],
    ['a swap to nothing', { type: 'swapped' }],
    ['an unknown blame', { type: 'failed', code: 'bad_luck', message: '' }],
  ])('a report with %s is refused', (_, message) => {
    expect(v.is(visionReportSchema, sent(message))).toBe(false)
  })

  test('a score above 1 is refused', () => {
    fc.assert(
      fc.property(visionResult, (result) => {
        const predictions = [{ label: 'cat', classId: 1, score: 1.01 }]
        const finding = { task: 'classification', predictions }
        expect(v.is(visionReportSchema, { ...result, finding })).toBe(false)
      }),
      { numRuns: 5 },
    )
  })
})
