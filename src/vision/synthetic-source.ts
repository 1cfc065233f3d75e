import { setTimeout as delay } from 'node:timers/promises'
import { type Frame, type FrameGeometry, paddedGeometry, planeOffsets } from '../core/frame.ts'
import type { FrameRate } from '../core/source-options.ts'
import type { BufferPool } from '../lib/buffer-pool.ts'
import type { FrameSource } from './source.ts'

/** A moving pattern at any rate, for trying a pipeline without any camera: diagonal bars that wander to the right. */
export function openSynthetic({ width, height, fps }: FrameRate): FrameSource {
  const geometry = paddedGeometry(width, height)
  return { geometry, frames: (pool, signal) => drawBars(geometry, fps, pool, signal) }
}

async function* drawBars(
  geometry: FrameGeometry,
  fps: number,
  pool: BufferPool,
  signal: AbortSignal,
): AsyncGenerator<Frame> {
  const startMs = performance.now()
  for (let frame = 0; !signal.aborted; frame++) {
    const waitMs = startMs + (frame * 1000) / fps - performance.now()
    if (waitMs > 0) await delay(waitMs, undefined, { signal }).catch(() => {})
    if (signal.aborted) return
    const data = pool.take()
    draw(data, geometry, frame)
    yield { capturedAtMs: Date.now(), geometry, data, isStale: false }
  }
}

/** Rows are shifted copies of one ramp, so that a frame costs a copy per row. */
function draw(data: Uint8Array, geometry: FrameGeometry, frame: number): void {
  const { width, height, stride } = geometry
  const ramp = Uint8Array.from({ length: width + 256 }, (_, x) => x % 256)
  const planes = planeOffsets(geometry)
  for (let row = 0; row < height; row++) {
    const shift = 255 - ((frame * 4 + row) % 256)
    data.set(ramp.subarray(shift, shift + width), planes.y + row * stride)
  }
  data.fill(128, planes.u, planes.v + (stride * height) / 4)
}
