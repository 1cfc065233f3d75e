import { mkdir } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { basename, extname, join } from 'node:path'
import { describeError, exitCodes, SightdError } from '../core/errors.ts'
import { type Finding, foundObjects } from '../core/prediction.ts'
import { boxInFrame } from '../core/resize.ts'
import { bundledModel } from '../daemon.ts'
import { createDecoder, mapBoxes } from '../vision/decode.ts'
import { readModelFolder } from '../vision/model-folder.ts'
import { pictureGeometry, type RgbPicture, readPicture, toI420, writeJpeg } from '../vision/picture.ts'
import { createPreprocessor } from '../vision/preprocess.ts'
import { ModelSession } from '../vision/session.ts'
import { annotate } from './annotate.ts'

export type InferOptions = {
  readonly model?: string
  readonly threshold?: number
  readonly json?: boolean
  readonly annotate?: string
}

/** Larger pictures are shrunk to fit, as a camera's image processor would; networks look at less than that anyway. */
const maxSide = 1280

/** `sightd infer`: the way of a frame through the daemon, once for each picture. A picture that can't be read fails alone. */
export async function infer(
  images: readonly string[],
  { model = bundledModel, threshold, json = false, annotate: folder }: InferOptions,
): Promise<number> {
  const modelFolder = await readModelFolder(model)
  const { manifest } = modelFolder
  await using session = await ModelSession.open(modelFolder, { threads: availableParallelism() })
  const decode = createDecoder(manifest)
  if (folder !== undefined) await mkdir(folder, { recursive: true })
  let exitCode: number = exitCodes.ok

  for (const image of images) {
    try {
      const picture = await readPicture(image, maxSide)
      const geometry = pictureGeometry(picture)
      const preprocessor = createPreprocessor(geometry, manifest.input)
      preprocessor.write(toI420(picture, geometry), session.input)
      const startMs = performance.now()
      const outputs = await session.run()
      const inferenceMs = performance.now() - startMs
      const finding = mapBoxes(decode(outputs, threshold ?? manifest.threshold), (box) =>
        boxInFrame(box, preprocessor.window, geometry),
      )
      process.stdout.write(
        json
          ? `${JSON.stringify({ image, model: { name: manifest.name, version: manifest.version }, inference_ms: Number(inferenceMs.toFixed(1)), ...jsonFinding(finding) })}\n`
          : `${image}: ${describe(finding)}\n`,
      )
      if (folder !== undefined)
        await writeAnnotated(join(folder, `${basename(image, extname(image))}.jpg`), picture, finding)
    } catch (error) {
      if (!(error instanceof SightdError && error.code === 'image_invalid')) throw error
      process.stderr.write(`sightd: ${describeError(error)}\n`)
      exitCode = exitCodes.failure
    }
  }
  return exitCode
}

async function writeAnnotated(path: string, picture: RgbPicture, finding: Finding): Promise<void> {
  await writeJpeg(path, annotate(picture, finding))
  process.stderr.write(`wrote ${path}\n`)
}

function describe(finding: Finding): string {
  const found = foundObjects(finding).map(({ label, score }) => `${label} ${score.toFixed(3)}`)
  return found.length === 0 ? 'nothing' : found.join(', ')
}

/** The field names of the `result` topic. */
function jsonFinding(finding: Finding): object {
  const rounded = (value: number) => Number(value.toFixed(4))
  if (finding.task === 'classification') {
    return {
      task: finding.task,
      predictions: finding.predictions.map(({ label, classId, score }) => ({
        label,
        class_id: classId,
        score: rounded(score),
      })),
    }
  }
  return {
    task: finding.task,
    detections: finding.detections.map(({ label, classId, score, box }) => ({
      label,
      class_id: classId,
      score: rounded(score),
      box: { xmin: rounded(box.xmin), ymin: rounded(box.ymin), xmax: rounded(box.xmax), ymax: rounded(box.ymax) },
    })),
  }
}
