import { readFileSync } from 'node:fs'

/** Of one device: its connection, a segment of its outbox, a request to the repository. */
const filesPerDevice = 3
const otherFiles = 100

/** Why this machine does not let so many devices run, and what to do; undefined when it does. */
export function limitsProblem(devices: number, workers: number): string | undefined {
  const needed = Math.max(devices, filesPerDevice * Math.ceil(devices / workers)) + otherFiles
  const allowed = maxOpenFiles()
  if (needed > allowed)
    return `${devices} devices need ${needed} open files in one process, and the limit is ${allowed}: raise it with ulimit -n ${needed} (or LimitNOFILE= of a service, nofile in /etc/security/limits.conf), or give more --workers`
  const ports = localPorts()
  if (devices + otherFiles > ports)
    return `${devices} devices need a port each, and there are ${ports}: raise them with sysctl -w net.ipv4.ip_local_port_range="1024 65535"`
  return undefined
}

/** Node has raised the soft limit to the hard one, for its children too. */
function maxOpenFiles(): number {
  const soft = /^Max open files\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1]
  return soft === 'unlimited' ? Number.POSITIVE_INFINITY : Number(soft)
}

function localPorts(): number {
  const [first = 0, last = 0] = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8')
    .trim()
    .split(/\s+/)
    .map(Number)
  return last - first + 1
}
