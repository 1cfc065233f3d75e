import * as v from 'valibot'
import { describe, expect, test } from 'vitest'
import { configSchema, deviceIdSchema } from '../../../src/config/schema.ts'

const accepts = (sections: object) => v.is(configSchema, { camera: { source: 'replay', path: 'photos' }, ...sections })

describe('configSchema', () => {
  test.each([
    { mqtt: { url: 'mqtt://10.0.0.1' } },
    { mqtt: { url: 'mqtts://broker.example:8883' } },
    { mqtt: { url: 'wss://[::1]:443/mqtt' } },
    { mqtt: { base_topic: 'home/cameras' } },
    { mqtt: { result_rate: 0 } },
    { mqtt: { result_rate: 120 } },
    { inference: { threads: 64, threshold: 1, max_fps: 0.01, max_memory_mb: 64 } },
    { name: 'Front door, left' },
  ])('accepts %j', (sections) => {
    expect(accepts(sections)).toBe(true)
  })

  test.each([
    { mqtt: { url: 'http://10.0.0.1' } },
    { mqtt: { url: '10.0.0.1' } },
    { mqtt: { url: 'mqtt://user@10.0.0.1' } },
    { mqtt: { base_topic: '' } },
    { mqtt: { base_topic: '/home' } },
    { mqtt: { base_topic: 'home/' } },
    { mqtt: { base_topic: 'home/+' } },
    { mqtt: { base_topic: '#' } },
    { mqtt: { base_topic: 'two words' } },
    { mqtt: { base_topic: 'a'.repeat(101) } },
    { mqtt: { result_rate: -1 } },
    { mqtt: { password: 'hunter2' } },
    { inference: { threads: 0 } },
    { inference: { threads: 65 } },
    { inference: { threads: 1.5 } },
    { inference: { threshold: 1.1 } },
    { inference: { max_fps: 0 } },
    { inference: { max_memory_mb: 63 } },
    { model: { path: '' } },
    { name: '' },
    { log: { level: 'loud' } },
  ])('refuses %j', (sections) => {
    expect(accepts(sections)).toBe(false)
  })
})

test.each([
  ['a', true],
  ['pi-4-a1b2c3', true],
  ['a'.repeat(36), true],
  ['a'.repeat(37), false],
  ['', false],
  ['Pi', false],
  ['pi/4', false],
  ['pi\n', false],
])('as a device id, %j is accepted: %s', (id, isAccepted) => {
  expect(v.is(deviceIdSchema, id)).toBe(isAccepted)
})
