import { existsSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { credentialsFor, isOfService, isStoreClosed } from '../config/credentials.ts'
import { defaultConfigPath, loadConfig } from '../config/load.ts'
import type { Config } from '../config/schema.ts'
import { describeError, SightdError } from '../core/errors.ts'
import { bundledModel } from '../daemon.ts'
import { packageVersions } from '../lib/package.ts'
import { readBoard } from '../system/board.ts'
import { diagnose } from '../system/diagnosis.ts'
import { readFacts } from '../system/facts.ts'
import { type Finding, gravest, ok, problem, warning } from '../system/finding.ts'
import { serviceStatePath, stateFolderPath } from '../system/state-folder.ts'
import { tryBroker } from './broker-trial.ts'
import { diagnoseModel, needOf } from './doctor-findings.ts'
import { printableLines } from './text.ts'
import { runTrial } from './trial.ts'

export type DoctorOptions = { readonly config?: string; readonly json?: boolean }

/** Exit codes of doctor, as docs/sightd.md lists them. */
const doctorExitCodes = { ok: 0, warning: 1, problem: 2 } as const

/** `sightd doctor`: looks at board, camera, model and broker, and says of each what is to be done. */
export async function doctor({ config: path, json = false }: DoctorOptions, signal: AbortSignal): Promise<number> {
  const { config, finding } = await findConfig(path)
  // Before the trial, which takes memory and warms the CPU.
  const statePath = isOfService(path ?? defaultConfigPath) ? serviceStatePath : stateFolderPath
  const folders = [statePath(config?.state_dir), tmpdir()]
  const [facts, board] = await Promise.all([readFacts({ folders }), readBoard()])
  const need =
    config === undefined
      ? null
      : needOf(config.camera.source, 'path' in config.camera && (await isFile(config.camera.path)))
  const [model, broker] = await Promise.all([
    checkModel(config, signal),
    checkBroker(config, path ?? defaultConfigPath),
  ])
  const findings = [finding, ...diagnose({ facts, board, arch: process.arch, nowMs: Date.now(), need }), model, broker]
  process.stdout.write(json ? `${JSON.stringify(findings)}\n` : describeFindings(findings))
  return doctorExitCodes[gravest(findings)]
}

async function findConfig(path: string | undefined): Promise<{ config: Config | undefined; finding: Finding }> {
  const check = 'config'
  if (path === undefined && !existsSync(defaultConfigPath))
    return {
      config: undefined,
      finding: warning(
        check,
        `none at ${defaultConfigPath}, so camera and broker are unknown and the bundled model was tried`,
        'Make it: sudo sightd setup; or name another: sightd doctor --config FILE',
      ),
    }
  const file = path ?? defaultConfigPath
  try {
    return { config: await loadConfig(file), finding: ok(check, file) }
  } catch (error) {
    if (!(error instanceof SightdError)) throw error
    return { config: undefined, finding: problem(check, describeError(error), `Mend it: sightd config check ${file}`) }
  }
}

async function isFile(path: string | undefined): Promise<boolean> {
  return stat(path ?? '').then(
    (target) => target.isFile(),
    () => false,
  )
}

async function checkModel(config: Config | undefined, signal: AbortSignal): Promise<Finding> {
  const dir = config?.model.path ?? bundledModel
  return diagnoseModel(dir, packageVersions().ort, await runTrial(dir, signal))
}

async function checkBroker(config: Config | undefined, path: string): Promise<Finding> {
  if (config === undefined)
    return warning('broker', 'unknown without a configuration', 'Name a configuration whose mqtt.url is right.')
  return tryBroker(config.mqtt, credentialsFor(path), await isStoreClosed(path))
}

/** A line for each finding and one for its advice; for a person at a terminal. */
function describeFindings(findings: readonly Finding[]): string {
  const width = Math.max(...findings.map(({ check }) => check.length))
  const indent = ' '.repeat('warning'.length + width + 4)
  const lines = findings.flatMap(({ check, status, found, advice }) => [
    `${status.padEnd('warning'.length)}  ${check.padEnd(width)}  ${printableLines(found).replaceAll('\n', `\n${indent}`)}`,
    ...(advice === null ? [] : [`${indent}→ ${printableLines(advice)}`]),
  ])
  const count = (status: Finding['status']) => findings.filter((finding) => finding.status === status).length
  return `${lines.join('\n')}\nproblems ${count('problem')}, warnings ${count('warning')}, ok ${count('ok')}\n`
}
