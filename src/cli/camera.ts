import { readdir, readFile, realpath } from 'node:fs/promises'
import { resolve } from 'node:path'
import { defaultConfigPath, loadConfig } from '../config/load.ts'
import { CameraError } from '../core/camera-state.ts'
import { describeError, exitCodes, SightdError } from '../core/errors.ts'
import { type Frame, type FrameGeometry, frameBytes, paddedGeometry } from '../core/frame.ts'
import type { SourceOptions } from '../core/source-options.ts'
import { BufferPool } from '../lib/buffer-pool.ts'
import { Ring } from '../lib/ring.ts'
import { openWorkFolder } from '../system/work-folder.ts'
import { type ListedCamera, listCameras } from '../vision/camera-list.ts'
import { toRgb, writeJpeg } from '../vision/picture.ts'
import { openSource } from '../vision/source.ts'

type Options = { readonly config?: string; readonly json?: boolean }

/** Frames that a camera needs to find its exposure and white balance. */
const settlingFrames = 10

/** How long the first frame may take. */
const firstFrameMs = 15_000

/** Rows on a Pi 5 are padded to this; no board pads further. */
const widestPadding = 128

/** `sightd camera list`: what is there. A kind of camera that can't be listed is said, and is no failure. */
export async function listAll({ json = false }: Options): Promise<number> {
  const pi = await listCameras().catch((error: unknown) => describeError(error))
  const usb = await listVideoDevices()
  if (json) print(JSON.stringify({ libcamera: pi, v4l2: usb }))
  else {
    print('Raspberry Pi cameras (camera.source: libcamera)')
    if (typeof pi === 'string') print(`  ${pi}`)
    else if (pi.length === 0) print('  none')
    else for (const camera of pi) print(describeCamera(camera))
    print('USB cameras and other video devices (camera.source: v4l2)')
    if (usb.length === 0) print('  none')
    for (const { device, byId, name } of usb) print(`  ${byId ?? device}  ${name}`)
  }
  return exitCodes.ok
}

function describeCamera({ index, name, width, height, modes }: ListedCamera): string {
  const lines = modes.map((mode) => {
    const view = Math.round((100 * mode.crop.width) / width)
    return `    mode ${mode.width}:${mode.height}:${mode.bitDepth}:${mode.packing}  up to ${mode.maxFps} fps, ${view} % of the width`
  })
  return [`  index ${index}: ${name}, ${width}x${height}`, ...lines].join('\n')
}

export type VideoDevice = { readonly device: string; readonly byId: string | null; readonly name: string }

/** /dev/video*, with their names and the links that find them again on any port. */
export async function listVideoDevices(): Promise<VideoDevice[]> {
  const links = await readdir('/dev/v4l/by-id').catch(() => [])
  const targets = new Map(
    await Promise.all(
      links.map(
        async (link) => [await realpath(`/dev/v4l/by-id/${link}`).catch(() => ''), `/dev/v4l/by-id/${link}`] as const,
      ),
    ),
  )
  const names = await readdir('/sys/class/video4linux').catch(() => [])
  return Promise.all(
    names.sort().map(async (device) => ({
      device: `/dev/${device}`,
      byId: targets.get(`/dev/${device}`) ?? null,
      name: (await readFile(`/sys/class/video4linux/${device}/name`, 'utf8').catch(() => 'unknown')).trim(),
    })),
  )
}

/** `sightd camera test`: how the configured camera really behaves. */
export async function testCamera(
  { config, seconds = 5, json = false }: Options & { readonly seconds?: number },
  signal: AbortSignal,
): Promise<number> {
  const options = await cameraOptions(config)
  const report = await inWords(() =>
    measureCamera(options, seconds, signal, (share, frames) => {
      if (json || !process.stderr.isTTY) return
      process.stderr.write(`\r${Math.min(100, Math.round(100 * share))} %  ${frames} frames`)
    }),
  )
  if (json) print(JSON.stringify(report))
  else {
    const { source, width, height, stride, fps, jitter_ms: jitter, frames_missing: missing } = report
    print(`\r${source}: ${width}x${height}, rows of ${stride} bytes`)
    print(`${fps} fps of the ${options.fps} asked for, ${missing} frames missing, ${report.frames_stale} stale`)
    print(`frames come ${jitter.p50} ms off their time (p50), ${jitter.p95} ms (p95)`)
    print(`brightness ${report.brightness} of 255${describeLight(report)}`)
  }
  return exitCodes.ok
}

/** What it may mean that a picture is so dark, or so bright; empty when it is neither. */
export function describeLight({ brightness }: CameraReport): string {
  if (brightness < 20) return ' (very dark: lens cap, exposure?)'
  return brightness > 235 ? ' (very bright: exposure?)' : ''
}

export type CameraReport = Awaited<ReturnType<typeof measureCamera>>

/**
 * Reads a camera for a while. `onProgress` gets the share of the time that is gone, and the frames so far. Throws a
 * CameraError, or a SightdError `source_failed` when no frame comes.
 */
export async function measureCamera(
  options: SourceOptions,
  seconds: number,
  signal: AbortSignal,
  onProgress: (share: number, frames: number) => void = () => {},
) {
  const intervals = new Ring(100_000)
  const brightness = new Ring(100_000)
  let geometry: FrameGeometry | undefined
  let stale = 0
  let lastMs: number | undefined
  let endMs = Number.POSITIVE_INFINITY
  let startMs = 0
  let count = 0
  await readFrames(options, signal, (frame) => {
    const now = performance.now()
    if (lastMs === undefined) {
      startMs = now
      endMs = now + seconds * 1000
    } else intervals.push(now - lastMs)
    lastMs = now
    count++
    geometry = frame.geometry
    if (frame.isStale) stale++
    brightness.push(meanLuma(frame))
    onProgress((now - startMs) / (seconds * 1000), count)
    return now < endMs
  })
  if (geometry === undefined || lastMs === undefined) throw new SightdError('source_failed', 'no frame came')
  const expectedMs = 1000 / options.fps
  return {
    source: options.source,
    width: geometry.width,
    height: geometry.height,
    stride: geometry.stride,
    frames: count,
    fps: round(((count - 1) * 1000) / Math.max(lastMs - startMs, 1)),
    jitter_ms: {
      p50: round(Math.abs((intervals.quantile(0.5) ?? 0) - expectedMs)),
      p95: round(Math.abs((intervals.quantile(0.95) ?? 0) - expectedMs)),
    },
    frames_missing: Math.max(0, Math.round((lastMs - startMs) / expectedMs) + 1 - count),
    frames_stale: stale,
    brightness: Math.round(brightness.quantile(0.5) ?? 0),
  }
}

/** `sightd camera snapshot`: one picture as the network would get it. */
export async function takeSnapshot(path: string, { config }: Options, signal: AbortSignal): Promise<number> {
  const target = resolve(path)
  const options = await cameraOptions(config)
  let picture: ReturnType<typeof toRgb> | undefined
  let count = 0
  await inWords(() =>
    readFrames(options, signal, (frame) => {
      if (++count <= settlingFrames) return true
      picture = toRgb(frame)
      return false
    }),
  )
  if (picture === undefined) throw new SightdError('source_failed', 'no picture came')
  await writeJpeg(target, picture)
  print(`wrote ${path}, ${picture.width}x${picture.height}`)
  return exitCodes.ok
}

async function cameraOptions(config: string | undefined): Promise<SourceOptions> {
  return (await loadConfig(config ?? defaultConfigPath)).camera
}

/**
 * Opens the camera and hands frames to `onFrame` until it returns false. Everything that was started has ended after it.
 * Throws a CameraError, or a SightdError `source_failed` when no frame comes in time.
 */
async function readFrames(
  options: SourceOptions,
  signal: AbortSignal,
  onFrame: (frame: Frame) => boolean,
): Promise<void> {
  await using folder = await openWorkFolder()
  const before = process.cwd()
  process.chdir(folder.path)
  const pool = new BufferPool(2, frameBytes(paddedGeometry(options.width, options.height, widestPadding)))
  const late = new AbortController()
  let timer: NodeJS.Timeout | undefined
  try {
    const source = await openSource(options)
    // Opening has limits of its own.
    timer = setTimeout(() => late.abort(), firstFrameMs)
    for await (const frame of source.frames(pool, AbortSignal.any([signal, late.signal]))) {
      timer.refresh()
      const goesOn = onFrame(frame)
      pool.give(frame.data)
      if (!goesOn || signal.aborted) break
    }
    if (late.signal.aborted) throw new SightdError('source_failed', `camera: no frame for ${firstFrameMs / 1000} s`)
  } finally {
    clearTimeout(timer)
    process.chdir(before)
  }
}

/** A camera's trouble as a person reads it who has called for this camera. */
async function inWords<T>(act: () => Promise<T>): Promise<T> {
  try {
    return await act()
  } catch (error) {
    if (!(error instanceof CameraError)) throw error
    throw new SightdError(
      'source_failed',
      `${describeError(error)}${error.advice === null ? '' : `\n  ${error.advice}`}`,
    )
  }
}

/** Mean of the visible part of the Y plane, 0 to 255; every fourth row is enough. */
function meanLuma({ data, geometry: { width, height, stride } }: Frame): number {
  let sum = 0
  let rows = 0
  for (let row = 0; row < height; row += 4, rows++) {
    for (let column = 0; column < width; column++) sum += data[row * stride + column] ?? 0
  }
  return sum / (rows * width)
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}

function print(text: string): void {
  process.stdout.write(`${text}\n`)
}
