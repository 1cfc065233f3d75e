import { readdirSync, readFileSync } from 'node:fs'

/** Which processes there are and what they cost, as the kernel counts it. A process that is gone costs nothing. */

/** A process and all that come from it, itself first. */
export function descendants(pid: number): number[] {
  const parents = new Map(
    readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map((name) => [Number(name), fieldsOf(Number(name)).parent] as const),
  )
  const found = [pid]
  for (const parent of found) for (const [child, of] of parents) if (of === parent) found.push(child)
  return found
}

/** Its name as `ps` shows it, and the command that it runs. */
export function commandOf(pid: number): string {
  return procFile(pid, 'cmdline').replaceAll('\0', ' ')
}

/** Seconds of processor time of a process and of its children that have ended. */
export function cpuSeconds(pid: number): number {
  return fieldsOf(pid).ticks / ticksPerSecond
}

/** Seconds of processor time of each thread that there is, by process and name: `vision/main WorkerThread`. */
export function threadSeconds(pid: number): Map<string, number> {
  const program = /[\w-]+\/[\w-]+(?=\.(ts|js|py)\b)/.exec(commandOf(pid))?.[0] ?? commandOf(pid)
  const seconds = new Map<string, number>()
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const name = `${program} ${thread === String(pid) ? 'main' : procFile(pid, `task/${thread}/comm`).trim()}`
    // In nanoseconds, where `stat` counts hundredths of a second.
    const [ran = '0'] = procFile(pid, `task/${thread}/schedstat`).split(' ')
    seconds.set(name, (seconds.get(name) ?? 0) + Number(ran) / 1e9)
  }
  return seconds
}

/** USER_HZ, which is 100 on every Linux that sightd runs on. */
const ticksPerSecond = 100

function fieldsOf(pid: number): { readonly parent: number; readonly ticks: number } {
  // The name before them is in brackets and may hold anything.
  const fields = procFile(pid, 'stat')
    .replace(/^.*\) /s, '')
    .split(' ')
    .map(Number)
  const [, parent = -1] = fields
  return { parent, ticks: fields.slice(11, 15).reduce((sum, ticks) => sum + ticks, 0) }
}

/** A file of /proc/PID; empty where the process is gone. */
export function procFile(pid: number, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'utf8')
  } catch {
    return ''
  }
}
