import * as v from 'valibot'
import { describe, expect, test } from 'vitest'
import { encodeMessage, infoSchema, stateSchema, statusSchema } from '../../../src/mqtt/messages.ts'

const ts = '2026-01-31T12:00:00.000Z'

const info = {
  v: 1,
  id: 'pi-1',
  name: 'Front door',
  sw: '0.1.0',
  node: '24.0.0',
  ort: '1.30.0',
  os: null,
  arch: 'arm64',
  board: null,
  serial: null,
  boot: 'a1b2c3d4',
  started: ts,
  capabilities: ['detection'],
} as const

const state = {
  v: 1 as const,
  ts,
  status: 'running' as const,
  reason: null,
  camera: { state: 'online' as const, source: 'replay', reason: null, advice: null },
  model: { name: 'ssd', version: '1' },
  inference: 'ON' as const,
  threshold: null,
  max_fps: null,
  fps: 9.8,
  governor: { active: false, reason: null },
  vision: { restarts: 0 },
  outbox: { pending: 0, problem: null },
  mqtt: { problem: null },
  settings: { problem: null },
  results_dropped: 0,
}

describe('encodeMessage', () => {
  test('writes what the schema promises as JSON', () => {
    expect(JSON.parse(encodeMessage(stateSchema, state))).toEqual(state)
    expect(JSON.parse(encodeMessage(infoSchema, { ...info, capabilities: ['detection'] }))).toEqual(info)
  })

  test('throws at what the schema does not promise', () => {
    expect(() => encodeMessage(stateSchema, { ...state, fps: -1 })).toThrow()
  })
})

describe('stateSchema', () => {
  test.each([
    { v: 2 },
    { ts: 'yesterday' },
    { status: 'fine' },
    { reason: '' },
    { camera: { ...state.camera, state: 'asleep' } },
    { model: { name: 'ssd' } },
    { threshold: 1.5 },
    { fps: Number.NaN },
    { vision: { restarts: 0.5 } },
    { results_dropped: -1 },
    { mood: 'good' },
  ])('refuses %j', (change) => {
    expect(v.is(stateSchema, state)).toBe(true)
    expect(v.is(stateSchema, { ...state, ...change })).toBe(false)
  })
})

test.each([
  ['online', true],
  ['offline', true],
  ['away', false],
])('%s is a status: %s', (status, isStatus) => {
  expect(v.is(statusSchema, status)).toBe(isStatus)
})
