import { SightdError } from '../../core/errors.ts'
import { nearestName } from '../../lib/schema-issues.ts'
import { approvedModels, findModel, indexesAbove, shortName } from '../../ota/approved-models.ts'
import type { TargetsDocument } from '../../ota/documents.ts'
import {
  type Group,
  modelOf,
  promoted,
  readGroups,
  requireGroupName,
  rolledBack,
  withGroups,
} from '../../ota/groups.ts'
import { atBench, type Bench, finish, needState, type OtaOptions } from './bench.ts'

export type GroupOptions = OtaOptions & { readonly group: string }
export type PromoteOptions = GroupOptions & { readonly percent?: number; readonly from?: number }

/** `sightd ota promote`: a group should run an approved model, on so many of its devices, from then on. */
export async function promote(model: string, options: PromoteOptions, signal: AbortSignal): Promise<number> {
  const { group: name, percent = 100, from } = options
  requireGroupName(name)
  return atBench(options, signal, async (bench) => {
    const state = needState(bench)
    const folder = findModel(state.targets, model)
    const groups = await readGroups(state.deploy, bench.read)
    const old = groups.find((group) => group.name === name)
    const next = promoted(old, name, { folder, percent, fromMs: from }, bench.nowMs)
    const warnings: string[] = []
    if (old === undefined) warnings.push(newGroup(name, groups))
    else if (modelOf(old) === folder && percent < old.desired.percent)
      warnings.push(
        `${old.desired.percent} % of ${name} were asked for ${shortName(folder)} before: ` +
          'a smaller share takes it from no device that has it (sightd ota rollback does)',
      )
    if (old !== undefined) warnings.push(...refusals(state.targets, next, [modelOf(old), ...old.history]))
    return finishGroup(bench, next, `${name}: ${describe(next)}`, warnings)
  })
}

/** `sightd ota hold`: devices that have not begun wait; with `--release` they go on. */
export async function hold(
  options: GroupOptions & { readonly release?: boolean },
  signal: AbortSignal,
): Promise<number> {
  const { group: name, release = false } = options
  return atBench(options, signal, async (bench) => {
    const old = await knownGroup(bench, name)
    if (release) findModel(needState(bench).targets, modelOf(old))
    const next = { ...old, desired: { ...old.desired, hold: !release } }
    return finishGroup(
      bench,
      next,
      `${name}: ${describe(next)}`,
      old.desired.hold === !release ? ['it was so already'] : [],
    )
  })
}

/** `sightd ota rollback`: all devices of a group go to the model before. */
export async function rollback(
  options: GroupOptions & { readonly percent?: number },
  signal: AbortSignal,
): Promise<number> {
  const { group: name, percent = 100 } = options
  return atBench(options, signal, async (bench) => {
    const old = await knownGroup(bench, name)
    const next = rolledBack(old, percent, bench.nowMs)
    // It may have been revoked since, by an older sightd or another hand.
    const { targets } = needState(bench)
    findModel(targets, modelOf(next))
    const line = `${name}: back from ${shortName(modelOf(old))} to ${describe(next)}`
    return finishGroup(bench, next, line, refusals(targets, next, [modelOf(old), ...old.history]))
  })
}

/** A warning when devices of a group won't take its model because of one that they have run before. */
export function refusals(targets: TargetsDocument, group: Group, before: readonly string[]): string[] {
  const model = shortName(modelOf(group))
  const above = indexesAbove(targets, modelOf(group), before)
  if (above.length === 0) return []
  const index = approvedModels(targets).find(({ folder }) => folder === modelOf(group))?.rollbackIndex ?? 0
  const higher = above.map(({ folder, rollbackIndex }) => `${shortName(folder)} has ${rollbackIndex}`).join(' and ')
  const names = above.map(({ folder }) => shortName(folder)).join(' or ')
  return [
    `${group.name}: ${model} has rollback index ${index}, ${higher}: devices that have run ${names} will refuse it`,
  ]
}

async function knownGroup(bench: Bench, name: string): Promise<Group> {
  const groups = await readGroups(needState(bench).deploy, bench.read)
  const group = groups.find((one) => one.name === name)
  if (group !== undefined) return group
  throw new SightdError('ota_failed', `group ${name} has no model yet${others(name, groups)}`)
}

const newGroup = (name: string, groups: readonly Group[]) =>
  `${name} is a new group: no device is in it unless its configuration says so${others(name, groups)}`

function others(name: string, groups: readonly Group[]): string {
  const names = groups.map((group) => group.name)
  const nearest = nearestName(name, names)
  if (nearest !== undefined) return ` (did you mean ${nearest}?)`
  return names.length === 0 ? '' : `; groups: ${names.join(', ')}`
}

function describe({ desired, ...group }: Group): string {
  const share = desired.hold ? 'on hold' : `${desired.percent} % of its devices`
  const from = desired.from > Date.now() ? `, from ${new Date(desired.from).toISOString()}` : ''
  return `${shortName(modelOf({ desired, ...group }))}, ${share}${from}`
}

function finishGroup(bench: Bench, next: Group, line: string, warnings: readonly string[]): Promise<number> {
  const { percent, hold: isHeld, from } = next.desired
  const facts = {
    group: next.name,
    model: shortName(modelOf(next)),
    percent,
    hold: isHeld,
    from: new Date(from).toISOString(),
    history: next.history.map(shortName),
  }
  return finish(bench, withGroups(needState(bench).deploy, [next]), { report: { lines: [line], facts, warnings } })
}
