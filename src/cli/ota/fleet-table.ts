import type { OutcomeCode } from '../../core/update-status.ts'
import { fitText, padText, textWidth } from '../text.ts'
import type { Line } from '../watch/table.ts'
import type { Fleet, FleetDevice } from './fleet.ts'

type Column = { readonly head: string; readonly cell: (device: FleetDevice) => string }

/** In full, the id: boards of one kind differ in its end only. */
const columns: readonly Column[] = [
  { head: 'DEVICE', cell: ({ id }) => id },
  { head: 'STATUS', cell: ({ status }) => status ?? 'unknown' },
  { head: 'MODEL', cell: (device) => modelOf(device) ?? '' },
  { head: 'PHASE', cell: phaseOf },
  { head: 'NEXT', cell: ({ update }) => nameOf(update?.candidate) },
  { head: 'GROUP', cell: ({ update }) => update?.group ?? '' },
  { head: 'ROLLOUT', cell: ({ update }) => update?.rollout ?? '' },
  { head: 'LAST', cell: ({ update }) => (update?.last ? `${update.last.outcome} ${nameOf(update.last.model)}` : '') },
]

/** No cell takes more; an id has at most 36. */
const maxCell = 44
const gap = '  '

/** No model of ours has a longer name. */
const maxName = 130

const nameOf = (model: { readonly name: string; readonly version: string } | null | undefined) =>
  model ? fitText(`${model.name} ${model.version}`, maxName) : ''

const modelOf = ({ update }: FleetDevice) =>
  update?.title && update.installed_version ? `${update.title} ${update.installed_version}` : undefined

function phaseOf({ update }: FleetDevice): string {
  if (update === undefined) return ''
  if (!update.enabled) return 'off'
  const percent = update.percent === null ? '' : ` ${update.percent} %`
  const words = [`${update.phase}${percent}`, update.paused ? 'paused' : '', update.needs_consent ? 'asks' : '']
  return words.filter((word) => word !== '').join(', ')
}

/** Endings that somebody wanted. A device may know others than we do. */
const wanted: readonly string[] = ['cancelled', 'rolled_back_by_command'] satisfies OutcomeCode[]
const bad = ['rolled_back', 'refused', 'failed']

/** What somebody should look into, in words. */
export function troublesOf({ update }: FleetDevice): string[] {
  const { last, stale } = update ?? {}
  const hasFailed = last && bad.includes(last.outcome) && !wanted.includes(last.code)
  return [
    ...(stale ? [`nothing new may be installed: ${stale}`] : []),
    ...(hasFailed ? [`${nameOf(last.model)} ${last.outcome}, ${last.code}: ${last.reason}`] : []),
  ]
}

/** The row of a device, its trouble included, in one line. */
export function describeDevice(device: FleetDevice): string {
  const cells = columns.slice(1).map(({ head, cell }) => {
    const text = cell(device)
    return text === '' ? [] : [head === 'STATUS' ? `is ${text}` : `${head.toLowerCase()} ${text}`]
  })
  return [`${device.id} ${cells.flat().join(', ')}`, ...troublesOf(device)].join('; ')
}

/** A row for each device, and below it what it waits for and its trouble; at the end how many run what. */
export function describeFleet(devices: readonly FleetDevice[]): Line[] {
  const rows = devices.map((device) => columns.map(({ cell }) => fitText(cell(device), maxCell)))
  const widths = columns.map(({ head }, i) => Math.max(...[head, ...rows.map((row) => row[i] ?? '')].map(textWidth)))
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, i) => padText(cell, widths[i] ?? 0, 'left'))
      .join(gap)
      .trimEnd()
  return [
    { text: line(columns.map(({ head }) => head)), tone: 'head' },
    ...devices.flatMap((device, i): Line[] => {
      const troubles = troublesOf(device)
      const tone = troubles.length > 0 ? 'bad' : device.status === 'online' ? 'plain' : 'warn'
      const more = [...(device.update?.reason ? [device.update.reason] : []), ...troubles]
      return [{ text: line(rows[i] ?? []), tone }, ...more.map((text): Line => ({ text: `  └ ${text}`, tone }))]
    }),
    { text: describeSum(devices), tone: 'faint' },
  ]
}

function describeSum(devices: readonly FleetDevice[]): string {
  const count = (fits: (device: FleetDevice) => boolean, word: string) => {
    const { length } = devices.filter(fits)
    return length === 0 ? [] : [`${length} ${word}`]
  }
  const models = [...Map.groupBy(devices, (device) => modelOf(device) ?? 'no known model')]
    .sort(([, a], [, b]) => b.length - a.length)
    .slice(0, 5)
    .map(([model, { length }]) => `${length} with ${fitText(model, maxCell)}`)
  return [
    `${devices.length} ${devices.length === 1 ? 'device' : 'devices'}`,
    ...count(({ status }) => status === 'offline', 'offline'),
    ...count((device) => troublesOf(device).length > 0, 'in trouble'),
    ...models,
  ].join(', ')
}

/** What a program gets of a device: its message, as far as we know it, with what is long cut short. */
export function deviceJson(device: FleetDevice): object {
  const { id, status = null, update = null } = device
  return { device: id, status, update, troubles: troublesOf(device) }
}

export function complaintsOf({ counts }: Fleet, unseen: readonly string[]): string[] {
  const { notUnderstood, leftOut } = counts
  return [
    ...(unseen.length === 0 ? [] : [`the broker lets us not subscribe to ${unseen.join(', ')}`]),
    ...(notUnderstood === 0 ? [] : [`messages that are not understood: ${notUnderstood}`]),
    ...(leftOut === 0 ? [] : [`messages of devices that are too many: ${leftOut}`]),
  ]
}
