import pino from 'pino'
import type { Terminal } from './terminal.ts'

export type Log = pino.Logger

const options = (level: string): pino.LoggerOptions => ({
  level,
  base: null,
  timestamp: pino.stdTimeFunctions.isoTime,
  formatters: { level: (label) => ({ level: label }) },
})

/** One JSON object per line on stdout, written at once: the last line before a crash is there. `onLine` sees each, too. */
export function createLog(level: string, onLine: (record: string) => void = () => {}): Log {
  const stdout = pino.destination({ dest: 1, sync: true })
  const isJournal = process.env['JOURNAL_STREAM'] !== undefined
  return pino(options(level), {
    write: (record) => {
      onLine(record)
      stdout.write(isJournal ? `<${priorityOf(record)}>${record}` : record)
    },
  })
}

/** The journal's priorities (syslog(3)), which it takes from the beginning of a line (sd-daemon(3)). */
const priorities: Readonly<Record<string, number>> = { fatal: 2, error: 3, warn: 4, info: 6, debug: 7, trace: 7 }

function priorityOf(record: string): number {
  // `level` is the first field of each.
  return priorities[/^\{"level":"(\w+)"/.exec(record)?.[1] ?? ''] ?? 6
}

/** The same records as short lines for a person at a terminal. */
export function createTerminalLog(level: string, terminal: Terminal): Log {
  return pino(options(level), { write: (record) => terminal.line(humanLine(record)) })
}

/** `12:00:01 warn broker not reachable: mqtt://…, connect ECONNREFUSED`. */
export function humanLine(record: string): string {
  const {
    level,
    time,
    msg = '',
    ...fields
  }: { level: string; time: string; msg?: string; [field: string]: unknown } = JSON.parse(record)
  const details = Object.entries(fields).map(([key, value]) =>
    typeof value === 'string' ? value : `${key} ${JSON.stringify(value)}`,
  )
  const severity = level === 'info' ? '' : `${level} `
  return `${new Date(time).toTimeString().slice(0, 8)} ${severity}${msg}${details.length > 0 ? `: ${details.join(', ')}` : ''}`
}
