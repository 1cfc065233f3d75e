import type { Finding } from '../../system/finding.ts'
import { printableJson, printableLines } from '../text.ts'
import type { FilePlan, PlannedFile } from './files.ts'
import type { Place } from './place.ts'

/** What setup has done, or would do. A trial that was left out is null. */
export type Outcome = {
  readonly place: Place
  readonly plan: FilePlan
  readonly camera: Finding | null
  readonly broker: Finding | null
  readonly isHomeAssistant: boolean
  readonly isDryRun: boolean
}

export function describeFinding({ check, status, found, advice }: Finding): string {
  const lines = [`${check} ${status}: ${found}`, ...(advice === null ? [] : [`  → ${advice}`])]
  return lines.map((line) => `  ${printableLines(line).replaceAll('\n', '\n    ')}`).join('\n')
}

export function outcomeJson({ place, plan, camera, broker, isDryRun }: Outcome): string {
  const { written, removed, unused } = plan
  const text = isDryRun ? { text: configIn(written) ?? place.before?.text ?? null } : {}
  const files = written.map(({ path, mode }) => ({ path, mode: octal(mode) }))
  return printableJson(
    JSON.stringify({ config: place.path, dry_run: isDryRun, written: files, removed, unused, camera, broker, ...text }),
  )
}

/** For a person: what was written, and what comes next. */
export function describeOutcome(outcome: Outcome): string {
  const { place, plan, isDryRun } = outcome
  const verb = isDryRun ? 'would write' : 'wrote'
  const lines = [
    ...plan.written.map(({ path, mode, what }) => `${verb} ${path}, mode ${octal(mode)}${remarks[what]}`),
    ...plan.removed.map((path) => `${isDryRun ? 'would remove' : 'removed'} ${path}`),
  ]
  if (lines.length > 0)
    lines.push(...plan.unused.map((path) => `${path} is not used any more; remove it if nothing else does`))
  else lines.push(`${place.path} is as it should be: nothing to write`)
  const text = configIn(plan.written)
  if (isDryRun) return [...lines, ...(text === undefined ? [] : ['', text.trimEnd()])].join('\n')
  return [...lines, '', 'Next:', ...nextSteps(outcome)].join('\n')
}

const remarks: Readonly<Record<PlannedFile['what'], string>> = {
  config: '',
  old: ' (as it was before)',
  secret: ' (a secret)',
}

function nextSteps({ place: { path, isService }, isHomeAssistant }: Outcome): string[] {
  const steps = isService
    ? [
        ['sudo systemctl restart sightd', 'it takes what was written'],
        ['sudo sightd doctor', 'is all well?'],
        ['sudo sightd watch', 'what it sees'],
      ]
    : [
        [`sightd doctor --config ${path}`, 'is all well?'],
        [`sightd run --config ${path}`, 'the daemon, in the foreground'],
        [`sightd watch --config ${path}`, 'what it sees'],
      ]
  const width = Math.max(...steps.map(([command = '']) => command.length))
  return [
    ...steps.map(([command = '', what]) => `  ${command.padEnd(width)}   ${what}`),
    ...(isHomeAssistant
      ? ['With the same broker in Home Assistant (MQTT integration), the device appears there by itself.']
      : []),
  ]
}

function configIn(written: readonly PlannedFile[]): string | undefined {
  const content = written.find(({ what }) => what === 'config')?.content
  return content === undefined ? undefined : String(content)
}

function octal(mode: number): string {
  return mode.toString(8).padStart(4, '0')
}
