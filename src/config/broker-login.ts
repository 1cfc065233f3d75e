import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { readSecretBytes, readSecretFile, readSmallFile, type SecretGuard } from '../lib/secret-file.ts'
import type { Config } from './schema.ts'

/** What proves to the broker who we are, and to us who it is; PEM texts as bytes. */
export type BrokerLogin = {
  readonly username: string | undefined
  readonly password: string | undefined
  readonly ca: Buffer | undefined
  readonly cert: Buffer | undefined
  readonly key: Buffer | undefined
}

/**
 * Reads them from the files that the configuration names, else from the systemd credentials `mqtt-username`,
 * `mqtt-password`, `mqtt-ca`, `mqtt-cert` and `mqtt-key` (systemd.exec(5), LoadCredential=). Throws a SightdError
 * `config_invalid` that names the file which can't be read or is open to others.
 */
export async function readBrokerLogin(
  mqtt: Config['mqtt'],
  credentials = process.env['CREDENTIALS_DIRECTORY'],
): Promise<BrokerLogin> {
  const read = async <T>(
    configured: string | undefined,
    name: string,
    reader: (path: string, guard: SecretGuard) => Promise<T>,
  ): Promise<T | undefined> => {
    if (configured !== undefined) return reader(configured, 'owner')
    if (credentials === undefined) return undefined
    const path = join(credentials, name)
    const isThere = await access(path).then(
      () => true,
      () => false,
    )
    return isThere ? reader(path, 'systemd') : undefined
  }
  const readPublic = async (path: string) => (await readSmallFile(path)).bytes
  return {
    username: mqtt.username ?? (await read(undefined, 'mqtt-username', readSecretFile)),
    password: await read(mqtt.password_file, 'mqtt-password', readSecretFile),
    ca: await read(mqtt.ca_file, 'mqtt-ca', readPublic),
    cert: await read(mqtt.cert_file, 'mqtt-cert', readPublic),
    key: await read(mqtt.key_file, 'mqtt-key', readSecretBytes),
  }
}
