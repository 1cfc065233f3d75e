import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { CameraError } from '../core/camera-state.ts'

/** Where the pid of the camera program stands, in the working folder: the next start ends it if we no longer can. */
export const pidFile = 'camera.pid'

/** The names of the programs that a pid file may lead to; a pid that has gone to another program is left alone. */
const cameraPrograms = ['rpicam-vid', 'libcamera-vid', 'ffmpeg']

/** How long each signal gets. SIGINT is seen when a frame completes, and not at all in rpicam-vid's time-out loop. */
const stepMs = 2000

const pollMs = 20

/** What a program may be called while it is still becoming itself: our shim, a script. */
const beginnings = ['sh', 'dash', 'bash', 'env', 'node']

export function recordPid(pid: number | undefined): void {
  if (pid !== undefined) writeFileSync(pidFile, String(pid))
}

export function forgetPid(): void {
  rmSync(pidFile, { force: true })
}

/** The pid in a folder's pid file, or undefined when there is none. */
export function recordedPid(folder = '.'): number | undefined {
  try {
    return Number.parseInt(readFileSync(join(folder, pidFile), 'utf8'), 10) || undefined
  } catch {
    return undefined
  }
}

/** A live camera program with that pid, zombies aside; with `isOurs`, also one that we have just started. */
export function isCameraProgram(pid: number, { isOurs = false } = {}): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const end = stat.lastIndexOf(')')
    const name = stat.slice(stat.indexOf('(') + 1, end)
    return stat[end + 2] !== 'Z' && (cameraPrograms.includes(name) || (isOurs && beginnings.includes(name)))
  } catch {
    return false
  }
}

/**
 * Ends a camera program of ours: SIGINT, SIGTERM, SIGKILL, each with its time. Throws a WedgedError if it survives all, or
 * if we may not end it.
 */
export async function endProgram(pid: number): Promise<void> {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGKILL'] as const) {
    if (!isCameraProgram(pid, { isOurs: true })) return
    try {
      process.kill(pid, signal)
    } catch (error) {
      // Gone between the look and the signal.
      if (error instanceof Error && 'code' in error && error.code === 'ESRCH') return
    }
    for (const endMs = performance.now() + stepMs; performance.now() < endMs; await delay(pollMs)) {
      if (!isCameraProgram(pid, { isOurs: true })) return
    }
  }
  throw new WedgedError(pid)
}

/** Ends the camera program that a pid file leads to, if it is one and still there, and forgets it. */
export async function endRecorded(folder = '.'): Promise<void> {
  const pid = recordedPid(folder)
  if (pid !== undefined && isCameraProgram(pid)) await endProgram(pid)
  rmSync(join(folder, pidFile), { force: true })
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
