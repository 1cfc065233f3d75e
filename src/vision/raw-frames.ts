import { CameraError } from '../core/camera-state.ts'
import type { Frame, FrameGeometry } from '../core/frame.ts'
import { frameBytes } from '../core/frame.ts'
import type { BufferPool } from '../lib/buffer-pool.ts'

/** Bytes are missing, or frames have another length than they should. */
export class MisalignedError extends CameraError {
  constructor(bytes: number) {
    super('failed', `camera: frames are not ${bytes} bytes long, or bytes are missing; starting it anew`)
  }
}

/**
 * A source writes a frame at once and then waits. Each pause inside a frame adds 2 to the suspicion that we cut in the wrong
 * places, each pause between frames takes 1 off: above this the cuts are wrong. A busy machine pauses anywhere, but not often.
 */
const misalignedFrom = 12

export type RawFormat = {
  readonly geometry: FrameGeometry
  /** Time between frames. */
  readonly frameMs: number
  /** Frames that are handed out as stale after a read gap; see `staleGap`. */
  readonly staleAfterGap?: number
}

/** A read gap of more than this many frame times makes rpicam-vid overwrite what it has not written yet. */
const staleGap = 5

/**
 * Cuts a stream of raw pictures into frames, each byte copied once: a chunk may be written over when the next one is asked
 * for. What is left at the end of the stream is part of a frame and never joined to anything. Throws a MisalignedError when
 * bytes are missing or frames have another size.
 */
export async function* splitFrames(
  chunks: AsyncIterable<Uint8Array>,
  { geometry, frameMs, staleAfterGap = 0 }: RawFormat,
  pool: BufferPool,
): AsyncGenerator<Frame> {
  const bytes = frameBytes(geometry)
  let filling: Uint8Array<ArrayBuffer> | undefined
  let filled = 0
  let lastReadMs = performance.now()
  let suspicion = 0
  let stale = 0
  let frames = 0
  try {
    for await (const chunk of chunks) {
      const now = performance.now()
      const gapMs = now - lastReadMs
      lastReadMs = now
      if (gapMs > frameMs * 0.4) suspicion = filled > 0 ? suspicion + 2 : Math.max(0, suspicion - 1)
      if (suspicion > misalignedFrom) throw new MisalignedError(bytes)
      // rpicam-vid gives a buffer back to the camera before it has written it: while nobody reads, the one being written
      // is torn and those behind it grow old (rpicam-apps core/rpicam_app.cpp, since 2022-12).
      if (frames > 0 && gapMs > staleGap * frameMs) stale = staleAfterGap
      for (let at = 0; at < chunk.length; ) {
        filling ??= pool.take()
        const part = chunk.subarray(at, at + bytes - filled)
        filling.set(part, filled)
        filled += part.length
        at += part.length
        if (filled < bytes) continue
        const data = filling
        const isStale = stale > 0
        filling = undefined
        filled = 0
        frames++
        if (isStale) stale--
        yield { capturedAtMs: Date.now(), geometry, data, isStale }
      }
    }
  } finally {
    if (filling !== undefined) pool.give(filling)
  }
}
