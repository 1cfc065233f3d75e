import { frameBytes } from '../../src/core/frame.ts'
import { foundObjects } from '../../src/core/prediction.ts'
import { BufferPool } from '../../src/lib/buffer-pool.ts'
import { createDecoder } from '../../src/vision/decode.ts'
import { readModelFolder } from '../../src/vision/model-folder.ts'
import { createPreprocessor } from '../../src/vision/preprocess.ts'
import { ModelSession } from '../../src/vision/session.ts'
import type { FrameSource } from '../../src/vision/source.ts'
import { openSynthetic } from '../../src/vision/synthetic-source.ts'

export type Answer = { readonly label: string | undefined; readonly ms: number }

/** The rate is none that a model could keep up with: what counts is how frames follow one another, not when. */
const pattern = () => openSynthetic({ width: 320, height: 240, fps: 1000 })

/** What a model says of a source's first frames, one by one. */
export async function liveAnswers(
  modelFolder: string,
  frames: number,
  source: FrameSource = pattern(),
): Promise<Answer[]> {
  const model = await readModelFolder(modelFolder)
  await using session = await ModelSession.open(model, { threads: 1 })
  const { geometry } = source
  const preprocessor = createPreprocessor(geometry, model.manifest.input)
  const decode = createDecoder(model.manifest)
  const pool = new BufferPool(1, frameBytes(geometry))
  const stop = new AbortController()
  const answers: Answer[] = []
  for await (const { data } of source.frames(pool, stop.signal)) {
    preprocessor.write(data, session.input)
    pool.give(data)
    const startMs = performance.now()
    const outputs = await session.run()
    const ms = performance.now() - startMs
    answers.push({ label: foundObjects(decode(outputs, model.manifest.threshold))[0]?.label, ms })
    if (answers.length === frames) break
  }
  stop.abort()
  return answers
}
