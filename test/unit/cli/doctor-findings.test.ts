import { describe, expect, test } from 'vitest'
import { diagnoseBroker, diagnoseModel, needOf } from '../../../src/cli/doctor-findings.ts'
import type { BrokerProbe } from '../../../src/mqtt/probe.ts'
import type { TrialReport } from '../../../src/vision/trial.ts'

const nowMs = Date.UTC(2026, 10, 24)
const dayMs = 24 * 60 * 60 * 1000
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

const connected = { outcome: 'connected', detail: 'MQTT 5', certificateEndMs: null } as const

describe('diagnoseBroker', () => {
  test.each<[string, BrokerProbe, string, string, string | null]>([
    ['without TLS', connected, 'ok', 'accepts us, MQTT 5', null],
    ['a certificate for long', { ...connected, certificateEndMs: nowMs + 90 * dayMs }, 'ok', 'ends 2027-02-22', null],
    [
      'a certificate for days',
      { ...connected, certificateEndMs: nowMs + 13 * dayMs },
      'warning',
      'ends 2026-12-07',
      'Renew',
    ],
    [
      'an old certificate',
      { outcome: 'tls', detail: 'expired', certificateEndMs: nowMs - dayMs },
      'problem',
      'TLS fails: expired; its certificate ended 2026-11-23',
      'clock',
    ],
    [
      'away',
      { ...connected, outcome: 'unreachable', detail: 'nothing listens' },
      'problem',
      'not reachable: nothing listens',
      'mqtt.url',
    ],
    [
      'login',
      { ...connected, outcome: 'login', detail: 'Not authorized' },
      'problem',
      'refuses the login: Not',
      'mqtt.password_file',
    ],
    ['refused', { ...connected, outcome: 'refused', detail: 'Banned' }, 'problem', 'refuses us: Banned', 'log'],
    [
      'silent',
      { ...connected, outcome: 'silent', detail: 'no answer' },
      'problem',
      'does not answer as an MQTT broker',
      'mqtts://',
    ],
  ])('%s', (_, probe, status, found, advice) => {
    const finding = diagnoseBroker('mqtt://b', probe, nowMs)
    expect(finding).toMatchObject({ check: 'broker', status, found: expect.stringContaining(found) })
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
