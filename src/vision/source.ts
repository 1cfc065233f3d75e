import type { Frame, FrameGeometry } from '../core/frame.ts'
import type { SourceOptions } from '../core/source-options.ts'
import type { BufferPool } from '../lib/buffer-pool.ts'
import { openFfmpeg } from './ffmpeg-source.ts'
import { openReplay } from './replay-source.ts'
import { openSynthetic } from './synthetic-source.ts'

/** Something that delivers pictures. */
export interface FrameSource {
  /** The layout of every frame it will yield. */
  readonly geometry: FrameGeometry
  /**
   * Whole frames as they come, in buffers from `pool`, which hold at least `frameBytes(geometry)` bytes; who receives a
   * frame owns its buffer. Ends when `signal` aborts, with everything it started; throws a CameraError when it can't go on.
   */
  frames(pool: BufferPool, signal: AbortSignal): AsyncIterable<Frame>
}

/** What a source has found out about its camera and need not find out at each try. */
export type SourceMemory = { mode?: string; geometry?: FrameGeometry }

/** Opens what the configuration names; throws a CameraError that says why it can't. */
export async function openSource(options: SourceOptions, memory: SourceMemory = {}): Promise<FrameSource> {
  switch (options.source) {
    case 'libcamera':
      // Loaded when it is wanted: only a Raspberry Pi camera needs node-libcamera.
      return (await import('./libcamera-source.ts')).openLibcamera(options, memory)
    case 'v4l2':
    case 'url':
    case 'file':
      return openFfmpeg(options)
    case 'replay':
      return openReplay(options)
    case 'synthetic':
      return openSynthetic(options)
  }
}
