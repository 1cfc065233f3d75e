import { rm, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { vid } from 'node-libcamera'
import { CameraError } from '../core/camera-state.ts'
import type { Frame, FrameGeometry } from '../core/frame.ts'
import type { LibcameraOptions } from '../core/source-options.ts'
import type { BufferPool } from '../lib/buffer-pool.ts'
import { packageRoot } from '../lib/package.ts'
import { diagnoseRpicam } from './camera-complaints.ts'
import { formatMode, fullViewMode, listCameras } from './camera-list.ts'
import { endProgram, forgetPid, pidFile, recordedPid } from './camera-process.ts'
import { Fifo } from './fifo.ts'
import { MisalignedError, splitFrames } from './raw-frames.ts'
import type { FrameSource, SourceMemory } from './source.ts'

/** How many frames may be torn or old after a read gap: rpicam-vid has six buffers, and one that it is writing. */
const buffersInCamera = 7

/** How long the one frame of the probe may take; a camera starts in one to two seconds. */
const probeLimitMs = 10_000

/** How long the shim, a shell script, may take to leave its pid. */
const pidLimitMs = 2000

const shimFolder = join(packageRoot, 'deploy/camera-shim')

/** Values that node-libcamera may put into the shell command that it builds. */
const harmless = /^[A-Za-z0-9_./:,+-]+$/

type Values = Record<string, string | number | boolean>

/** A Raspberry Pi camera, through node-libcamera, raw into a FIFO. The only door to that package. */
export async function openLibcamera(options: LibcameraOptions, memory: SourceMemory): Promise<FrameSource> {
  memory.mode ??= options.mode ?? (await chooseMode(options))
  const values = commandValues(options, memory.mode)
  memory.geometry ??= await probeGeometry(options, values)
  const { geometry } = memory
  return {
    geometry,
    async *frames(pool, signal) {
      let hasFrame = false
      try {
        for await (const frame of stream(values, geometry, options.fps, pool, signal)) {
          hasFrame = true
          yield frame
        }
      } catch (error) {
        // Another camera on the plug, frames of another length: what we knew may no longer hold.
        if (!hasFrame || error instanceof MisalignedError) {
          delete memory.mode
          delete memory.geometry
        }
        throw error
      }
    },
  }
}

async function chooseMode({ index, fps }: LibcameraOptions): Promise<string> {
  const cameras = await listCameras()
  if (cameras.length === 0) throw diagnoseRpicam('No cameras available!', '')
  const camera = cameras.find((listed) => listed.index === index)
  if (camera === undefined) throw diagnoseRpicam('selected camera is not available', '')
  const mode = fullViewMode(camera, fps)
  return mode === undefined ? '' : formatMode(mode)
}

/** Flags of rpicam-vid, and only those that are set: node-libcamera turns undefined into a bare flag. */
function commandValues(options: LibcameraOptions, mode: string): Values {
  const { roi, shutter_us: shutter, gain, lens_position: lensPosition } = options
  return {
    camera: options.index,
    codec: 'yuv420',
    width: options.width,
    height: options.height,
    framerate: options.fps,
    nopreview: true,
    flush: true,
    verbose: 0,
    denoise: options.denoise,
    exposure: options.exposure,
    awb: options.awb,
    rotation: options.rotation,
    ...(mode === '' ? {} : { mode }),
    ...(options.hflip ? { hflip: true } : {}),
    ...(options.vflip ? { vflip: true } : {}),
    ...(roi === undefined ? {} : { roi: `${roi.x},${roi.y},${roi.width},${roi.height}` }),
    ...(shutter === undefined ? {} : { shutter }),
    ...(gain === undefined ? {} : { gain }),
    ...(options.autofocus === 'default' ? {} : { 'autofocus-mode': options.autofocus }),
    ...(lensPosition === undefined ? {} : { 'lens-position': lensPosition }),
  }
}

/**
 * Rows are padded to what the image processor likes, which differs from board to board; one frame in a file tells how far.
 * Throws a CameraError if the length is not that of any padding.
 */
async function probeGeometry({ width, height }: LibcameraOptions, values: Values): Promise<FrameGeometry> {
  const path = resolve('probe.yuv')
  const program = startProgram({ ...values, frames: 1, output: path })
  const timer = new AbortController()
  try {
    await Promise.race([program.ended, delay(probeLimitMs, undefined, { signal: timer.signal })])
    const { size } = await stat(path).catch(() => ({ size: 0 }))
    if (size === 0)
      throw new CameraError(
        'stalled',
        `camera: no first frame within ${probeLimitMs / 1000} s`,
        'check the ribbon cable with the power off',
      )
    const stride = size / (1.5 * height)
    if (!Number.isInteger(stride) || stride % 2 !== 0 || stride < width)
      throw new CameraError(
        'failed',
        `camera: a frame of ${width}x${height} came with ${size} bytes, which fits no row length`,
      )
    return { width, height, stride }
  } finally {
    timer.abort()
    await program.end()
    await rm(path, { force: true })
  }
}

async function* stream(
  values: Values,
  geometry: FrameGeometry,
  fps: number,
  pool: BufferPool,
  signal: AbortSignal,
): AsyncGenerator<Frame> {
  const fifo = await Fifo.create(resolve('camera.fifo'))
  const program = startProgram({ ...values, timeout: 0, output: fifo.path })
  const close = () => fifo.close()
  // Ended first and read on meanwhile: rpicam-vid aborts when its reader goes, and sees a SIGINT when a frame is through.
  const stop = () => void program.end().then(close, close)
  signal.addEventListener('abort', stop, { once: true })
  if (signal.aborted) stop()
  // It may end before it opens the FIFO, and then no end of file ever comes.
  program.ended.then(close, close)
  try {
    yield* splitFrames(fifo, { geometry, frameMs: 1000 / fps, staleAfterGap: buffersInCamera }, pool)
    if (signal.aborted) return
    await program.ended
    throw new CameraError('failed', 'camera: the camera program ended by itself')
  } catch (error) {
    if (signal.aborted) return
    if (error instanceof CameraError) throw error
    await program.ended
    throw new CameraError('failed', 'camera: reading failed', null, { cause: error })
  } finally {
    signal.removeEventListener('abort', stop)
    fifo.drain()
    await program.end().finally(close)
  }
}

type Program = {
  /** Resolves when the program has ended well, rejects with a CameraError when it has not. */
  readonly ended: Promise<void>
  /** Ends it if it still runs; throws a CameraError `wedged` if it can't be ended. */
  end(): Promise<void>
}

/** Calls node-libcamera. It gives neither pid nor signal, so the shim leaves the pid in a file. */
function startProgram(values: Values): Program {
  for (const [name, value] of Object.entries(values)) {
    if (!harmless.test(String(value))) throw new Error(`refusing to pass --${name} ${value} to a shell`)
  }
  process.env['PATH'] = [
    shimFolder,
    ...(process.env['PATH'] ?? '').split(':').filter((folder) => folder !== shimFolder),
  ].join(':')
  process.env['SIGHTD_CAMERA_PID_FILE'] = resolve(pidFile)
  // The types know none of --camera, --mode, --framerate and --verbose, which are passed on all the same.
  const ended = vid(values as Parameters<typeof vid>[0]).then(
    () => {},
    (error: unknown) => {
      // Its first line repeats the command.
      const words = error instanceof Error ? error.message.split('\n').slice(1).join('\n') : String(error)
      const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
      throw diagnoseRpicam(words, `the camera program ended with exit code ${code}`)
    },
  )
  let isRunning = true
  const note = () => {
    isRunning = false
  }
  ended.then(note, note)
  let ending: Promise<void> | undefined
  return { ended, end: () => (ending ??= endByPidFile(() => isRunning)) }
}

/** A program that was only just started may not have left its pid yet; one without a pid that has ended never will. */
async function endByPidFile(isRunning: () => boolean): Promise<void> {
  for (
    const endMs = performance.now() + pidLimitMs;
    recordedPid() === undefined && isRunning() && performance.now() < endMs;
  )
    await delay(10)
  const pid = recordedPid()
  if (pid !== undefined) await endProgram(pid)
  else if (isRunning())
    throw new CameraError('failed', 'camera: its program was started but left no pid, so it can not be ended')
  forgetPid()
}
