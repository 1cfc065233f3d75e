import { readFileSync, writeFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { CameraError } from '../core/camera-state.ts'

/** Where the pid of the camera program stands, in the working folder: the next start ends it if we no longer can. */
export const pidFile = 'camera.pid'

/** The names of the programs that a pid file may lead to; a pid that has gone to another program is left alone. */
const cameraPrograms = ['rpicam-vid', 'libcamera-vid', 'ffmpeg']

/** How long each signal gets. SIGINT is seen when a frame completes, and not at all in rpicam-vid's time-out loop. */
const stepMs = 2000

const pollMs = 20

export function recordPid(pid: number | undefined): void {
  if (pid !== undefined) writeFileSync(pidFile, String(pid))
}

/** A live camera program with that pid, zombies aside. */
export function isCameraProgram(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const name = stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'))
    const state = stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3)
    // A script that is about to become the program (the shim, the stand-in of tests) bears its own name until then.
    return state !== 'Z' && (cameraPrograms.includes(name) || ['sh', 'dash', 'node', 'MainThread'].includes(name))
  } catch {
    return false
  }
}

/** Ends a camera program: SIGINT, SIGTERM, SIGKILL, each with its time. Throws a CameraError `wedged` if it survives all. */
export async function endProgram(pid: number): Promise<void> {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGKILL'] as const) {
    if (!isCameraProgram(pid)) return
    try {
      process.kill(pid, signal)
    } catch {
      // Gone between the look and the signal.
      return
    }
    for (const endMs = performance.now() + stepMs; performance.now() < endMs; await delay(pollMs)) {
      if (!isCameraProgram(pid)) return
    }
  }
  throw new WedgedError(pid)
}

/** A process that not even SIGKILL ends sits in the kernel, with the camera in its hands. */
export class WedgedError extends CameraError {
  readonly pid: number

  constructor(pid: number) {
    super(
      'wedged',
      `camera: its process ${pid} can't be ended, the driver holds it`,
      'reboot the board; nothing else frees the camera',
    )
    this.pid = pid
  }
}
