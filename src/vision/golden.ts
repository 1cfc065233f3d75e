import type { GoldenSample, ModelManifest } from '../core/model-manifest.ts'
import { type Box, type Finding, foundObjects, type Prediction } from '../core/prediction.ts'
import type { GoldenReport } from '../core/trial-protocol.ts'
import { createDecoder } from './decode.ts'
import { checkFinite } from './finite.ts'
import { type ModelFolder, readGoldenInput } from './model-folder.ts'
import type { ModelSession } from './session.ts'

/**
 * Runs every golden sample of a model: the proof that this copy works on this CPU. Throws a SightdError `model_invalid` when
 * a sample can't be read or the network fails, `bad_output` when NaN or infinity comes out.
 */
export async function runGoldenSamples(folder: ModelFolder, session: ModelSession): Promise<GoldenReport[]> {
  const { dir, manifest } = folder
  const decode = createDecoder(manifest)
  const reports: GoldenReport[] = []
  for (const sample of manifest.golden) {
    const raw = await readGoldenInput(dir, manifest, sample, session.input.byteLength)
    new Uint8Array(session.input.buffer, session.input.byteOffset, session.input.byteLength).set(raw)
    const start = performance.now()
    const outputs = await session.run()
    const ms = performance.now() - start
    checkFinite(outputs)
    const finding = decode(outputs, Math.max(0, lowestThreshold(manifest)))
    reports.push({ input: sample.input, ms, ...compareToGolden(sample, finding, manifest) })
  }
  return reports
}

/** Expected finds may come out lower by the tolerance, so findings are decoded down to there. */
function lowestThreshold({ threshold, tolerance }: ModelManifest): number {
  return threshold - tolerance.score
}

/** Every expectation met within the tolerance, and nothing found beyond them that clears the threshold by the tolerance. */
export function compareToGolden(
  sample: GoldenSample,
  finding: Finding,
  manifest: ModelManifest,
): { problems: string[]; worstScoreError: number } {
  const { threshold, tolerance } = manifest
  const unclaimed = new Set(foundObjects(finding))
  const problems: string[] = []
  let worstScoreError = 0
  for (const expected of sample.expect) {
    const match = [...unclaimed]
      .filter(
        (found) =>
          found.label === expected.label &&
          (expected.box === undefined || cornerDistance(found, expected.box) <= tolerance.box),
      )
      .sort((a, b) => Math.abs(a.score - expected.score) - Math.abs(b.score - expected.score))[0]
    if (match === undefined) {
      problems.push(
        `expected ${expected.label} ${expected.score.toFixed(3)}, found ${[...unclaimed].map(describe).join(', ') || 'nothing'}`,
      )
      continue
    }
    unclaimed.delete(match)
    const error = Math.abs(match.score - expected.score)
    if (error > tolerance.score)
      problems.push(
        `expected ${expected.label} ${expected.score.toFixed(3)} ± ${tolerance.score}, found ${match.score.toFixed(3)}`,
      )
    worstScoreError = Math.max(worstScoreError, error)
  }
  if (finding.task === 'detection') {
    for (const extra of unclaimed)
      if (extra.score > threshold + tolerance.score) problems.push(`found ${describe(extra)}, which was not expected`)
  }
  return { problems, worstScoreError }
}

/** The largest distance between the same corners; a find without a box is at any distance. */
function cornerDistance(found: Prediction & { box?: Box }, box: Box): number {
  if (found.box === undefined) return Number.POSITIVE_INFINITY
  const { xmin, ymin, xmax, ymax } = found.box
  return Math.max(
    Math.abs(xmin - box.xmin),
    Math.abs(ymin - box.ymin),
    Math.abs(xmax - box.xmax),
    Math.abs(ymax - box.ymax),
  )
}

function describe({ label, score }: Prediction): string {
  return `${label} ${score.toFixed(3)}`
}
