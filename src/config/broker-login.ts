import { SightdError } from '../core/errors.ts'
import { readSecretBytes, readSmallFile, secretLine } from '../lib/secret-file.ts'
import { type Credentials, serviceCredentials } from './credentials.ts'
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
 * `config_invalid` that names the file which can't be read, is open to others or holds no certificate.
 */
export async function readBrokerLogin(
  mqtt: Config['mqtt'],
  credentials: Credentials = serviceCredentials(),
): Promise<BrokerLogin> {
  const read = async <T>(
    configured: string | undefined,
    name: Parameters<Credentials>[0],
    readFile: (path: string) => Promise<Buffer>,
    take: (bytes: Buffer, path: string) => T,
  ): Promise<T | undefined> => {
    if (configured !== undefined) return take(await readFile(configured), configured)
    const credential = await credentials(name)
    return credential && take(credential.bytes, credential.path)
  }
  const login = {
    username: mqtt.username ?? (await read(undefined, 'mqtt-username', readSecretBytes, secretLine)),
    password: await read(mqtt.password_file, 'mqtt-password', readSecretBytes, secretLine),
    ca: await read(mqtt.ca_file, 'mqtt-ca', readOpenBytes, certificatesIn),
    cert: await read(mqtt.cert_file, 'mqtt-cert', readOpenBytes, certificatesIn),
    key: await read(mqtt.key_file, 'mqtt-key', readSecretBytes, (bytes) => bytes),
  }
  // Credentials come from elsewhere than the URL: whoever pins an authority must not send the password in clear for want of an s.
  if (!/^(mqtts|wss):/.test(mqtt.url) && (login.ca ?? login.cert ?? login.key) !== undefined)
    throw new SightdError(
      'config_invalid',
      `mqtt.url: ${mqtt.url} is without TLS, but there are certificates for it: mqtts:// or wss://`,
    )
  if ((login.cert === undefined) !== (login.key === undefined))
    throw new SightdError(
      'config_invalid',
      'mqtt.cert_file and mqtt.key_file (or the credentials mqtt-cert and mqtt-key) go together',
    )
  return login
}

/** A file of certificates (PEM). OpenSSL takes one without any for an empty list, and then nobody is trusted. */
export async function readCertificates(path: string): Promise<Buffer> {
  return certificatesIn(await readOpenBytes(path), path)
}

async function readOpenBytes(path: string): Promise<Buffer> {
  return (await readSmallFile(path)).bytes
}

function certificatesIn(bytes: Buffer, path: string): Buffer {
  if (/-----BEGIN (X509 |TRUSTED )?CERTIFICATE-----/.test(bytes.toString('latin1'))) return bytes
  throw new SightdError('config_invalid', `${path}: holds no certificate (-----BEGIN CERTIFICATE-----)`)
}
