import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Config } from './config/schema.ts'
import { describeError, SightdError } from './core/errors.ts'
import type { UpdateOutcome } from './core/update-status.ts'
import { errorCode } from './lib/disk-error.ts'
import { packageRoot } from './lib/package.ts'
import type { ModelStage } from './ota/model-stage.ts'
import { OtaError } from './ota/ota-error.ts'
import { readUpdateSettings } from './ota/update-settings.ts'
import { Updater } from './ota/updater.ts'
import type { Pipeline } from './pipeline/pipeline.ts'
import { runSelfTest } from './pipeline/self-test.ts'
import { readBootId } from './system/board.ts'

type Log = { info(fields: object, text: string): void; warn(fields: object, text: string): void }

/**
 * The part of the composition root that deals with models over the air. Undefined where nothing can be
 * kept. Throws a SightdError `config_invalid` for a file that is not what it should be.
 */
export async function openUpdater(options: {
  readonly config: Config
  readonly stateFolder: string
  readonly factoryDir: string
  readonly deviceId: string
  readonly workDir: string
  readonly pipeline: () => Pipeline
  readonly isConnected: () => boolean
  readonly onChange: () => void
  readonly onOutcome: (outcome: UpdateOutcome) => void
  readonly log: Log
}): Promise<Updater | undefined> {
  const { config, stateFolder, log, pipeline, workDir } = options
  const settings = await readUpdateSettings(config.ota).catch((error: unknown) => {
    if (!(error instanceof SightdError) || errorCode(error.cause) === undefined) throw error
    // On a stick that is not there (yet), for example. What is here already works without it.
    log.warn({ problem: describeError(error) }, 'no updates of the model until the next start')
    return readUpdateSettings({ ...config.ota, sources: [], root_file: undefined, ca_file: undefined })
  })
  const folder = join(stateFolder, 'ota')
  // Files of a package carry the time at which it was built.
  const { mtimeMs: floorMs } = await stat(join(packageRoot, 'package.json'))
  try {
    const stage = modelStage(pipeline, config, workDir)
    return await Updater.open({ ...options, folder, settings, stage, floorMs, bootId: await readBootId() })
  } catch (error) {
    if (!(error instanceof OtaError)) throw error
    log.warn({ problem: describeError(error) }, 'no updates of the model: nothing can be kept')
    return undefined
  }
}

/** The vision side as the updater needs it. */
function modelStage(pipeline: () => Pipeline, config: Config, workDir: string): ModelStage {
  const { max_memory_mb: maxMemoryMb } = config.inference
  const limitMs = config.ota.self_test_s * 1000
  return {
    get isServing() {
      return pipeline().isServing
    },
    selfTest: (model, signal) =>
      runSelfTest(model, { workDir, maxMemoryMb, limitMs, threads: pipeline().threads }, signal),
    loadCandidate: (model) => pipeline().loadCandidate(model),
    swap: () => pipeline().swap(),
    releaseSpare: () => pipeline().releaseSpare(),
    restartVision: (reason) => pipeline().restartVision(reason),
  }
}
