import * as v from 'valibot'
import { expect, onTestFinished } from 'vitest'
import { configSchema } from '../../src/config/schema.ts'
import type { ModelFailure, ModelSource, ShadowSample } from '../../src/core/model-trial.ts'
import type { SceneEvent } from '../../src/core/scene.ts'
import type { VisionModel, VisionResult } from '../../src/core/vision-protocol.ts'
import { bundledModel } from '../../src/daemon.ts'
import { Pipeline } from '../../src/pipeline/pipeline.ts'
import type { Ending } from '../../src/pipeline/supervisor.ts'
import { tempFolder } from './temp-folder.ts'
import { trusted } from './vision.ts'

export type PipelineTestOptions = {
  readonly camera?: object
  readonly inference?: object
  readonly model?: () => Promise<ModelSource>
}

/** A pipeline with a real vision process on the moving pattern, at 10 frames per second unless `camera` says otherwise. */
export async function startPipeline({ camera = {}, inference = {}, model }: PipelineTestOptions = {}) {
  const config = v.parse(configSchema, {
    camera: { source: 'synthetic', width: 320, height: 240, ...camera },
    inference,
    motion: { gate: 'off' },
  })
  const lines: { level: string; text: string; [field: string]: unknown }[] = []
  const results: { readonly id: number; readonly version: string; readonly ageMs: number }[] = []
  const events: SceneEvent[] = []
  const models: VisionModel[] = []
  const shadows: ShadowSample[] = []
  const downs: Ending[] = []
  const candidateFailures: ModelFailure[] = []
  let changes = 0
  const log = (level: string) => (fields: object, text: string) => {
    lines.push({ ...fields, level, text })
  }
  const pipeline = new Pipeline({
    config,
    model: model ?? (async () => trusted(bundledModel)),
    entry: new URL('../../src/vision/main.ts', import.meta.url),
    workDir: await tempFolder(),
    onResult: ({ frame, counters }: VisionResult, { version }) => {
      expect(counters.captured).toBe(counters.inferred + counters.dropped + counters.skipped + counters.pending)
      results.push({ id: frame.id, version, ageMs: frame.ageMs })
    },
    onEvent: (event) => events.push(event),
    onView: () => {},
    onModel: (loaded) => models.push(loaded),
    onDown: (ending) => downs.push(ending),
    onShadow: (sample) => shadows.push(sample),
    onCandidateDown: (failure) => candidateFailures.push(failure),
    onChange: () => changes++,
    log: { info: log('info'), warn: log('warn') },
  })
  const stop = new AbortController()
  const ended = pipeline.run(stop.signal)
  const stopAndWait = async () => {
    stop.abort()
    await ended
  }
  onTestFinished(stopAndWait)
  /** Resolves when there are so many more results than now. */
  const moreResults = async (count: number) => {
    const before = results.length
    await expect.poll(() => results.length, { timeout: 20_000 }).toBeGreaterThanOrEqual(before + count)
  }
  return {
    pipeline,
    config,
    lines,
    results,
    events,
    models,
    shadows,
    downs,
    candidateFailures,
    changes: () => changes,
    moreResults,
    stopAndWait,
  }
}
