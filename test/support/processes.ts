import { readdirSync, readFileSync } from 'node:fs'

type ProcessInfo = { readonly pid: number; readonly parent: number; readonly command: string }

/** Every process of this machine, from /proc. */
export function listProcesses(): ProcessInfo[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
        const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
        const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
        return state === 'Z' ? [] : [{ pid: Number(pid), parent: Number(parent), command }]
      } catch {
        // It ended while we looked.
        return []
      }
    })
}

/** The vision process of a daemon. */
export function visionPidOf(daemonPid: number): number | undefined {
  return listProcesses().find(({ parent, command }) => parent === daemonPid && command.includes('/vision/main'))?.pid
}

export function isRunning(pid: number): boolean {
  return listProcesses().some((process) => process.pid === pid)
}
