import { availableParallelism, cpus } from 'node:os'

/** What figures were taken on. */
export function describeMachine() {
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    arch: process.arch,
    node: process.version,
  }
}
