import { readdir, stat } from 'node:fs/promises'
import { extname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { CameraError } from '../core/camera-state.ts'
import { describeError } from '../core/errors.ts'
import { type Frame, type FrameGeometry, paddedGeometry } from '../core/frame.ts'
import type { FrameRate } from '../core/source-options.ts'
import type { BufferPool } from '../lib/buffer-pool.ts'
import { openFfmpeg } from './ffmpeg-source.ts'
import { type Still, zoomInto } from './pan-zoom.ts'
import { pictureEndings, pictureGeometry, readPicture, toI420 } from './picture.ts'
import type { FrameSource } from './source.ts'

/** How long a still is shown, in seconds. */
const holdS = 2

/** Plays a folder of pictures, or a video through ffmpeg, over and over, as a camera would deliver it. */
export async function openReplay({
  path,
  width,
  height,
  fps,
}: FrameRate & { readonly path: string }): Promise<FrameSource> {
  const target = await stat(path).catch((error: unknown) => {
    throw new CameraError('absent', `camera.path: ${path} can't be opened`, 'check the path', { cause: error })
  })
  if (!target.isDirectory()) return openFfmpeg({ source: 'file', path, width, height, fps })
  const names = (await readdir(path)).filter((name) => isPicture(name)).sort()
  if (names.length === 0)
    throw new CameraError('absent', `camera.path: no JPEG or PNG picture in ${path}`, 'put some there')
  const files = names.map((name) => join(path, name))
  const geometry = paddedGeometry(width, height)
  return { geometry, frames: (pool, signal) => playStills({ files, geometry, fps, pool, signal }) }
}

function isPicture(name: string): boolean {
  return pictureEndings.some((ending) => extname(name).toLowerCase() === ending)
}

type Play = { files: readonly string[]; geometry: FrameGeometry; fps: number; pool: BufferPool; signal: AbortSignal }

async function* playStills({ files, geometry, fps, pool, signal }: Play): AsyncGenerator<Frame> {
  const framesPerStill = Math.max(1, Math.round(holdS * fps))
  const startMs = performance.now()
  let frame = 0
  let next = nextStill(files, 0, geometry)
  while (!signal.aborted) {
    const { still, index } = await next
    next = nextStill(files, index + 1, geometry)
    // Awaited only when its turn comes; until then a failure must not count as unhandled.
    next.catch(() => {})
    for (let step = 0; step < framesPerStill; step++, frame++) {
      // Timed from the start, not from the last frame, so that the rate doesn't drift.
      const dueMs = startMs + (frame * 1000) / fps
      if (!(await waitUntil(dueMs, signal))) return
      const data = pool.take()
      zoomInto(still, step / framesPerStill, data, geometry)
      yield { capturedAtMs: Date.now(), geometry, data, isStale: false }
    }
  }
}

/** The next file from `from` on that can be read as a picture; one that can't is passed over, unless none can. */
async function nextStill(
  files: readonly string[],
  from: number,
  geometry: FrameGeometry,
): Promise<{ still: Still; index: number }> {
  const problems: string[] = []
  for (let offset = 0; offset < files.length; offset++) {
    const index = (from + offset) % files.length
    try {
      const picture = await readPicture(files[index] ?? '', 2 * Math.max(geometry.width, geometry.height))
      const own = pictureGeometry(picture)
      return { still: { geometry: own, data: toI420(picture, own) }, index }
    } catch (error) {
      problems.push(describeError(error))
    }
  }
  throw new CameraError('failed', `camera.path: none of the pictures can be read: ${problems.slice(0, 3).join('; ')}`)
}

async function waitUntil(dueMs: number, signal: AbortSignal): Promise<boolean> {
  try {
    await delay(Math.max(0, dueMs - performance.now()), undefined, { signal })
    return true
  } catch {
    return false
  }
}
