import { buildConfig, parseKeys } from '../../config/load.ts'
import { isJsonObject, type JsonObject } from '../../lib/json.ts'
import { secretLine } from '../../lib/secret-file.ts'
import { cameraPatch } from './camera-answer.ts'
import type { Place } from './place.ts'

/** Where the broker is when the configuration doesn't say. */
export const usualBroker = 'mqtt://127.0.0.1:1883'

/** What is configured already, as far as setup asks for it. */
export type Known = {
  readonly name: string | undefined
  readonly camera: JsonObject | undefined
  readonly url: string | undefined
  readonly username: string | undefined
  readonly hasPassword: boolean
  /** As the configuration names it. */
  readonly passwordFile: string | undefined
  /** The file with the authorities. */
  readonly ca: string | undefined
  readonly homeAssistant: boolean
}

/** Good answers to everything, so that the rest of a configuration can be looked at before they are there. */
export function placeholders(camera: JsonObject | undefined): JsonObject {
  return {
    name: null,
    camera: cameraPatch({ source: 'synthetic' }, camera),
    // With TLS, since a certificate of ours may be configured.
    mqtt: { url: 'mqtts://localhost', username: null, password_file: null, ca_file: null },
    home_assistant: { enabled: null },
  }
}

/**
 * Reads it; throws a SightdError `config_invalid` with every mistake that no answer can mend, before anything is asked.
 */
export async function readKnown({ path, before, credentials }: Place): Promise<Known> {
  const keys = before === undefined ? {} : parseKeys(before.text, path)
  const camera = isJsonObject(keys['camera']) ? keys['camera'] : undefined
  if (before !== undefined) buildConfig(before.text, path, placeholders(camera))
  const mqtt = isJsonObject(keys['mqtt']) ? keys['mqtt'] : {}
  const homeAssistant = isJsonObject(keys['home_assistant']) ? keys['home_assistant'] : {}
  const [username, password, ca] = await Promise.all([
    credentials('mqtt-username'),
    credentials('mqtt-password'),
    credentials('mqtt-ca'),
  ])
  return {
    name: textIn(keys, 'name'),
    camera,
    url: textIn(mqtt, 'url') ?? (before && usualBroker),
    username: textIn(mqtt, 'username') ?? (username && secretLine(username.bytes, username.path)),
    hasPassword: (textIn(mqtt, 'password_file') ?? password) !== undefined,
    passwordFile: textIn(mqtt, 'password_file'),
    ca: textIn(mqtt, 'ca_file') ?? ca?.path,
    homeAssistant: homeAssistant['enabled'] !== false,
  }
}

function textIn(section: JsonObject, key: string): string | undefined {
  const value = section[key]
  return typeof value === 'string' && value !== '' ? value : undefined
}
