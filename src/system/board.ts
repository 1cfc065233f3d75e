import { readFile } from 'node:fs/promises'
import { hostname } from 'node:os'

export type Board = { readonly os: string | null; readonly model: string | null; readonly serial: string | null }

/** What the board says of itself; null for what it doesn't. */
export async function readBoard(): Promise<Board> {
  const [release, model, serial] = await Promise.all([
    readText('/etc/os-release'),
    readText('/proc/device-tree/model'),
    readText('/proc/device-tree/serial-number'),
  ])
  return { os: /^PRETTY_NAME="?([^"\n]+)/m.exec(release ?? '')?.[1] ?? null, model, serial }
}

/** `<host name>-<last 6 of the serial number>`; where there is no serial, the machine id stands in for it. */
export async function defaultDeviceId({ serial }: Board): Promise<string> {
  const unique = serial ?? (await readText('/etc/machine-id')) ?? ''
  const host = plain(hostname()).slice(0, 29)
  return `${host}-${plain(unique).slice(-6)}`.replace(/^-+|-+$/g, '') || 'sightd'
}

/** Only what an id may be made of. */
function plain(text: string): string {
  return text.toLowerCase().replace(/[^a-z0-9]+/g, '-')
}

/** Resident memory of a process in bytes, or undefined when it is gone. */
export async function residentBytes(pid: number | undefined): Promise<number | undefined> {
  if (pid === undefined) return undefined
  const kibibytes = /^VmRSS:\s+(\d+) kB/m.exec((await readText(`/proc/${pid}/status`)) ?? '')?.[1]
  return kibibytes === undefined ? undefined : Number(kibibytes) * 1024
}

/** Names this start of the kernel; empty where it has no name. */
export async function readBootId(): Promise<string> {
  return (await readText('/proc/sys/kernel/random/boot_id')) ?? ''
}

/** Device-tree strings end in a NUL. */
async function readText(path: string): Promise<string | null> {
  const text = await readFile(path, 'utf8').catch(() => '')
  return text.replaceAll('\0', '').trim() || null
}
