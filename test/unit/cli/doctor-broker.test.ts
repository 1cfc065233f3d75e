import { describe, expect, test } from 'vitest'
import { type BrokerSituation, diagnoseBroker } from '../../../src/cli/doctor-broker.ts'
import { namesOf } from '../../../src/mqtt/certificate.ts'
import type { BrokerProbe } from '../../../src/mqtt/probe.ts'

const nowMs = Date.UTC(2026, 10, 24)
const dayMs = 24 * 60 * 60 * 1000
const connected = { outcome: 'connected', detail: 'MQTT 5', certificateEndMs: null } as const
const diagnose = (probe: BrokerProbe, situation: Partial<BrokerSituation> = {}) =>
  diagnoseBroker(probe, { url: 'mqtts://b', nowMs, ...situation })

describe('diagnoseBroker', () => {
  test('a login that is refused to someone who may not read the password of the service', () => {
    const probe = { ...connected, outcome: 'login', detail: 'Not authorized' } as const
    expect(diagnose(probe, { isLoginHidden: true }).advice).toContain('Run this as root')
    expect(diagnose({ ...probe, outcome: 'silent' }, { isLoginHidden: true }).advice).not.toContain('root')
  })

  test.each<[string, BrokerProbe, string, string, string | null]>([
    ['without TLS', connected, 'ok', 'mqtts://b accepts us, MQTT 5', null],
    [
      'a certificate for long',
      { ...connected, certificateEndMs: nowMs + 90 * dayMs },
      'ok',
      'mqtts://b accepts us, MQTT 5',
      null,
    ],
    [
      'a certificate for days',
      { ...connected, certificateEndMs: nowMs + 13 * dayMs },
      'warning',
      'mqtts://b accepts us, MQTT 5; its certificate ends 2026-12-07',
      'Renew',
    ],
    [
      'away',
      { ...connected, outcome: 'unreachable', detail: 'nothing listens' },
      'problem',
      'mqtts://b: not reachable: nothing listens',
      'mqtt.url',
    ],
    [
      'login, whatever the certificate',
      { outcome: 'login', detail: 'Not authorized', certificateEndMs: nowMs + dayMs },
      'problem',
      'mqtts://b: refuses the login: Not authorized',
      'mqtt.password_file',
    ],
    [
      'refused',
      { ...connected, outcome: 'refused', detail: 'Banned' },
      'problem',
      'mqtts://b: refuses us: Banned',
      'log',
    ],
    [
      'silent',
      { ...connected, outcome: 'silent', detail: 'no answer' },
      'problem',
      'mqtts://b: reachable, but does not answer as an MQTT broker: no answer',
      'mqtts://',
    ],
  ])('%s', (_, probe, status, found, advice) => {
    const finding = diagnose(probe)
    expect(finding).toMatchObject({ check: 'broker', status, found })
    expect(finding.advice ?? '').toContain(advice ?? '')
    expect(finding.advice === null).toBe(advice === null)
  })
})

describe('when TLS fails, the advice is about the cause', () => {
  const trusted = '/etc/sightd/ca.pem'
  test.each<[string, string, Partial<BrokerSituation>, string]>([
    [
      'no authority named',
      'its certificate is signed by itself (DEPTH_ZERO_SELF_SIGNED_CERT)',
      {},
      "Name the certificate (PEM) of the broker's authority in mqtt.ca_file.",
    ],
    [
      'another authority named',
      'its certificate comes from an authority that is not trusted here (UNABLE_TO_VERIFY_LEAF_SIGNATURE)',
      { trusted },
      "/etc/sightd/ca.pem does not hold the authority of the broker's certificate: put that one there.",
    ],
    [
      'another name',
      'its certificate is for another name (ERR_TLS_CERT_ALTNAME_INVALID)',
      { trusted, certificateNames: ['broker.lan', '10.0.0.2'] },
      'The certificate is for broker.lan, 10.0.0.2: use such a name in mqtt.url.',
    ],
    [
      'another name that is not known',
      'its certificate is for another name (ERR_TLS_CERT_ALTNAME_INVALID)',
      {},
      'Use the name of the certificate in mqtt.url.',
    ],
    [
      'a port without TLS',
      'no TLS handshake: it closed the connection without a word',
      { url: 'mqtts://b:1883' },
      "The port speaks plain MQTT, as it seems: use mqtt:// in mqtt.url, or the broker's TLS port (often 8883).",
    ],
    [
      'a WebSocket port without TLS',
      'write EPROTO: wrong version number',
      { url: 'wss://b' },
      "The port speaks plain MQTT, as it seems: use ws:// in mqtt.url, or the broker's TLS port (often 8883).",
    ],
    [
      'no certificate of ours',
      'ssl/tls alert certificate required',
      {},
      'The broker wants a certificate of ours that it trusts: mqtt.cert_file and mqtt.key_file.',
    ],
    [
      'anything else',
      'ERR_SSL_NO_SHARED_CIPHER',
      {},
      "Look into the broker's log, and check name and port in mqtt.url.",
    ],
  ])('%s', (_, detail, situation, advice) => {
    const finding = diagnose({ outcome: 'tls', detail, certificateEndMs: nowMs + 90 * dayMs }, situation)
    expect(finding).toMatchObject({ status: 'problem', advice })
    // When it ends has nothing to do with it.
    expect(finding.found).toBe(`${situation.url ?? 'mqtts://b'}: TLS fails: ${detail}`)
  })

  test('a certificate that has ended: when, and that it may be the clock', () => {
    const detail = 'its certificate has expired (CERT_HAS_EXPIRED)'
    const { found, advice } = diagnose({ outcome: 'tls', detail, certificateEndMs: nowMs - dayMs })
    expect(found).toBe(`mqtts://b: TLS fails: ${detail}; its certificate ended 2026-11-23`)
    expect(advice).toMatch(/^Renew .* clock/)
  })
})

test.each([
  ['DNS:broker.lan, IP Address:10.0.0.2, URI:urn:x', 'x', ['broker.lan', '10.0.0.2']],
  [undefined, 'broker', ['broker']],
  [undefined, ['a', 'b'], ['a', 'b']],
  [undefined, undefined, []],
])('names of %j and %j', (altNames, commonName, names) => {
  expect(namesOf(altNames, commonName)).toEqual(names)
})
