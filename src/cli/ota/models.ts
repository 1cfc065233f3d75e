import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describeError, SightdError } from '../../core/errors.ts'
import {
  approve,
  describeIndex,
  findModel,
  type ModelFile,
  shortName,
  withoutModel,
} from '../../ota/approved-models.ts'
import { modelOf, readGroups, withGroups, withoutRevoked } from '../../ota/groups.ts'
import { sha256Of } from '../../ota/repository.ts'
import { readModelFolder } from '../../vision/model-folder.ts'
import { runTrial } from '../trial.ts'
import { atBench, finish, needState, type OtaOptions, tell } from './bench.ts'
import { refusals } from './groups.ts'
import { Progress } from './progress.ts'

export type AddOptions = OtaOptions & { readonly rollbackIndex?: number }

/** `sightd ota add`: a model that passed every check that a device makes is approved. */
export async function addModel(dir: string, options: AddOptions, signal: AbortSignal): Promise<number> {
  const { rollbackIndex = 0 } = options
  return atBench(options, signal, async (bench) => {
    const state = needState(bench)
    const { manifest, sha256, files } = await checkedModel(dir, signal)
    const { name, version } = manifest
    const model = `${name}/${version}`
    const bytes = files.reduce((sum, file) => sum + file.bytes.length, 0)
    const facts = { model, sha256, bytes, rollback_index: rollbackIndex }
    const approved = approve(state.targets, { name, version, networkSha256: sha256, rollbackIndex, files })
    if (approved === undefined) {
      const lines = [`${model} is approved already, with exactly these files`]
      return tell(bench, { lines, facts }, [], state)
    }
    const lines = [
      `${model} is approved: ${files.length} files, ${bytes} bytes, sha256 ${sha256}${describeIndex(rollbackIndex)}`,
      `no device runs it yet: sightd ota promote ${model} --group GROUP --percent 10`,
    ]
    return finish(bench, approved, { report: { lines, facts } })
  })
}

/** A model folder's files, once scan and golden samples have passed; throws a SightdError that says which did not. */
async function checkedModel(dir: string, signal: AbortSignal) {
  using progress = new Progress()
  progress.say(`${dir}: scan`)
  const manifestBytes = await readBytes(join(dir, 'manifest.json'))
  const { manifest, sha256 } = await readModelFolder(dir)
  if (manifest.golden.length === 0)
    throw new SightdError(
      'golden_mismatch',
      `${dir}: no golden samples: no device could tell whether the model works there`,
    )
  progress.say(`${dir}: ${manifest.golden.length} golden samples`)
  const trial = await runTrial(dir, signal)
  if (trial.type === 'failed') throw new SightdError('model_invalid', trial.message)
  const problems = trial.golden.flatMap((golden) => golden.problems.map((problem) => `${golden.input}: ${problem}`))
  if (problems.length > 0) throw new SightdError('golden_mismatch', `${dir}: ${problems.join('; ')}`)
  const files: ModelFile[] = [{ name: 'manifest.json', bytes: manifestBytes }]
  for (const [name, listed] of Object.entries(manifest.files)) {
    const bytes = await readBytes(join(dir, name))
    if (bytes.length !== listed.bytes || sha256Of(bytes) !== listed.sha256)
      throw new SightdError('model_invalid', `${join(dir, name)}: not the file that the manifest lists`)
    files.push({ name, bytes })
  }
  // What was checked has to be what is signed.
  if (!manifestBytes.equals(await readBytes(join(dir, 'manifest.json'))))
    throw new SightdError('model_invalid', `${dir}: manifest.json changed while it was looked at`)
  return { manifest, sha256, files }
}

async function readBytes(path: string): Promise<Buffer> {
  return readFile(path).catch((error: unknown) => {
    throw new SightdError('model_invalid', `${path}: can't be read: ${describeError(error)}`)
  })
}

/** `sightd ota revoke`: a model that nobody is to run any more, and a way back for the groups that should. */
export async function revokeModel(model: string, options: OtaOptions, signal: AbortSignal): Promise<number> {
  return atBench(options, signal, async (bench) => {
    const state = needState(bench)
    const folder = findModel(state.targets, model)
    const groups = await readGroups(state.deploy, bench.read)
    const touched = groups.filter((group) => modelOf(group) === folder || group.history.includes(folder))
    const next = touched.map((group) => withoutRevoked(group, folder, bench.nowMs))
    const { deploy, files } = withGroups(state.deploy, next)
    const moved = next.filter((_, i) => touched[i] !== undefined && modelOf(touched[i]) === folder)
    const lines = [
      `${shortName(folder)} is approved no more; its name and version can't be used again`,
      ...moved.map((group) =>
        group.desired.hold
          ? `${group.name}: on hold, it never had another model: devices that run it go on until you promote one`
          : `${group.name}: back to ${shortName(modelOf(group))}, 100 %`,
      ),
    ]
    const facts = {
      revoked: shortName(folder),
      groups: moved.map((group) => ({ group: group.name, model: shortName(modelOf(group)), hold: group.desired.hold })),
    }
    const change = { targets: withoutModel(state.targets, folder), files, ...(next.length > 0 ? { deploy } : {}) }
    const warnings = moved.flatMap((group) =>
      group.desired.hold ? [] : refusals(state.targets, group, [folder, ...group.history]),
    )
    return finish(bench, change, { report: { lines, facts, warnings } })
  })
}
