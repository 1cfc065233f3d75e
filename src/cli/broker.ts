import { existsSync } from 'node:fs'
import * as v from 'valibot'
import { type BrokerLogin, readBrokerLogin } from '../config/broker-login.ts'
import { credentialsFor } from '../config/credentials.ts'
import { type BrokerConfig, defaultConfigPath, loadBrokerConfig } from '../config/load.ts'
import { configSchema } from '../config/schema.ts'
import { describeError, SightdError } from '../core/errors.ts'
import { formatSchemaIssue, schemaIssues } from '../lib/schema-issues.ts'
import { BrokerError } from '../mqtt/broker-error.ts'
import type { BrokerSettings } from '../mqtt/wire.ts'

/** How a command line names a broker. */
export type BrokerOptions = {
  readonly config?: string
  readonly broker?: string
  readonly base?: string
  readonly username?: string
  readonly passwordFile?: string
  readonly caFile?: string
  readonly certFile?: string
  readonly keyFile?: string
}

/** A broker that a command line means, and what proves to it who we are. */
export type ChosenBroker = {
  /** Undefined when there is no configuration file, or it does not count. */
  readonly config: BrokerConfig | undefined
  readonly url: string
  readonly baseTopic: string
  readonly login: BrokerLogin
}

/**
 * The broker of the options, else of the configuration, else the usual one. The usual configuration file does not count
 * when `--broker` is there: its password is for its own broker. Throws a SightdError `config_invalid`.
 */
export async function chooseBroker(options: BrokerOptions, usualPath = defaultConfigPath): Promise<ChosenBroker> {
  const { broker, base, username, passwordFile, caFile, certFile, keyFile } = options
  const path = options.config ?? (broker === undefined && existsSync(usualPath) ? usualPath : undefined)
  const config = path === undefined ? undefined : await loadBrokerConfig(path)
  const login = username === undefined && passwordFile === undefined ? {} : { password_file: passwordFile }
  const parsed = v.safeParse(configSchema.entries.mqtt, {
    ...config?.mqtt,
    ...(broker === undefined ? {} : { url: broker }),
    ...(base === undefined ? {} : { base_topic: base }),
    ...login,
    ...(username === undefined ? {} : { username }),
    ...(caFile === undefined ? {} : { ca_file: caFile }),
    // A pair: no certificate with the key of another.
    ...(certFile === undefined && keyFile === undefined ? {} : { cert_file: certFile, key_file: keyFile }),
  })
  if (!parsed.success)
    throw new SightdError('config_invalid', `mqtt.${schemaIssues(parsed.issues).map(formatSchemaIssue).join('; ')}`)
  const { url, base_topic: baseTopic } = parsed.output
  const read = await readBrokerLogin(parsed.output, credentialsFor(path))
  // What is kept for the service is not the password of someone else.
  const isOthers = username !== undefined && passwordFile === undefined
  return { config, url, baseTopic, login: isOthers ? { ...read, password: undefined } : read }
}

/** A session of one connection only. */
export function passingSession({ url, login }: ChosenBroker, clientId: string): BrokerSettings {
  return { url, clientId, ...login, sessionExpiryS: 0 }
}

/** What is wrong with a broker, in words. */
export function describeTrouble(error: Error, url: string): string {
  const broker = `the broker at ${url}`
  const detail = describeError(error)
  switch (error instanceof BrokerError ? error.trouble : 'silent') {
    case 'unreachable':
      return `${broker} is not reachable: ${detail}`
    case 'tls':
      return `TLS with ${broker} fails: ${detail}`
    case 'login':
      return `${broker} refuses the login: ${detail}`
    case 'refused':
      return `${broker} refuses us: ${detail}`
    case 'silent':
      return `${broker}: ${detail}`
  }
}
