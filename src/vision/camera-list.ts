import { execFile } from 'node:child_process'
import { access, constants } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { CameraError } from '../core/camera-state.ts'
import { diagnoseRpicam } from './camera-complaints.ts'

/** A way in which a sensor can be read out. `crop` is the part of the sensor it shows, in sensor pixels. */
export type SensorMode = {
  readonly width: number
  readonly height: number
  readonly bitDepth: number
  /** P: packed as in CSI-2, U: unpacked. */
  readonly packing: 'P' | 'U'
  readonly maxFps: number
  readonly crop: { readonly x: number; readonly y: number; readonly width: number; readonly height: number }
}

export type ListedCamera = {
  readonly index: number
  readonly name: string
  readonly width: number
  readonly height: number
  readonly id: string
  readonly modes: readonly SensorMode[]
}

/** Listing opens and configures each camera; a sensor that hangs must not hang us. */
const listLimitMs = 15_000

/** The camera program under whichever of its names there is; undefined when there is neither. */
async function findCameraProgram(): Promise<string | undefined> {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    for (const name of ['rpicam-vid', 'libcamera-vid']) {
      const path = join(folder, name)
      // Our own shim answers to the old name as well.
      if (folder.endsWith('camera-shim')) continue
      if (
        await access(path, constants.X_OK).then(
          () => true,
          () => false,
        )
      )
        return path
    }
  }
  return undefined
}

/** Asks the camera program what is connected. Not while a camera is in use: the question configures it. */
export async function listCameras(): Promise<ListedCamera[]> {
  const program = await findCameraProgram()
  if (program === undefined) throw diagnoseRpicam('neither rpicam-vid nor libcamera-vid is on the PATH', '')
  try {
    const { stdout } = await promisify(execFile)(program, ['--list-cameras'], {
      timeout: listLimitMs,
      killSignal: 'SIGKILL',
    })
    return parseCameraList(stdout)
  } catch (error) {
    if (error instanceof Error && 'stderr' in error) throw diagnoseRpicam(String(error.stderr), error.message)
    throw new CameraError('failed', `${program} --list-cameras failed`, null, { cause: error })
  }
}

/** rpicam-apps core/rpicam_app.cpp, `list_cameras`; bit depth and Bayer order are missing in old versions. */
export function parseCameraList(text: string): ListedCamera[] {
  const cameras: (ListedCamera & { modes: SensorMode[] })[] = []
  let format: { bitDepth: number; packing: 'P' | 'U' } | undefined
  for (const line of text.split('\n')) {
    const camera = /^(\d+) : (\S+) \[(\d+)x(\d+)[^\]]*\] \((.*)\)\s*$/.exec(line)
    if (camera !== null) {
      const [, index = '', name = '', width = '', height = '', id = ''] = camera
      format = undefined
      cameras.push({ index: Number(index), name, width: Number(width), height: Number(height), id, modes: [] })
      continue
    }
    const pixels = /'([A-Z]+?)(\d+)(_CSI2P|_PISP_COMP\d)?'\s*:/.exec(line)
    if (pixels !== null) format = { bitDepth: Number(pixels[2]), packing: pixels[3] === undefined ? 'U' : 'P' }
    const mode = /(\d+)x(\d+) \[([\d.]+) fps - \((\d+), (\d+)\)\/(\d+)x(\d+) crop\]/.exec(line)
    const current = cameras.at(-1)
    if (mode === null || current === undefined || format === undefined) continue
    const [width = 0, height = 0, maxFps = 0, x = 0, y = 0, cropWidth = 0, cropHeight = 0] = mode.slice(1).map(Number)
    current.modes.push({ ...format, width, height, maxFps, crop: { x, y, width: cropWidth, height: cropHeight } })
  }
  return cameras
}

/** Modes that leave out less than this of each side count as the full field of view: some crop a few dark pixels. */
const fullView = 0.98

/**
 * The smallest mode that shows the whole sensor and reaches the rate; the camera program's own choice for small frames is a
 * crop (a 640x480 request gives an imx219 39 % of its width). Undefined when the list tells nothing.
 */
export function fullViewMode({ width, height, modes }: ListedCamera, fps: number): SensorMode | undefined {
  return (
    modes
      // While another program has the camera, its modes are listed with crops that can't be (65535).
      .filter(({ crop }) => crop.width <= width && crop.height <= height)
      .filter(({ crop, maxFps }) => crop.width >= fullView * width && crop.height >= fullView * height && maxFps >= fps)
      .toSorted((a, b) => a.width * a.height - b.width * b.height)[0]
  )
}

export function formatMode({ width, height, bitDepth, packing }: SensorMode): string {
  return `${width}:${height}:${bitDepth}:${packing}`
}
