import { readdir, readlink, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { isUsable, namesIn, readText } from './tree.ts'

/** Device files that cameras work through. */
export type DeviceKind = 'video' | 'media' | 'dma_heap'

export type DeviceFact = {
  /** `/dev/video0` */
  readonly path: string
  readonly kind: DeviceKind
  /** What its driver calls it (`unicam-image`, `bcm2835-codec-decode`, the name of a USB camera), video devices only. */
  readonly name: string | null
  /** May this process read and write it? */
  readonly isUsable: boolean
  /** The group that owns it, and whether that may read and write it. */
  readonly group: { readonly id: number; readonly name: string | null; readonly mayUse: boolean }
}

/** A process that has a camera's device file open, or would be the one to have it. */
export type HolderFact = {
  readonly pid: number
  /** `rpicam-vid` */
  readonly name: string
  /** The device files it has open; null when we may not look into it. */
  readonly devices: readonly string[] | null
  /** It belongs to a vision process of sightd. */
  readonly isOurs: boolean
}

export async function readDevices(root: string): Promise<DeviceFact[]> {
  const groupNames = await readGroupNames(root)
  const devices = await Promise.all([
    ...(await namesIn(root, 'dev')).map((name) => {
      const kind = /^(video|media)\d+$/.exec(name)?.[1]
      return kind === 'video' || kind === 'media' ? readDevice(root, `/dev/${name}`, kind, groupNames) : null
    }),
    ...(await namesIn(root, 'dev/dma_heap')).map((name) =>
      readDevice(root, `/dev/dma_heap/${name}`, 'dma_heap', groupNames),
    ),
  ])
  return devices.filter((device) => device !== null)
}

async function readDevice(
  root: string,
  path: string,
  kind: DeviceKind,
  groupNames: ReadonlyMap<number, string>,
): Promise<DeviceFact | null> {
  const stats = await stat(join(root, path)).catch(() => null)
  if (stats === null) return null
  const driverName = kind === 'video' ? `sys/class/video4linux/${path.slice('/dev/'.length)}/name` : null
  return {
    path,
    kind,
    name: driverName === null ? null : await readText(root, driverName),
    isUsable: await isUsable(root, path),
    group: { id: stats.gid, name: groupNames.get(stats.gid) ?? null, mayUse: (stats.mode & 0o060) === 0o060 },
  }
}

async function readGroupNames(root: string): Promise<Map<number, string>> {
  const lines = ((await readText(root, 'etc/group')) ?? '').split('\n').map((line) => line.split(':'))
  return new Map(lines.map(([name = '', , id = '']) => [Number(id), name]))
}

/**
 * Who has a `/dev/video*` or `/dev/media*` open. Of processes that we may not look into, those are listed whose name is a
 * camera program's, and the others counted; null when /proc hides them.
 */
export async function readHolders(root: string): Promise<{ holders: HolderFact[]; unknownProcesses: number | null }> {
  const pids = (await namesIn(root, 'proc')).filter((name) => /^\d+$/.test(name))
  const holders: HolderFact[] = []
  let unknownProcesses = 0
  for (const pid of pids) {
    const devices = await openCameraDevices(root, pid)
    if (devices?.length === 0) continue
    const name = (await readText(root, `proc/${pid}/comm`)) ?? `process ${pid}`
    if (devices !== null || isCameraProgram(name))
      holders.push({ pid: Number(pid), name, devices, isOurs: await isBelowVisionProcess(root, pid) })
    // The kernel's own threads have no command line.
    else if ((await readText(root, `proc/${pid}/cmdline`)) !== null) unknownProcesses++
  }
  return { holders, unknownProcesses: pids.includes('1') ? unknownProcesses : null }
}

/** Programs that are known to take cameras; the kernel cuts names at 15 characters. */
function isCameraProgram(name: string): boolean {
  return /^(rpicam|libcamera|ffmpeg|gst-launch|motion|mediamtx|go2rtc|ustreamer|camera-stream|mjpg_stream)/.test(name)
}

/** Null when the process may not be looked into; empty when it is gone. */
async function openCameraDevices(root: string, pid: string): Promise<string[] | null> {
  const folder = `proc/${pid}/fd`
  const found = new Set<string>()
  try {
    // Not namesIn: it matters whether there is nothing, or nothing that we may see.
    for (const fd of await readdir(join(root, folder))) {
      const target = await readlink(join(root, folder, fd)).catch(() => '')
      if (/^\/dev\/(video|media)\d+$/.test(target)) found.add(target)
    }
    return [...found]
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EACCES' ? null : []
  }
}

/** Is it, or one of the processes above it, a vision process of sightd? */
async function isBelowVisionProcess(root: string, pid: string): Promise<boolean> {
  let current = pid
  // Deeper nesting than this is not ours, and a tree that bites its tail must end.
  for (let depth = 0; depth < 8 && Number(current) > 1; depth++) {
    if (/\/vision\/main\.[jt]s(\s|$)/.test((await readText(root, `proc/${current}/cmdline`)) ?? '')) return true
    current = /^PPid:\s+(\d+)/m.exec((await readText(root, `proc/${current}/status`)) ?? '')?.[1] ?? ''
  }
  return false
}
