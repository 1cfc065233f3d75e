import { BrokerError, type BrokerTrouble } from './broker-error.ts'
import { certificateEndMs } from './certificate.ts'
import { openConnection } from './client.ts'
import type { BrokerSettings } from './wire.ts'

/** What a try to log in at the broker came to. */
export type BrokerProbe = {
  readonly outcome: 'connected' | BrokerTrouble
  /** What was found, in words. */
  readonly detail: string
  /** When the certificate ends that the broker shows, trusted or not; null when it shows none. */
  readonly certificateEndMs: number | null
}

const probeLimitMs = 5000

/** Logs in once, says goodbye, and tells how it went; takes at most twice `limitMs` (MQTT 5, then 3.1.1) and a goodbye. */
export async function probeBroker(settings: BrokerSettings, limitMs = probeLimitMs): Promise<BrokerProbe> {
  const isTls = /^(mqtts|wss):/.test(settings.url)
  const [login, end] = await Promise.all([
    tryLogin({ ...settings, limitMs }),
    isTls ? certificateEndMs(settings.url, limitMs) : null,
  ])
  return { ...login, certificateEndMs: end }
}

async function tryLogin(settings: BrokerSettings): Promise<Pick<BrokerProbe, 'outcome' | 'detail'>> {
  try {
    const connection = await openConnection(settings)
    await connection.leave()
    return { outcome: 'connected', detail: `MQTT ${connection.version === 5 ? '5' : '3.1.1'}` }
  } catch (error) {
    if (!(error instanceof BrokerError)) throw error
    return { outcome: error.trouble, detail: error.message }
  }
}
