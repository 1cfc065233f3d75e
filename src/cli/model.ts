import { existsSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describeError, exitCodes, SightdError } from '../core/errors.ts'
import { inputSize, type ModelManifest } from '../core/model-manifest.ts'
import { packageRoot } from '../lib/package.ts'
import { readManifest, readModelFolder } from '../vision/model-folder.ts'
import type { ScanReport } from '../vision/onnx-scan.ts'
import { runTrial } from './trial.ts'

type Json = { readonly json?: boolean }

/** `sightd model list`: every `<name>/<version>/` folder with a manifest; a broken one is listed as such. */
export async function listModels(dir = join(packageRoot, 'models'), { json = false }: Json): Promise<number> {
  const names = await subfolders(dir).catch((error: unknown) => {
    throw new SightdError('model_invalid', `${dir}: can't be read`, { cause: error })
  })
  const versions = await Promise.all(names.map((name) => subfolders(join(dir, name))))
  const folders = names.flatMap((name, i) => (versions[i] ?? []).map((version) => join(dir, name, version)))
  const models = await Promise.all(
    folders
      .filter((folder) => existsSync(join(folder, 'manifest.json')))
      .map(async (folder) => {
        try {
          const { name, version, task, description } = await readManifest(folder)
          return { folder, name, version, task, description, problem: null }
        } catch (error) {
          return { folder, name: null, version: null, task: null, description: null, problem: describeError(error) }
        }
      }),
  )
  if (json) print(JSON.stringify(models))
  else if (models.length === 0) print(`no models in ${dir}`)
  else
    for (const { folder, name, version, description, problem } of models)
      print(problem === null ? `${name} ${version}  ${description}\n  ${folder}` : `${folder}\n  broken: ${problem}`)
  return exitCodes.ok
}

async function subfolders(dir: string): Promise<string[]> {
  const entries = await readdir(dir, { withFileTypes: true })
  return entries
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
    .sort()
}

/** `sightd model inspect`: what the manifest says and the scan found, once the files have been held against it. */
export async function inspectModel(dir: string, { json = false }: Json): Promise<number> {
  const { manifest, scan } = await readModelFolder(dir)
  print(json ? JSON.stringify({ ...manifest, scan }) : describeModel(manifest, scan))
  return exitCodes.ok
}

function describeModel(manifest: ModelManifest, scan: ScanReport): string {
  const { name, version, task, description, licence, source, input, outputs, labels, threshold, golden, files } =
    manifest
  const { width, height } = inputSize(input)
  return [
    `${name} ${version}: ${description}`,
    `task       ${task}, ${labels.filter((label) => label !== '').length} labels, threshold ${threshold}`,
    `input      ${input.name}: ${width}x${height} ${input.colour}, ${input.type} ${input.layout}, ${input.resize}`,
    ...outputs.map((output) => `output     ${output.name}: ${output.type} [${output.shape.join(', ')}]`),
    `network    ${describeScan(scan)}`,
    `golden     ${golden.length} samples`,
    `licence    ${licence}`,
    `source     ${source}`,
    ...Object.entries(files).map(([path, { bytes, sha256 }]) => `file       ${path}, ${bytes} bytes, sha256 ${sha256}`),
  ].join('\n')
}

function describeScan({ nodes, operators, parameters, opsets }: ScanReport): string {
  const counts = Object.entries(operators).map(([operator, count]) => `${count} ${operator}`)
  const versions = Object.entries(opsets).map(([domain, version]) => `${domain} ${version}`)
  return `${nodes} nodes (${counts.join(', ')}), ${parameters} parameters, opset ${versions.join(', ')}`
}

/** `sightd model verify`: exit code 0 only when every golden sample came out as expected. */
export async function verifyModel(dir: string, { json = false }: Json): Promise<number> {
  const { manifest } = await readModelFolder(dir)
  if (manifest.golden.length === 0)
    throw new SightdError('golden_mismatch', `${dir}: the manifest has no golden samples, so nothing can be verified`)
  const report = await runTrial(dir)
  if (report.type === 'failed') throw new SightdError('model_invalid', report.message)
  const isGood = report.golden.every(({ problems }) => problems.length === 0)
  if (json)
    print(
      JSON.stringify({
        ok: isGood,
        model: { name: manifest.name, version: manifest.version },
        load_ms: report.loadMs,
        golden: report.golden,
      }),
    )
  else {
    print(`${manifest.name} ${manifest.version} loaded in ${report.loadMs.toFixed(0)} ms`)
    for (const { input, ms, worstScoreError, problems } of report.golden) {
      print(
        problems.length === 0
          ? `ok      ${input}: ${ms.toFixed(1)} ms, scores within ${worstScoreError.toFixed(3)} of the expected`
          : `FAILED  ${input}: ${problems.join('; ')}`,
      )
    }
  }
  return isGood ? exitCodes.ok : exitCodes.failure
}

function print(text: string): void {
  process.stdout.write(`${text}\n`)
}
