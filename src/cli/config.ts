import { describeKeys } from '../config/keys.ts'
import { loadConfig } from '../config/load.ts'
import { exitCodes, SightdError } from '../core/errors.ts'
import { bundledModel } from '../daemon.ts'
import { checkFiles } from './config-check.ts'

/**
 * `sightd config check`: one line when the daemon would take the file, or every mistake. Warnings change no exit code.
 * Throws a SightdError `config_invalid`.
 */
export async function checkConfig(path: string): Promise<number> {
  const config = await loadConfig(path)
  const { mistakes, warnings } = await checkFiles(config, config.model.path ?? bundledModel)
  for (const text of warnings) process.stdout.write(`warning: ${path}: ${text}\n`)
  if (mistakes.length > 0)
    throw new SightdError('config_invalid', mistakes.map((text) => `${path}: ${text}`).join('\n'))
  process.stdout.write(`${path} is right\n`)
  return exitCodes.ok
}

/** `sightd config docs`: docs/configuration.md. */
export async function printConfigDocs(): Promise<number> {
  process.stdout.write(configDocs())
  return exitCodes.ok
}

export function configDocs(): string {
  const sections = [
    { path: '', description: 'Keys at the top level of the file.' },
    ...describeKeys().filter((key) => key.isSection),
  ]
  const tables = sections.map(({ path, description }) => {
    const rows = describeKeys()
      .filter((key) => key.parent === path && !key.isSection)
      .map(
        (key) =>
          `| \`${key.name}\` | ${key.allowed} | ${defaultOf(key)} | ${key.only.length === 0 ? '' : `(${key.only.join(', ')}) `}${key.description} |`,
      )
    return [
      path === '' ? '## Top level' : `## \`${path}\``,
      '',
      description,
      '',
      '| key | allowed | default | what it does |',
      '| --- | --- | --- | --- |',
      ...rows,
    ].join('\n')
  })
  return `${preamble}\n\n${tables.join('\n\n')}\n`
}

function defaultOf({ isRequired, fallback }: { isRequired: boolean; fallback: unknown }): string {
  if (isRequired) return '**required**'
  return fallback === undefined ? '' : `\`${typeof fallback === 'object' ? JSON.stringify(fallback) : fallback}\``
}

const preamble = `# Configuration

<!-- Made from src/config/schema.ts by \`npm run docs\`; a test holds the two against each other. -->

sightd reads one YAML file, \`/etc/sightd/config.yaml\` unless \`--config\` names another. \`sightd config check FILE\` lists every
mistake in it at once, each with its line, the key, what was found and what is allowed. An unknown key is a mistake. The
smallest file that works:

\`\`\`yaml
camera:
  source: replay
  path: /srv/photos
mqtt:
  url: mqtt://192.168.1.10:1883
\`\`\``
