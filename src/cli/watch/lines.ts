import type { WatchedDevices } from './devices.ts'
import type { Heard } from './messages.ts'

/**
 * Lines for the changes that each message brings, `time device what`. The time is when we heard of it, by the clock of this
 * machine, and never before that of the line above: devices' clocks differ, and their events are told in an order of their
 * own. An event that was told late says of when it is.
 */
export function changeLines(devices: WatchedDevices) {
  let newestMs = 0
  return ({ id, said }: Exclude<Heard, { problem: string }>, isRetained: boolean, nowMs: number): string[] => {
    // The clock may be set back meanwhile.
    newestMs = Math.max(newestMs, nowMs)
    const heard = new Date(newestMs).toISOString()
    const isLate = said.kind === 'event' && said.value?.replayed === true
    return devices.take({ id, said }, isRetained, nowMs).map(({ atMs, text }) => {
      const late = isLate && atMs > 0 ? `: ${new Date(atMs).toISOString()}` : ''
      return `${heard} ${id} ${text}${late}\n`
    })
  }
}
