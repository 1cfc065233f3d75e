import { describe, expect, test } from 'vitest'
import { explainFailure, type LoginFailure } from '../../../src/mqtt/broker-error.ts'

const coded = (code: string | number, message = 'said') => Object.assign(new Error(message), { code })
const failure = (changes: Partial<LoginFailure>): LoginFailure => ({
  error: undefined,
  stage: 'started',
  isLate: false,
  ...changes,
})

describe('explainFailure', () => {
  test.each([
    [
      'nothing listens',
      failure({ error: coded('ECONNREFUSED') }),
      false,
      'unreachable',
      'nothing listens there (ECONNREFUSED)',
    ],
    ['no name', failure({ error: coded('ENOTFOUND') }), true, 'unreachable', 'no such name in DNS (ENOTFOUND)'],
    ['another network error', failure({ error: coded('EOTHER', 'odd') }), false, 'unreachable', 'odd'],
    ['packets go nowhere', failure({ isLate: true }), false, 'unreachable', 'no answer within 5 s'],
    [
      'wrong password, MQTT 3.1.1',
      failure({ error: coded(4, 'Connection refused'), stage: 'tcp' }),
      false,
      'login',
      'Connection refused',
    ],
    ['not authorized, MQTT 5, TLS', failure({ error: coded(135), stage: 'tls' }), true, 'login', 'said'],
    ['banned', failure({ error: coded(138), stage: 'tcp' }), false, 'refused', 'said'],
    [
      'expired',
      failure({ error: coded('CERT_HAS_EXPIRED'), stage: 'tcp' }),
      true,
      'tls',
      'its certificate has expired (CERT_HAS_EXPIRED)',
    ],
    [
      'unknown authority',
      failure({ error: coded('UNABLE_TO_VERIFY_LEAF_SIGNATURE') }),
      true,
      'tls',
      'authority that is not trusted',
    ],
    [
      'a plain port, spoken to in TLS',
      failure({ error: coded('ECONNRESET', 'reset'), stage: 'tcp' }),
      true,
      'tls',
      'no TLS handshake: reset',
    ],
    [
      'a plain port that waits',
      failure({ stage: 'tcp', isLate: true }),
      true,
      'tls',
      'no TLS handshake: no answer within 5 s',
    ],
    [
      'a TLS port, spoken to plainly',
      failure({ stage: 'tcp' }),
      false,
      'silent',
      'closed the connection without a word',
    ],
    ['no broker behind TLS', failure({ stage: 'tls', isLate: true }), true, 'silent', 'no answer within 5 s'],
    [
      'a WebSocket that fails',
      failure({ stage: 'unknown', error: new Error('Unexpected server response: 404') }),
      true,
      'unreachable',
      '404',
    ],
  ])('%s', (_, failed, isTls, outcome, detail) => {
    const { trouble, message } = explainFailure({ ...failed, isTls, limitMs: 5000 })
    expect(trouble).toBe(outcome)
    expect(message).toContain(detail)
  })
})
