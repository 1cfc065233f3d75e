import { readBrokerLogin, readCertificates } from '../config/broker-login.ts'
import type { Config } from '../config/schema.ts'
import { describeError, SightdError } from '../core/errors.ts'
import { nearestName } from '../lib/schema-issues.ts'
import { readSecretBytes, readSecretFile } from '../lib/secret-file.ts'
import { readRoot } from '../ota/update-settings.ts'
import { readManifest } from '../vision/model-folder.ts'

/** What a configuration that holds by its schema still comes to on this machine, in words. */
export type ConfigReport = {
  /** What keeps the daemon from starting. */
  readonly mistakes: readonly string[]
  /** What it starts with all the same, or what could not be looked at. */
  readonly warnings: readonly string[]
}

/** Looks at the files that a configuration names, each by itself, so that all mistakes are told at once. */
export async function checkFiles(config: Config, modelDir: string): Promise<ConfigReport> {
  const { camera, mqtt, ota } = config
  const files = [
    { key: 'mqtt.password_file', path: mqtt.password_file, read: readSecretFile },
    { key: 'mqtt.ca_file', path: mqtt.ca_file, read: readCertificates },
    { key: 'mqtt.cert_file', path: mqtt.cert_file, read: readCertificates },
    { key: 'mqtt.key_file', path: mqtt.key_file, read: readSecretBytes },
    { key: 'ota.root_file', path: ota.root_file, read: readRoot },
    { key: 'ota.ca_file', path: ota.ca_file, read: readCertificates },
    { key: 'camera.password_file', path: 'url' in camera ? camera.password_file : undefined, read: readSecretFile },
  ]
  const alone = await Promise.all(
    files.map(({ key, path, read }) => (path === undefined ? [] : troublesOf(`${key}: `, () => read(path)))),
  )
  // What only shows when the daemon reads them together: what systemd hands over, and whether it all fits.
  const troubles = alone.some((found) => found.length > 0)
    ? alone.flat()
    : await troublesOf('', () => readBrokerLogin(mqtt))
  return {
    mistakes: troubles.filter(({ isForbidden }) => !isForbidden).map(({ text }) => text),
    warnings: [
      ...troubles
        .filter(({ isForbidden }) => isForbidden)
        .map(({ text }) => `${text}; not checked, run this as the user that runs sightd`),
      ...(await checkLabels(config, modelDir)),
    ],
  }
}

type Trouble = { readonly text: string; readonly isForbidden: boolean }

async function troublesOf(prefix: string, act: () => Promise<unknown>): Promise<Trouble[]> {
  try {
    await act()
    return []
  } catch (error) {
    if (!(error instanceof SightdError)) throw error
    return [{ text: `${prefix}${describeError(error)}`, isForbidden: isForbidden(error) }]
  }
}

/** Whoever checks a configuration may be somebody else than the one who runs the daemon. */
function isForbidden({ cause }: SightdError): boolean {
  return cause instanceof Error && 'code' in cause && cause.code === 'EACCES'
}

/** Names labels that the model doesn't have: they make no event, and nothing says so later. */
async function checkLabels({ events, home_assistant: homeAssistant }: Config, modelDir: string): Promise<string[]> {
  const manifest = await readManifest(modelDir).catch((error: unknown) => {
    if (error instanceof SightdError) return error
    throw error
  })
  if (manifest instanceof SightdError) return [`model: ${describeError(manifest)}; so labels were not checked`]
  const known = manifest.labels.filter((label) => label !== '')
  const used = {
    'events.allow': events.allow ?? [],
    'events.deny': events.deny,
    'events.labels': Object.keys(events.labels),
    'home_assistant.labels': homeAssistant.enabled ? homeAssistant.labels : [],
  }
  return Object.entries(used).flatMap(([key, labels]) =>
    labels
      .filter((label) => !known.includes(label))
      .map((label) => {
        const nearest = nearestName(label, known)
        return `${key}: the model has no label ${label}${nearest === undefined ? '' : ` (did you mean ${nearest}?)`}`
      }),
  )
}
