import type { Frame, FrameGeometry } from '../core/frame.ts'
import type { SourceOptions } from '../core/source-options.ts'
import type { BufferPool } from '../lib/buffer-pool.ts'
import { openReplay } from './replay-source.ts'

/** Something that delivers pictures. */
export interface FrameSource {
  /** The layout of every frame it will yield. */
  readonly geometry: FrameGeometry
  /**
   * Whole frames as they come, in buffers from `pool`, which hold at least `frameBytes(geometry)` bytes; who receives a frame owns its
   * buffer. Ends when `signal` aborts; throws a SightdError `source_failed` when the source can't go on.
   */
  frames(pool: BufferPool, signal: AbortSignal): AsyncIterable<Frame>
}

/** Opens what the configuration names; throws a SightdError `source_failed` that says why it can't. */
export async function openSource(options: SourceOptions): Promise<FrameSource> {
  switch (options.source) {
    case 'replay':
      return openReplay(options)
  }
}
