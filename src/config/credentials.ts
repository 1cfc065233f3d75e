import { access, constants } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { readSecretBytes } from '../lib/secret-file.ts'
import { defaultConfigPath } from './load.ts'

/** What systemd hands over to the service, by the names that systemd/sightd.service gives it. */
export type CredentialName = 'mqtt-username' | 'mqtt-password' | 'mqtt-ca' | 'mqtt-cert' | 'mqtt-key'

type Credential = { readonly path: string; readonly bytes: Buffer }

/** Resolves to undefined for one that is not there; throws a SightdError `config_invalid` for one that can't be read. */
export type Credentials = (name: CredentialName) => Promise<Credential | undefined>

export const noCredentials: Credentials = async () => undefined

/** Where systemd looks for what the unit loads without a path (systemd.exec(5)); for root only. */
export const credentialStore = '/etc/credstore'

/** How the unit's credentials are called there. */
export function storedName(name: CredentialName): string {
  return `sightd.${name}`
}

/** What is in a store, for whoever may read it. */
export function storedCredentials(store: string): Credentials {
  return (name) => readCredential(join(store, storedName(name)))
}

/** What systemd has handed over to this process. */
export function serviceCredentials(folder = process.env['CREDENTIALS_DIRECTORY']): Credentials {
  return folder === undefined ? noCredentials : (name) => readCredential(join(folder, name))
}

/**
 * For a command that a person runs: what the service would get with this configuration. The store is the service's, so
 * that another configuration, which may name another broker, gets nothing from it.
 */
export function credentialsFor(configPath: string | undefined, store = credentialStore): Credentials {
  const folder = process.env['CREDENTIALS_DIRECTORY']
  if (folder !== undefined) return serviceCredentials(folder)
  return isOfService(configPath) ? storedCredentials(store) : noCredentials
}

/** Whether the store may hold what this user may not see. */
export async function isStoreClosed(configPath: string, store = credentialStore): Promise<boolean> {
  if (process.env['CREDENTIALS_DIRECTORY'] !== undefined || !isOfService(configPath)) return false
  return access(store, constants.X_OK).then(
    () => false,
    (error: NodeJS.ErrnoException) => error.code === 'EACCES',
  )
}

/** Whether it is the configuration that sightd.service runs with. */
export function isOfService(configPath: string | undefined): boolean {
  return configPath !== undefined && resolve(configPath) === defaultConfigPath
}

async function readCredential(path: string): Promise<Credential | undefined> {
  const isThere = await access(path).then(
    () => true,
    () => false,
  )
  // systemd guards its folders, whatever the files in them say.
  return isThere ? { path, bytes: await readSecretBytes(path, 'systemd') } : undefined
}
