import { describeError } from '../core/errors.ts'

/** What a try to log in at the broker came to. */
export type BrokerProbe = {
  readonly outcome: 'connected' | 'unreachable' | 'tls' | 'login' | 'refused' | 'silent'
  /** What was found, in words. */
  readonly detail: string
  /** When the certificate ends that the broker shows, trusted or not; null when it shows none. */
  readonly certificateEndMs: number | null
}

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
}: LoginFailure & { readonly isTls: boolean; readonly limitMs: number }): Pick<BrokerProbe, 'outcome' | 'detail'> {
  const code = error?.code
  if (error !== undefined && typeof code === 'number')
    return { outcome: loginCodes.includes(code) ? 'login' : 'refused', detail: error.message }
  const words = wordsOf[code ?? '']
  const silence = isLate ? `no answer within ${limitMs / 1000} s` : 'it closed the connection without a word'
  const detail = words !== undefined ? `${words} (${code})` : error !== undefined ? describeError(error) : silence
  if (isTls && /CERT|SSL|TLS|EPROTO|UNABLE_TO/.test(`${code}`)) return { outcome: 'tls', detail }
  if (isTls && stage === 'tcp') return { outcome: 'tls', detail: `no TLS handshake: ${detail}` }
  return { outcome: stage === 'tcp' || stage === 'tls' ? 'silent' : 'unreachable', detail }
}
