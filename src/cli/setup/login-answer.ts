import * as v from 'valibot'
import type { CredentialName, Credentials } from '../../config/credentials.ts'
import { configSchema } from '../../config/schema.ts'
import { SightdError } from '../../core/errors.ts'
import type { JsonObject } from '../../lib/json.ts'
import { formatSchemaIssue, schemaIssues } from '../../lib/schema-issues.ts'
import type { Account } from './account.ts'
import type { Known } from './known.ts'
import type { Place } from './place.ts'

/** Which broker, and who we are there. `kept`: as it is configured. */
export type LoginAnswer = Account & {
  readonly url: string
  readonly ca:
    | { readonly kind: 'kept' | 'none' }
    | { readonly kind: 'file'; readonly path: string; readonly bytes: Buffer }
}

/** What has to change for it. A null takes away. */
export type LoginChange = {
  readonly mqtt: JsonObject
  readonly credentials: ReadonlyMap<CredentialName, Buffer | null>
  /** For a file beside the configuration. */
  readonly password: string | undefined
  /** The file of the password before, as the configuration named it, when it no longer counts. */
  readonly unused: string | undefined
}

/** Takes a host alone for plain MQTT. Throws a SightdError `config_invalid` that says what is allowed. */
export function parseBroker(text: string): string {
  const url = text.includes('://') ? text : `mqtt://${text}`
  const parsed = v.safeParse(configSchema.entries.mqtt.wrapped.entries.url, url)
  if (parsed.success) return parsed.output
  throw new SightdError('config_invalid', schemaIssues(parsed.issues).map(formatSchemaIssue).join('; '))
}

export function isSecure(url: string): boolean {
  return /^(mqtts|wss):/.test(url)
}

export function loginChange(
  answer: LoginAnswer,
  known: Known,
  place: Pick<Place, 'store' | 'passwordFile'>,
): LoginChange {
  const { url, username, password, ca } = answer
  const credentials = new Map<CredentialName, Buffer | null>()
  const mqtt = new Map<string, string | null>()
  if (url !== known.url) mqtt.set('url', url)
  if (username !== known.username) mqtt.set('username', username ?? null)
  if (username === undefined) credentials.set('mqtt-username', null)
  // What the configuration names comes before a credential.
  const hasStore = place.store !== undefined
  if (password.kind !== 'kept') {
    credentials.set('mqtt-password', hasStore && password.kind === 'given' ? Buffer.from(`${password.text}\n`) : null)
    mqtt.set('password_file', !hasStore && password.kind === 'given' ? place.passwordFile : null)
  }
  if (ca.kind !== 'kept') {
    credentials.set('mqtt-ca', hasStore && ca.kind === 'file' ? ca.bytes : null)
    mqtt.set('ca_file', !hasStore && ca.kind === 'file' ? ca.path : null)
  }
  const file = mqtt.get('password_file')
  return {
    unused: file === undefined || file === known.passwordFile ? undefined : known.passwordFile,
    mqtt: Object.fromEntries(mqtt),
    credentials: hasStore ? credentials : new Map(),
    password: !hasStore && password.kind === 'given' ? password.text : undefined,
  }
}

/** What the service will have once the change is made. */
export function changedCredentials(before: Credentials, { credentials, password }: LoginChange): Credentials {
  return async (name) => {
    if (name === 'mqtt-password' && password !== undefined)
      return { path: 'the password', bytes: Buffer.from(password) }
    const bytes = credentials.get(name)
    if (bytes === undefined) return before(name)
    return bytes === null ? undefined : { path: `the new ${name}`, bytes }
  }
}
