import { describeDuration, padText, textWidth } from '../text.ts'
import { conditionOf, modelOf, troublesOf, type WatchedDevice } from './device.ts'

export type Line = { readonly text: string; readonly tone: 'plain' | 'head' | 'warn' | 'bad' | 'faint' }

/** How many there are, and how many of them are not well. */
export function countDevices(devices: readonly WatchedDevice[]): string {
  const offline = devices.filter((device) => conditionOf(device) === 'offline').length
  const troubled = devices.filter((device) => troublesOf(device).length > 0).length
  return [
    `${devices.length} ${devices.length === 1 ? 'device' : 'devices'}`,
    ...(offline === 0 ? [] : [`${offline} offline`]),
    ...(troubled === 0 ? [] : [`${troubled} with trouble`]),
  ].join(', ')
}

type Column = {
  readonly head: string
  readonly align: 'left' | 'right'
  /** It is not made narrower than this, but left out, the highest `rank` first. */
  readonly least: number
  readonly rank: number
  readonly cell: (device: WatchedDevice, nowMs: number) => string | undefined
}

const column = (head: string, rank: number, least: number, cell: Column['cell'], align: Column['align'] = 'left') => ({
  head,
  rank,
  least,
  cell,
  align,
})

/** What was true of a device before it went tells nothing of now. */
const live =
  (cell: (device: WatchedDevice) => string | undefined): Column['cell'] =>
  (device) =>
    device.status === 'offline' ? undefined : cell(device)

/** In full, the id: boards of one kind differ in its end only. */
const columns: readonly Column[] = [
  column('DEVICE', 0, 36, ({ id }) => id),
  column('NAME', 6, 8, ({ id, name }) => (name === id ? undefined : name)),
  column('STATUS', 1, 8, conditionOf),
  column(
    'SEES',
    2,
    12,
    live(({ sees }) => sees),
  ),
  column(
    'FPS',
    4,
    4,
    live(({ state }) => state?.fps?.toFixed(1)),
    'right',
  ),
  column(
    'MS',
    5,
    5,
    live(({ metrics }) => metrics?.inference_ms_p50?.toFixed(1)),
    'right',
  ),
  column(
    '°C',
    7,
    2,
    live(({ metrics }) => metrics?.temp_c?.toFixed(0)),
    'right',
  ),
  column('MODEL', 8, 8, modelOf),
  column('HEARD', 3, 5, describeAge, 'right'),
]

const gap = '  '

function describeAge({ heardMs }: WatchedDevice, nowMs: number): string | undefined {
  if (heardMs === undefined) return undefined
  const seconds = Math.floor((nowMs - heardMs) / 1000)
  return seconds < 1 ? 'now' : describeDuration(seconds * 1000)
}

/** A row for each device and one below for its trouble; what does not fit is counted in the last row. */
export function describeTable(
  devices: readonly WatchedDevice[],
  nowMs: number,
  width: number,
  maxRows: number,
): Line[] {
  const cells = columns.map(({ cell }) => devices.map((device) => cell(device, nowMs) ?? ''))
  const natural = columns.flatMap((column, i) => {
    const own = cells[i] ?? []
    const widest = Math.max(...own.map(textWidth))
    return widest === 0 ? [] : [{ ...column, cells: own, width: Math.max(textWidth(column.head), widest) }]
  })
  const fitting = fitColumns(natural, width)
  const row = (textOf: (column: Fitted) => string) =>
    fitting.map((column) => padText(textOf(column), column.width, column.align)).join(gap)
  const lines: Line[] = [{ text: row(({ head }) => head), tone: 'head' }]
  for (const [i, device] of devices.entries()) {
    const troubles = troublesOf(device)
    const own: Line[] = [
      { text: row(({ cells }) => cells[i] ?? ''), tone: toneOf(device) },
      ...(troubles.length === 0 ? [] : [{ text: `  └ ${troubles.join('; ')}`, tone: toneOf(device) }]),
    ]
    const isLast = i === devices.length - 1
    if (lines.length + own.length + (isLast ? 0 : 1) > maxRows) return [...lines, describeHidden(devices.slice(i))]
    lines.push(...own)
  }
  return lines
}

function describeHidden(hidden: readonly WatchedDevice[]): Line {
  const isWell = hidden.every((device) => toneOf(device) === 'plain')
  return { text: `… ${countDevices(hidden).replace(/ devices?/, ' more')}`, tone: isWell ? 'faint' : 'warn' }
}

function toneOf(device: WatchedDevice): Line['tone'] {
  const condition = conditionOf(device)
  if (condition === 'offline' || condition === 'error') return 'bad'
  const isWell = (condition === 'running' || condition === 'online') && troublesOf(device).length === 0
  return isWell ? 'plain' : 'warn'
}

type Fitted = Column & { readonly cells: readonly string[]; readonly width: number }

/** A column that is wider gives before others do. */
const ampleWidth = 30

/** The least important columns are made narrower until all fit beside each other; when none can give any more, one goes. */
function fitColumns(natural: readonly Fitted[], width: number): readonly Fitted[] {
  let fitted = natural
  const excess = () => fitted.reduce((sum, column) => sum + column.width, gap.length * (fitted.length - 1)) - width
  while (excess() > 0) {
    const [giver] = fitted.filter(({ width, least }) => width > least).sort((a, b) => wealth(b) - wealth(a))
    if (giver === undefined) {
      const last = Math.max(...natural.map(({ rank }) => rank))
      const rest = natural.filter(({ rank }) => rank !== last)
      return rest.length === 0 ? fitted : fitColumns(rest, width)
    }
    fitted = fitted.map((column) => (column === giver ? { ...column, width: column.width - 1 } : column))
  }
  return fitted
}

function wealth({ width, rank }: Fitted): number {
  return width > ampleWidth ? width : rank
}
