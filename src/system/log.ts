import pino from 'pino'
import type { Terminal } from './terminal.ts'

export type Log = pino.Logger

const options = (level: string): pino.LoggerOptions => ({
  level,
  base: null,
  timestamp: pino.stdTimeFunctions.isoTime,
  formatters: { level: (label) => ({ level: label }) },
})

/** One JSON object per line on stdout, written at once: the last line before a crash is there. */
export function createLog(level: string): Log {
  return pino(options(level), pino.destination({ dest: 1, sync: true }))
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
