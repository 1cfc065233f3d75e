import { fileURLToPath } from 'node:url'
import { expect, onTestFinished } from 'vitest'
import type { CameraState } from '../../src/core/camera-state.ts'
import type { ModelFailure, ModelSource } from '../../src/core/model-trial.ts'
import type { Tuning, VisionReport, VisionStart } from '../../src/core/vision-protocol.ts'
import { bundledModel } from '../../src/daemon.ts'
import { type Ending, VisionSupervisor } from '../../src/pipeline/supervisor.ts'
import { tempFolder } from './temp-folder.ts'

export const demoPhotos = fileURLToPath(new URL('../../deploy/demo', import.meta.url))

/** A model folder that is trusted as it is. */
export const trusted = (dir: string): ModelSource => ({ dir, manifestSha256: null })

/** Every frame goes to the model, as soon as it has time. */
export const everyFrame: Tuning = {
  lowestScore: null,
  maxFps: null,
  isPaused: false,
  motion: null,
  keepsPictures: false,
}

/** A supervisor with a real vision process, and every event it gives, in order. */
export async function supervise(
  changes: Partial<Omit<VisionStart, 'model'>> = {},
  {
    minHangMs = 10_000,
    maxMemoryMb = 512,
    workDir: given,
    model = async () => trusted(bundledModel),
  }: { minHangMs?: number; maxMemoryMb?: number; workDir?: string; model?: () => Promise<ModelSource> } = {},
) {
  const events: (VisionReport | { type: 'down'; down: Ending } | { type: 'candidate down'; failure: ModelFailure })[] =
    []
  const waiting = new Set<() => void>()
  const note = (event: (typeof events)[number]) => {
    events.push(event)
    for (const wake of [...waiting]) wake()
  }
  const workDir = given ?? (await tempFolder())
  const supervisor = new VisionSupervisor({
    entry: new URL('../../src/vision/main.ts', import.meta.url),
    workDir,
    maxMemoryMb,
    minHangMs,
    model,
    start: {
      type: 'start',
      threads: 1,
      tuning: everyFrame,
      source: { source: 'replay', path: demoPhotos, width: 320, height: 240, fps: 30 },
      ...changes,
    },
    onReport: note,
    onDown: (down) => note({ type: 'down', down }),
    onCandidateDown: (failure) => note({ type: 'candidate down', failure }),
  })
  const stop = new AbortController()
  const ended = supervisor.run(stop.signal)
  onTestFinished(async () => {
    stop.abort()
    await ended
  })
  /** The first event of that type from `from` on. */
  const next = async <T extends (typeof events)[number]['type']>(type: T, from = 0) => {
    for (;;) {
      const found = events
        .slice(from)
        .find((event): event is Extract<(typeof events)[number], { type: T }> => event.type === type)
      if (found !== undefined) return found
      await new Promise<void>((resolve) => {
        const wake = () => {
          waiting.delete(wake)
          resolve()
        }
        waiting.add(wake)
      })
    }
  }
  /** The first event of that type from `from` on that fits. */
  const until = async <T extends (typeof events)[number]['type']>(
    type: T,
    fits: (event: Extract<(typeof events)[number], { type: T }>) => boolean,
    from = 0,
  ) => {
    for (let at = from; ; ) {
      const event = await next(type, at)
      if (fits(event)) return event
      at = events.indexOf(event) + 1
    }
  }
  /** The first camera report with that state from `from` on. */
  const camera = (state: CameraState, from = 0) => until('camera', (report) => report.state === state, from)
  const stopAndWait = async () => {
    stop.abort()
    await ended
  }
  return { supervisor, events, next, until, camera, stopAndWait, workDir }
}

export function expectExact({ counters }: VisionSupervisor): void {
  expect(counters.captured).toBe(counters.inferred + counters.dropped + counters.skipped + counters.pending)
}
