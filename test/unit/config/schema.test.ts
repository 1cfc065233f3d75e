import fc from 'fast-check'
import * as v from 'valibot'
import { describe, expect, test } from 'vitest'
import { groupSchema } from '../../../src/config/ota-schema.ts'
import { configSchema, deviceIdSchema } from '../../../src/config/schema.ts'
import { requireGroupName } from '../../../src/ota/groups.ts'

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
    { mqtt: { url: 'mqtts://host', ca_file: 'ca.pem', cert_file: 'cert.pem', key_file: 'key.pem' } },
    { mqtt: { keepalive_s: 2, session_expiry_s: 0, replay_rate: 1, outbox_max_mb: 1, outbox_max_days: 0.01 } },
    { events: { labels: { person: { threshold: 0.6 } }, allow: ['person'], deny: [], confirm_hits: 5, confirm_of: 5 } },
    {
      events: {
        zones: {
          door: [
            [0, 0],
            [1, 0],
            [1, 1],
          ],
        },
      },
    },
    { motion: { gate: 'on', sensitivity: 'high', idle_s: 0.1 } },
    { governor: { hot_c: 70, cool_c: 69 } },
    { home_assistant: { enabled: false, labels: [] } },
    { web: { port: 9464 } },
    {
      ota: {
        sources: ['https://models.example.org/a?b=c', 'http://10.0.0.1:8000', 'stick', '/mnt/stick'],
        root_file: '1.root.json',
      },
    },
    { ota: { root_file: '1.root.json', group: 'Porch_1-a' } },
    {
      ota: {
        sources: ['https://[::1]/'],
        root_file: 'r',
        ca_file: 'ca.pem',
        redirect_hosts: ['cdn.example.org', 'a:8443', '[::1]:1'],
      },
    },
    { ota: { poll_h: 0.01, install: 'manual', window: '22:00-06:00', shadow_s: 0, probation_min: 0.01 } },
    { ota: { probation_results: 100_000, max_slowdown: 1.05, max_model_mb: 1024 } },
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
    { mqtt: { base_topic: '$SYS' } },
    { mqtt: { result_rate: -1 } },
    { mqtt: { ca_file: 'ca.pem' } },
    { mqtt: { url: 'ws://host', cert_file: 'cert.pem', key_file: 'key.pem' } },
    { mqtt: { url: 'mqtts://host', cert_file: 'cert.pem' } },
    { mqtt: { url: 'mqtts://host', key_file: 'key.pem' } },
    { mqtt: { keepalive_s: 0 } },
    { events: { confirm_hits: 6, confirm_of: 5 } },
    {
      events: {
        zones: {
          door: [
            [0, 0],
            [1, 0],
          ],
        },
      },
    },
    {
      events: {
        zones: {
          door: [
            [0, 0],
            [1, 0],
            [1, 1.1],
          ],
        },
      },
    },
    {
      events: {
        zones: {
          Door: [
            [0, 0],
            [1, 0],
            [1, 1],
          ],
        },
      },
    },
    { events: { labels: { person: { treshold: 1 } } } },
    { motion: { gate: true } },
    { governor: { hot_c: 70, cool_c: 70 } },
    { web: { port: 0 } },
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
    { ota: { sources: ['https://models.example.org'] } },
    { ota: { sources: ['https://me:secret@models.example.org'], root_file: 'r' } },
    { ota: { sources: ['http://me@models.example.org'], root_file: 'r' } },
    { ota: { sources: ['ftp://models.example.org'], root_file: 'r' } },
    { ota: { sources: ['file:///srv/repository'], root_file: 'r' } },
    { ota: { sources: ['https:models.example.org'], root_file: 'r' } },
    { ota: { sources: ['https://'], root_file: 'r' } },
    { ota: { sources: [''], root_file: 'r' } },
    { ota: { sources: 'https://models.example.org', root_file: 'r' } },
    { ota: { sources: Array.from({ length: 9 }, (_, i) => `/mnt/${i}`), root_file: 'r' } },
    { ota: { sources: ['http://models.example.org'], root_file: 'r', ca_file: 'ca.pem' } },
    { ota: { sources: ['/mnt/stick'], root_file: 'r', redirect_hosts: ['cdn.example.org'] } },
    { ota: { sources: ['https://a'], root_file: 'r', redirect_hosts: ['https://cdn.example.org'] } },
    { ota: { sources: ['https://a'], root_file: 'r', redirect_hosts: ['CDN.example.org'] } },
    { ota: { sources: ['https://a'], root_file: 'r', redirect_hosts: ['a:443'] } },
    { ota: { sources: ['https://a'], root_file: 'r', redirect_hosts: ['me@a'] } },
    { ota: { group: 'two words' } },
    { ota: { poll_h: 0 } },
    { ota: { poll_h: 169 } },
    { ota: { install: 'never' } },
    { ota: { window: '22:00-22:00' } },
    { ota: { window: 'at night' } },
    { ota: { shadow_s: 3601 } },
    { ota: { probation_min: 0 } },
    { ota: { probation_results: 1.5 } },
    { ota: { probation_results: 0 } },
    { ota: { max_slowdown: 1 } },
    { ota: { max_model_mb: 1025 } },
    { ota: { password: 'hunter2' } },
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
  ['all', false],
  ['all-1', true],
  ['update', false],
  ['update-1', true],
  ['pi\n', false],
])('as a device id, %j is accepted: %s', (id, isAccepted) => {
  expect(v.is(deviceIdSchema, id)).toBe(isAccepted)
})

test('a group is named as `sightd ota promote` names it', () => {
  const isPromoted = (name: string) => {
    try {
      requireGroupName(name)
      return true
    } catch {
      return false
    }
  }
  const likely = fc.stringMatching(/^[A-Za-z0-9_. -]{0,65}$/)
  const examples = ['', 'a'.repeat(64), 'a'.repeat(65), '_a', 'a\n'].map((name): [string] => [name])
  fc.assert(
    fc.property(fc.oneof(fc.string(), likely), (name) => v.is(groupSchema, name) === isPromoted(name)),
    { examples },
  )
})
