import { fitText, padText } from '../text.ts'
import type { WatchedDevice } from './device.ts'
import type { Happening } from './happenings.ts'
import { countDevices, describeTable, type Line } from './table.ts'

/** What the screen shows. */
export type Picture = {
  readonly title: string
  /** Why nothing comes from the broker, or not all. */
  readonly trouble: string | undefined
  readonly devices: readonly WatchedDevice[]
  /** Newest last. */
  readonly events: readonly Happening[]
  readonly nowMs: number
}

/** A third of the screen is left to events, if there are as many. */
const eventShare = 3

/** At most `height` lines of at most `width` columns: title, table of devices, and the newest events that fit below. */
export function describePicture(picture: Picture, width: number, height: number): Line[] {
  const { devices, events, trouble, nowMs } = picture
  const top: Line[] = [
    { text: `${countDevices(devices)}  ${picture.title}`, tone: 'head' },
    ...(trouble === undefined ? [] : [{ text: trouble, tone: 'bad' } as const]),
  ]
  const eventRows = Math.min(events.length, Math.floor(height / eventShare))
  const tableRows = height - top.length - (eventRows === 0 ? 0 : eventRows + 1)
  const table = devices.length === 0 ? [nobody] : describeTable(devices, nowMs, width, tableRows)
  const room = height - top.length - table.length - 1
  const below = room < 1 ? [] : events.slice(-room).map((event) => describeEvent(event, devices, nowMs))
  return [...top, ...table, ...(below.length === 0 ? [] : [{ text: '', tone: 'plain' } as const, ...below])]
    .slice(0, Math.max(0, height))
    .map(({ text, tone }) => ({ text: fitText(text, width), tone }))
}

const nobody: Line = { text: 'No device has said anything yet.', tone: 'faint' }

function describeEvent({ atMs, id, text }: Happening, devices: readonly WatchedDevice[], nowMs: number): Line {
  const width = Math.min(20, Math.max(8, ...devices.map((device) => device.id.length)))
  return { text: `${clock(atMs, nowMs)}  ${padText(id, width, 'left')}  ${text}`, tone: 'plain' }
}

/** Time of day where we are, with the day if that is another. */
function clock(ms: number, nowMs: number): string {
  const date = new Date(ms)
  const two = (value: number) => String(value).padStart(2, '0')
  const time = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`
  const isToday = date.toDateString() === new Date(nowMs).toDateString()
  return isToday ? time : `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${time}`
}
