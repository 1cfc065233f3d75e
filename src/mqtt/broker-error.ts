import { describeError } from '../core/errors.ts'

/** How far we got with a broker: not there, no TLS, no login, refused, or no MQTT spoken. */
export type BrokerTrouble = 'unreachable' | 'tls' | 'login' | 'refused' | 'silent'

export const troubleWords: { readonly [trouble in BrokerTrouble]: string } = {
  unreachable: 'broker not reachable',
  tls: 'TLS with the broker fails',
  login: 'the broker refuses our login',
  refused: 'the broker refuses us',
  silent: 'the broker is silent',
}

/** No connection to the broker, or none any more: why, in words. */
export class BrokerError extends Error {
  override readonly name = 'BrokerError'
  readonly trouble: BrokerTrouble
  /** What the broker answered (MQTT 5.0 section 2.4, MQTT 3.1.1 section 3.2.2.3), if it answered. */
  readonly reasonCode: number | undefined

  constructor(trouble: BrokerTrouble, message: string, reasonCode?: number) {
    super(message)
    this.trouble = trouble
    this.reasonCode = reasonCode
  }

  /** Another client logged in with our id. */
  get isTakenOver(): boolean {
    return this.reasonCode === sessionTakenOver
  }
}

const sessionTakenOver = 142

export type LoginFailure = {
  /** What mqtt.js or the socket said; undefined when the connection closed, or nothing came, without a word. */
  readonly error: (Error & { code?: number | string }) | undefined
  /** How far it came; a WebSocket's inner steps are unknown. */
  readonly stage: 'started' | 'tcp' | 'tls' | 'unknown'
  readonly isLate: boolean
}

/** CONNACK codes for a wrong or missing login: MQTT 3.1.1's and MQTT 5's. */
const loginCodes = [4, 5, 134, 135, 140]

const wordsOf: { readonly [code: string]: string } = {
  ECONNREFUSED: 'nothing listens there',
  ENOTFOUND: 'no such name in DNS',
  EAI_AGAIN: 'the name server does not answer',
  EHOSTUNREACH: 'no way to that host',
  ENETUNREACH: 'no way to that network',
  ETIMEDOUT: 'the host does not answer',
  CERT_HAS_EXPIRED: 'its certificate has expired',
  CERT_NOT_YET_VALID: 'its certificate is not valid yet, by the clock of this machine',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another name',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is signed by itself',
  SELF_SIGNED_CERT_IN_CHAIN: 'its certificate comes from an authority that is not trusted here',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its certificate comes from an authority that is not trusted here',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'its certificate comes from an authority that is not trusted here',
}

/** Tells network, TLS, login and what is no MQTT broker apart. */
export function explainFailure({
  error,
  stage,
  isLate,
  isTls,
  limitMs,
}: LoginFailure & { readonly isTls: boolean; readonly limitMs: number }): BrokerError {
  const code = error?.code
  if (error !== undefined && typeof code === 'number')
    return new BrokerError(loginCodes.includes(code) ? 'login' : 'refused', error.message, code)
  const words = wordsOf[code ?? '']
  const silence = isLate ? `no answer within ${limitMs / 1000} s` : 'it closed the connection without a word'
  const detail = words !== undefined ? `${words} (${code})` : error !== undefined ? describeError(error) : silence
  if (isTls && /CERT|SSL|TLS|EPROTO|UNABLE_TO/.test(`${code}`)) return new BrokerError('tls', detail)
  if (isTls && stage === 'tcp') return new BrokerError('tls', `no TLS handshake: ${detail}`)
  return new BrokerError(stage === 'tcp' || stage === 'tls' ? 'silent' : 'unreachable', detail)
}
