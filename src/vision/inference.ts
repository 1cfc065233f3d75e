import { parentPort, workerData } from 'node:worker_threads'
import type { FrameGeometry } from '../core/frame.ts'
import type { ModelSource } from '../core/model-trial.ts'
import type { Finding } from '../core/prediction.ts'
import { boxInFrame } from '../core/resize.ts'
import type { FailureCode, StageTimings, VisionModel } from '../core/vision-protocol.ts'
import { createDecoder, mapBoxes } from './decode.ts'
import { failureOf } from './failure.ts'
import { readModelFolder } from './model-folder.ts'
import { createPreprocessor, type Preprocessor } from './preprocess.ts'
import { ModelSession } from './session.ts'

/** The inference thread: loads one model, then answers each frame with what it saw and the frame's buffer. */

export type InferenceOptions = {
  readonly model: ModelSource
  readonly threads: number
}

export type LoadedModel = { readonly model: VisionModel; readonly loadMs: number }

export type Inference = {
  readonly finding: Finding
  readonly timingMs: Omit<StageTimings, 'total'>
  /** The frame's buffer. */
  readonly data: Uint8Array<ArrayBuffer>
}

export type InferenceRequest =
  | {
      readonly type: 'frame'
      readonly geometry: FrameGeometry
      readonly data: Uint8Array<ArrayBuffer>
      /** Null: the model's own threshold. */
      readonly lowestScore: number | null
    }
  | { readonly type: 'close' }

export type InferenceReply =
  | ({ readonly type: 'ready' } & LoadedModel)
  | ({ readonly type: 'result' } & Inference)
  | { readonly type: 'failed'; readonly code: FailureCode; readonly message: string }

const port = parentPort
if (port === null) throw new Error('the inference thread is not started by itself')

try {
  await serve(port, workerData)
} catch (error) {
  port.postMessage({ type: 'failed', ...failureOf(error) } satisfies InferenceReply)
  port.close()
}

async function serve(
  port: NonNullable<typeof parentPort>,
  { model: source, threads }: InferenceOptions,
): Promise<void> {
  const startMs = performance.now()
  const folder = await readModelFolder(source.dir, source.manifestSha256)
  const { manifest } = folder
  const { name, version, task, threshold } = manifest
  await using session = await ModelSession.open(folder, { threads })
  const decode = createDecoder(manifest)
  let preprocessor: { readonly for: FrameGeometry; readonly use: Preprocessor } | undefined

  const infer = async ({
    geometry,
    data,
    lowestScore,
  }: Extract<InferenceRequest, { type: 'frame' }>): Promise<InferenceReply> => {
    if (preprocessor === undefined || !sameGeometry(preprocessor.for, geometry)) {
      preprocessor = { for: geometry, use: createPreprocessor(geometry, manifest.input) }
    }
    const { window } = preprocessor.use
    const begin = performance.now()
    preprocessor.use.write(data, session.input)
    const preprocessed = performance.now()
    const outputs = await session.run()
    const inferred = performance.now()
    const finding = mapBoxes(decode(outputs, lowestScore ?? threshold), (box) => boxInFrame(box, window, geometry))
    const timingMs = {
      preprocess: preprocessed - begin,
      inference: inferred - preprocessed,
      decode: performance.now() - inferred,
    }
    return { type: 'result', finding, timingMs, data }
  }

  const closed = Promise.withResolvers<void>()
  let running: Promise<void> = Promise.resolve()
  port.on('message', (request: InferenceRequest) => {
    // The session must outlive the run that is under way.
    if (request.type === 'close') running.then(closed.resolve, closed.reject)
    else running = infer(request).then((reply) => port.postMessage(reply, [request.data.buffer]), closed.reject)
  })
  const model = { name, version, task, threshold, sha256: folder.sha256 }
  port.postMessage({ type: 'ready', model, loadMs: performance.now() - startMs } satisfies InferenceReply)
  await closed.promise
  port.close()
}

function sameGeometry(a: FrameGeometry, b: FrameGeometry): boolean {
  return a.width === b.width && a.height === b.height && a.stride === b.stride
}
