import type { Readable } from 'node:stream'
import type { Frame, FrameGeometry } from '../core/frame.ts'
import { frameBytes } from '../core/frame.ts'
import type { BufferPool } from '../lib/buffer-pool.ts'

/**
 * Cuts a stream of raw pictures into frames, each byte copied once. What is left at the end of the stream is part of a
 * frame and never joined to anything.
 */
export async function* splitFrames(stream: Readable, geometry: FrameGeometry, pool: BufferPool): AsyncGenerator<Frame> {
  const bytes = frameBytes(geometry)
  let filling: Uint8Array<ArrayBuffer> | undefined
  let filled = 0
  try {
    for await (const chunk of stream as AsyncIterable<Uint8Array>) {
      for (let at = 0; at < chunk.length; ) {
        filling ??= pool.take()
        const part = chunk.subarray(at, at + bytes - filled)
        filling.set(part, filled)
        filled += part.length
        at += part.length
        if (filled < bytes) continue
        const data = filling
        filling = undefined
        filled = 0
        yield { capturedAtMs: Date.now(), geometry, data }
      }
    }
  } finally {
    if (filling !== undefined) pool.give(filling)
  }
}
