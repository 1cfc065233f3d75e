import { SightdError } from '../../core/errors.ts'
import { lifetimesOf } from '../../ota/documents.ts'
import { isHalfOver } from '../../ota/drafts.ts'
import { isKeyRole, keyRoles } from '../../ota/role-keys.ts'
import { atBench, finish, needState, type OtaOptions } from './bench.ts'

/**
 * `sightd ota refresh`: a new timestamp, and snapshot and deploy once half of their time is over; for a timer. Roles that
 * are named are signed anew as well.
 */
export async function refresh(roles: readonly string[], options: OtaOptions, signal: AbortSignal): Promise<number> {
  const wrong = roles.find((role) => !isKeyRole(role))
  if (wrong !== undefined) throw new SightdError('ota_failed', `${wrong} is no role: ${keyRoles.join(', ')}`)
  return atBench(options, signal, async (bench) => {
    const state = needState(bench)
    const days = lifetimesOf(state.root)
    const { nowMs } = bench
    const deploy = roles.includes('deploy') || isHalfOver(state.deploy, days.deploy, nowMs)
    const change = {
      ...(roles.includes('root') ? { root: state.root } : {}),
      ...(roles.includes('targets') ? { targets: state.targets } : {}),
      ...(deploy ? { deploy: state.deploy } : {}),
    }
    const warnings = (['root', 'targets'] as const)
      .filter(
        (role) => !roles.includes(role) && Date.parse(state[role].expires) - nowMs < days[role] * 86_400_000 * 0.2,
      )
      .map((role) => `${role} expires ${state[role].expires}: sightd ota refresh ${role}, with its keys`)
    const names = ['timestamp', ...Object.keys(change)]
    const report = { lines: [`signed anew: ${names.join(', ')}`], facts: { roles: names }, warnings }
    return finish(bench, change, { report, isRefresh: true })
  })
}
