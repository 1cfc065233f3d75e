import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describeError } from '../core/errors.ts'
import type { GoldenReport } from '../core/trial-protocol.ts'
import { tryModel } from '../pipeline/self-test.ts'

export type TrialReport =
  | { readonly type: 'done'; readonly loadMs: number; readonly golden: readonly GoldenReport[] }
  | { readonly type: 'failed'; readonly message: string }

/** How long loading a model and running its golden samples may take. */
const limitMs = 120_000

/** What a device allows is its configuration's; this only keeps a hostile model from filling the operator's machine. */
const maxMemoryMb = 4096

/** Loads a model and runs its golden samples in a process of their own, so that a crash in native code becomes a sentence. */
export async function runTrial(dir: string, signal = new AbortController().signal): Promise<TrialReport> {
  const workDir = await mkdtemp(join(tmpdir(), 'sightd-trial-'))
  try {
    return await tryModel({ dir, manifestSha256: null }, { workDir, maxMemoryMb, limitMs, threads: 1 }, signal)
  } catch (error) {
    return { type: 'failed', message: signal.aborted ? `${dir}: called off` : describeError(error) }
  } finally {
    await rm(workDir, { recursive: true, force: true })
  }
}
