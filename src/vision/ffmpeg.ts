import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { SightdError } from '../core/errors.ts'
import type { Frame, FrameGeometry } from '../core/frame.ts'
import type { BufferPool } from '../lib/buffer-pool.ts'
import { splitFrames } from './raw-frames.ts'
import type { FrameSource } from './source.ts'

type Video = { readonly path: string; readonly width: number; readonly height: number; readonly fps: number }

/** What of ffmpeg's complaints is kept for the error message. */
const maxComplaint = 500

/** A video file in real time, over and over, scaled to the frame size, as full-range I420 in tight rows. */
export function decodeVideo(video: Video): FrameSource {
  const geometry = { width: video.width, height: video.height, stride: video.width }
  return { geometry, frames: (pool, signal) => playVideo(video, geometry, pool, signal) }
}

async function* playVideo(
  { path, width, height, fps }: Video,
  geometry: FrameGeometry,
  pool: BufferPool,
  signal: AbortSignal,
): AsyncGenerator<Frame> {
  const filter = `fps=${fps},scale=${width}:${height}:out_range=full:out_color_matrix=bt601`
  const args = ['-nostdin', '-hide_banner', '-loglevel', 'error', '-re', '-stream_loop', '-1', '-i', `file:${path}`]
  const child = spawn('ffmpeg', [...args, '-an', '-vf', filter, '-pix_fmt', 'yuvj420p', '-f', 'rawvideo', 'pipe:1'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const ended = once(child, 'close').catch((error: NodeJS.ErrnoException) => {
    throw new SightdError(
      'source_failed',
      error.code === 'ENOENT'
        ? `${path} is not a folder, so it is taken for a video, and that needs ffmpeg, which is not installed`
        : `ffmpeg can't be started for ${path}`,
      { cause: error },
    )
  })
  // Awaited below, once the frames have run out; until then a failure must not count as unhandled.
  ended.catch(() => {})
  let complaint = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint = (complaint + text).slice(-maxComplaint)
  })
  // SIGKILL: ffmpeg has nothing to tidy up, and SIGTERM would wait for a pipe that nobody reads any more.
  const stop = () => child.kill('SIGKILL')
  signal.addEventListener('abort', stop, { once: true })
  try {
    yield* splitFrames(child.stdout, geometry, pool)
    await ended
    if (!signal.aborted)
      throw new SightdError('source_failed', `ffmpeg stopped on ${path}: ${complaint.trim() || 'it gave no reason'}`)
  } finally {
    signal.removeEventListener('abort', stop)
    stop()
  }
}
