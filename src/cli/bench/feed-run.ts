import type { SpareReport } from '../../core/vision-protocol.ts'
import { BufferPool } from '../../lib/buffer-pool.ts'
import type { InferenceOptions, LoadedModel } from '../../vision/inference.ts'
import { type FeedResult, InferenceFeed } from '../../vision/inference-feed.ts'
import type { Pictures } from './frames.ts'

export type FeedRun = AsyncDisposable &
  LoadedModel & {
    readonly feed: InferenceFeed
    /** Resolves to the result of the next picture; rejects with a SightdError when the model fails. One at a time. */
    show(): Promise<FeedResult>
  }

/** Every frame, at once, from the model's own threshold on. */
const untuned = { lowestScore: null, maxFps: null, isPaused: false, motion: null }

/**
 * The product's own way from frame to finding, one picture at a time: `timingMs.total` of a result is what that took, from
 * the whole frame on. Throws a SightdError when the model can't be loaded.
 */
export async function startFeedRun(
  pictures: Pictures,
  options: InferenceOptions,
  onSpare: (report: SpareReport) => void = () => {},
): Promise<FeedRun> {
  const pool = new BufferPool(2, Math.max(...pictures.map(({ data }) => data.length)))
  let landed = Promise.withResolvers<FeedResult>()
  const feed = new InferenceFeed({
    options,
    pool,
    tuning: untuned,
    onResult: (result) => landed.resolve(result),
    onSpare,
  })
  feed.ended.catch((error: unknown) => landed.reject(error))
  // Until a picture is shown there is nobody who could hear of it.
  landed.promise.catch(() => {})
  let shown = 0
  const loaded = await feed.ready
  return {
    ...loaded,
    feed,
    show() {
      const picture = pictures[shown++ % pictures.length]
      if (picture === undefined) throw new Error('there are no pictures')
      const data = pool.take()
      data.set(picture.data)
      landed = Promise.withResolvers()
      feed.offer({ capturedAtMs: Date.now(), geometry: picture.geometry, data, isStale: false })
      return landed.promise
    },
    [Symbol.asyncDispose]: () => feed.close(),
  }
}
