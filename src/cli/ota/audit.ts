import { readFile } from 'node:fs/promises'
import { isAbsolute, resolve } from 'node:path'
import { exitCodes, SightdError } from '../../core/errors.ts'
import { describeDiskError } from '../../lib/disk-error.ts'
import { describeIndex } from '../../ota/approved-models.ts'
import { type Audit, audit as auditAll } from '../../ota/audit.ts'
import { openTransport } from '../../ota/transport.ts'
import { printable } from '../text.ts'
import { explained, type OtaOptions, printJson, printLines } from './bench.ts'
import { Progress } from './progress.ts'

export type AuditCommandOptions = OtaOptions & { readonly root?: string }

/** `sightd ota audit`: walks a repository as a new device would. Exit code 1 when anything is wrong with it. */
export async function audit(
  source: string | undefined,
  options: AuditCommandOptions,
  signal: AbortSignal,
): Promise<number> {
  return explained(async () => {
    const place = source ?? options.repo ?? 'repository'
    const isUrl = /^[a-z]+:\/\//i.test(place)
    const transport = openTransport(isUrl || isAbsolute(place) ? place : resolve(place))
    using progress = new Progress()
    const found = await auditAll({
      transport,
      firstRoot: options.root === undefined ? undefined : await readRoot(options.root),
      nowMs: Date.now(),
      signal,
      onProgress: (done, total, path) => progress.bar(done, total, printable(path)),
    }).catch((error: unknown) => {
      if (signal.aborted) throw new SightdError('ota_failed', `${transport.where}: stopped before all was looked at`)
      throw error
    })
    progress[Symbol.dispose]()
    if (options.json) printJson(jsonOf(found))
    else printLines(linesOf(found))
    return found.findings.length === 0 ? exitCodes.ok : exitCodes.failure
  })
}

async function readRoot(path: string): Promise<Uint8Array> {
  return readFile(path).catch((error: unknown) => {
    throw new SightdError('ota_failed', `${path}: can't be read: ${describeDiskError(error)}`)
  })
}

const iso = (ms: number) => new Date(ms).toISOString()

function jsonOf({ where, roles, models, groups, targets, findings }: Audit) {
  return {
    source: where,
    roles: roles.map(({ role, version, expiresMs, daysLeft }) => ({
      role,
      version,
      expires: iso(expiresMs),
      days_left: Math.floor(daysLeft * 10) / 10,
    })),
    models: models.map(({ rollbackIndex, ...model }) => ({ ...model, rollback_index: rollbackIndex })),
    groups: groups.map(({ from, ...group }) => ({ ...group, from: iso(from) })),
    targets,
    findings,
  }
}

function linesOf({ where, roles, models, groups, targets, findings }: Audit): string[] {
  const left = (days: number) =>
    days <= 0 ? 'EXPIRED' : days < 2 ? `${Math.floor(days * 24)} h left` : `${Math.floor(days)} d left`
  return [
    where,
    ...roles.map(
      ({ role, version, expiresMs, daysLeft }) =>
        `  ${role.padEnd(10)}version ${String(version).padEnd(5)}${iso(expiresMs).slice(0, 10)}  ${left(daysLeft)}`,
    ),
    ...models.map(
      ({ model, bytes, sha256, rollbackIndex }) =>
        `  model     ${model}, ${bytes} bytes, sha256 ${sha256?.slice(0, 16)}…${describeIndex(rollbackIndex)}`,
    ),
    ...groups.map(({ group, model, percent, hold, from }) => {
      const state = hold ? 'on hold' : `${percent} %`
      return `  group     ${group}: ${model}, ${state}, from ${iso(from)}`
    }),
    `  ${targets.checked} files, ${targets.bytes} bytes, looked at`,
    ...findings.map((finding) => `FINDING ${finding}`),
    findings.length === 0 ? 'a new device would take all of it' : `${findings.length} findings`,
  ]
}
