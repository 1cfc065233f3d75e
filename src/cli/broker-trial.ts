import { randomBytes } from 'node:crypto'
import { readBrokerLogin } from '../config/broker-login.ts'
import type { Credentials } from '../config/credentials.ts'
import type { Config } from '../config/schema.ts'
import { describeError, SightdError } from '../core/errors.ts'
import { certificateNames } from '../mqtt/certificate.ts'
import { probeBroker } from '../mqtt/probe.ts'
import { type Finding, problem } from '../system/finding.ts'
import { diagnoseBroker } from './doctor-broker.ts'

/** The broker has just answered. */
const namesLimitMs = 2000

/**
 * Logs in at a broker once, as a client of its own, and says how it went. `isLoginHidden`: there may be credentials that this
 * user may not read.
 */
export async function tryBroker(
  mqtt: Config['mqtt'],
  credentials: Credentials,
  isLoginHidden = false,
): Promise<Finding> {
  const { url } = mqtt
  try {
    const login = await readBrokerLogin(mqtt, credentials)
    const probe = await probeBroker({
      url,
      // Not the daemon's: the broker would close its connection for ours.
      clientId: `sightd-doctor-${randomBytes(4).toString('hex')}`,
      ...login,
    })
    return diagnoseBroker(probe, {
      url,
      nowMs: Date.now(),
      isLoginHidden: isLoginHidden && login.password === undefined,
      trusted: login.ca && (mqtt.ca_file ?? 'the systemd credential mqtt-ca'),
      certificateNames: probe.outcome === 'tls' ? await certificateNames(url, namesLimitMs) : [],
    })
  } catch (error) {
    if (!(error instanceof SightdError)) throw error
    return problem('broker', `not tried: ${describeError(error)}`, 'Mend the file.')
  }
}
