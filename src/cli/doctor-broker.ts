import type { BrokerProbe } from '../mqtt/probe.ts'
import { type Finding, ok, problem, warning } from '../system/finding.ts'

/** Judges how the login at the broker went, as doctor-findings.ts judges the rest; pure. */

/** What is known beyond the probe. */
export type BrokerSituation = {
  readonly url: string
  readonly nowMs: number
  /** Where the authorities come from whose brokers we trust; undefined: the usual ones. */
  readonly trusted?: string | undefined
  /** The names for which the broker's certificate holds; empty when they could not be found out. */
  readonly certificateNames?: readonly string[]
  /** There may be a password for the service that this user may not read. */
  readonly isLoginHidden?: boolean
}

const dayMs = 24 * 60 * 60 * 1000
const soonDays = 14

export function diagnoseBroker(probe: BrokerProbe, situation: BrokerSituation): Finding {
  const check = 'broker'
  const { url, nowMs } = situation
  const { outcome, detail, certificateEndMs: endMs } = probe
  // Of an error that is about something else it would only distract.
  const end = endMs === null ? '' : `; its certificate ${endMs < nowMs ? 'ended' : 'ends'} ${isoDay(endMs)}`
  if (outcome === 'connected') {
    const isSoon = endMs !== null && Math.floor((endMs - nowMs) / dayMs) < soonDays
    const found = `${url} accepts us, ${detail}`
    return isSoon ? warning(check, `${found}${end}`, "Renew the broker's certificate.") : ok(check, found)
  }
  const cause = outcome === 'tls' ? tlsCause(detail) : undefined
  const isHidden = outcome === 'login' && situation.isLoginHidden
  const advice = outcome === 'tls' ? tlsAdvice(cause, situation) : isHidden ? asRoot : brokerAdvice[outcome]
  return problem(check, `${url}: ${failures[outcome]}: ${detail}${cause === 'time' ? end : ''}`, advice)
}

const failures = {
  unreachable: 'not reachable',
  tls: 'TLS fails',
  login: 'refuses the login',
  refused: 'refuses us',
  silent: 'reachable, but does not answer as an MQTT broker',
} as const

const brokerAdvice = {
  unreachable: 'Check that the broker runs and listens on that address, mqtt.url, and the network between.',
  login: "Check mqtt.username, the first line of mqtt.password_file, and the broker's list of users.",
  refused: "Look into the broker's log for the reason.",
  silent: 'Check the port in mqtt.url: a TLS port (often 8883) wants mqtts://, a WebSocket port ws:// or wss://.',
} as const

const asRoot =
  'Run this as root: the password that systemd gives to the service is in /etc/credstore, which this user may not read.'

type TlsCause = 'authority' | 'name' | 'time' | 'plain' | 'ours'

/** By the code of Node or OpenSSL that the detail ends with; `no TLS handshake` is a word of ours. */
function tlsCause(detail: string): TlsCause | undefined {
  if (/SELF_SIGNED|UNABLE_TO_VERIFY|UNABLE_TO_GET_ISSUER|CERT_UNTRUSTED/.test(detail)) return 'authority'
  if (/CERT_ALTNAME_INVALID/.test(detail)) return 'name'
  if (/CERT_HAS_EXPIRED|CERT_NOT_YET_VALID/.test(detail)) return 'time'
  // What a broker answers that wants to see a certificate of ours, or another one.
  if (/CERTIFICATE_REQUIRED|certificate required|alert (bad|unknown|unsupported|certificate)/i.test(detail))
    return 'ours'
  if (/no TLS handshake|WRONG_VERSION_NUMBER|wrong version number|packet length too long/i.test(detail)) return 'plain'
  return undefined
}

function tlsAdvice(cause: TlsCause | undefined, { url, trusted, certificateNames = [] }: BrokerSituation): string {
  switch (cause) {
    case 'authority':
      return trusted === undefined
        ? "Name the certificate (PEM) of the broker's authority in mqtt.ca_file."
        : `${trusted} does not hold the authority of the broker's certificate: put that one there.`
    case 'name':
      return certificateNames.length === 0
        ? 'Use the name of the certificate in mqtt.url.'
        : `The certificate is for ${certificateNames.join(', ')}: use such a name in mqtt.url.`
    case 'time':
      return "Renew the broker's certificate; if it should still hold, check the clock of this machine."
    case 'plain':
      return `The port speaks plain MQTT, as it seems: use ${plainScheme(url)}:// in mqtt.url, or the broker's TLS port (often 8883).`
    case 'ours':
      return 'The broker wants a certificate of ours that it trusts: mqtt.cert_file and mqtt.key_file.'
    case undefined:
      return "Look into the broker's log, and check name and port in mqtt.url."
  }
}

function plainScheme(url: string): string {
  return url.startsWith('wss:') ? 'ws' : 'mqtt'
}

function isoDay(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10)
}
