import { describeError } from '../core/errors.ts'
import { type GoldenReport, runGoldenSamples } from './golden.ts'
import { readModelFolder } from './model-folder.ts'
import { ModelSession } from './session.ts'

/**
 * A throw-away process that loads one model, runs its golden samples, reports, and is gone: if the model or ONNX Runtime
 * brings the process down, only this one.
 */

export type TrialReport =
  | { readonly type: 'done'; readonly loadMs: number; readonly golden: readonly GoldenReport[] }
  | { readonly type: 'failed'; readonly message: string }

const [, , modelDir = '', threads = '1'] = process.argv
const startMs = performance.now()
const outcome = await tryModel().catch(
  (error: unknown): TrialReport => ({ type: 'failed', message: describeError(error) }),
)
process.send?.(outcome, undefined, undefined, () => process.disconnect())

async function tryModel(): Promise<TrialReport> {
  const folder = await readModelFolder(modelDir)
  await using session = await ModelSession.open(folder, { threads: Number(threads) })
  const loadMs = performance.now() - startMs
  return { type: 'done', loadMs, golden: await runGoldenSamples(folder, session) }
}
