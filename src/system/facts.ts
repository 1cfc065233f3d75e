import { execFile } from 'node:child_process'
import { statfs } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { readTemperature, readThrottled } from './board-sensors.ts'
import { type DeviceFact, type HolderFact, readDevices, readHolders } from './camera-facts.ts'
import { exists, findProgram, isOnReadOnly, isUsable, readText } from './tree.ts'

/** What can be read of a machine without trying anything on it. Null is what could not be found out. */
export type Facts = {
  readonly user: { readonly name: string; readonly id: number; readonly groupIds: readonly number[] }
  /** What every core can do, in the kernel's words (`asimddp`, `avx2`). */
  readonly cpuFeatures: readonly string[] | null
  /** Paths of programs; null when they are not on the search path. */
  readonly programs: { readonly camera: string | null; readonly ffmpeg: string | null }
  readonly devices: readonly DeviceFact[]
  readonly holders: readonly HolderFact[]
  /** How many processes we may not look into, besides those in `holders`; null when not even that can be seen. */
  readonly unknownProcesses: number | null
  readonly isClockSynchronised: boolean | null
  readonly disks: readonly DiskFact[]
  readonly memory: {
    readonly availableBytes: number | null
    /** Contiguous memory for cameras; null when the kernel has none. */
    readonly cmaTotalBytes: number | null
    readonly cmaFreeBytes: number | null
  }
  readonly tempC: number | null
  /** See `readThrottled`. */
  readonly throttled: number | null
}

export type DiskFact = {
  readonly path: string
  readonly freeBytes: number
  /** By this user. */
  readonly isWritable: boolean
  /** Its file system is mounted so that nobody can write there. */
  readonly isReadOnly: boolean
}

export type FactOptions = {
  /** Where the machine's files are. */
  readonly root?: string
  /** Where programs are looked for, as in PATH. */
  readonly searchPath?: string
  /** Folders whose disks matter; one that is not there is left out. */
  readonly folders?: readonly string[]
}

const timedatectlLimitMs = 3000

export async function readFacts({
  root = '/',
  searchPath = process.env['PATH'] ?? '/usr/bin:/bin',
  folders = ['/var/lib/sightd', tmpdir()],
}: FactOptions = {}): Promise<Facts> {
  const [user, cpuFeatures, camera, ffmpeg, devices, holding, isClockSynchronised, disks, memory, tempC, throttled] =
    await Promise.all([
      readUser(root),
      readCpuFeatures(root),
      findProgram(root, searchPath, ['rpicam-vid', 'libcamera-vid']),
      findProgram(root, searchPath, ['ffmpeg']),
      readDevices(root),
      readHolders(root),
      readClock(root, searchPath),
      Promise.all(folders.map((path) => readDisk(root, path))),
      readMemory(root),
      readTemperature(root),
      readThrottled(root),
    ])
  return {
    user,
    cpuFeatures,
    programs: { camera, ffmpeg },
    devices,
    ...holding,
    isClockSynchronised,
    disks: disks.filter((disk) => disk !== null),
    memory,
    tempC,
    throttled,
  }
}

async function readUser(root: string): Promise<Facts['user']> {
  const id = process.geteuid?.() ?? -1
  const groupIds = [...(process.getgroups?.() ?? []), process.getegid?.() ?? -1]
  const name = new RegExp(`^([^:\n]+):[^:\n]*:${id}:`, 'm').exec((await readText(root, 'etc/passwd')) ?? '')?.[1]
  return { name: name ?? `user ${id}`, id, groupIds }
}

/** What every core can do, in the kernel's words; null where it tells nothing. */
export async function readCpuFeatures(root: string): Promise<string[] | null> {
  const lines = ((await readText(root, 'proc/cpuinfo')) ?? '').matchAll(/^(?:Features|flags)[ \t]*:(.*)$/gm)
  const [first, ...others] = [...lines].map(([, features = '']) => features.trim().split(/\s+/))
  // Big and little cores can differ, and a thread may run on any of them.
  return first?.filter((feature) => others.every((core) => core.includes(feature))) ?? null
}

async function readClock(root: string, searchPath: string): Promise<boolean | null> {
  // systemd-timesyncd leaves this when it has set the clock.
  if (await exists(root, 'run/systemd/timesync/synchronized')) return true
  const program = await findProgram(root, searchPath, ['timedatectl'])
  if (program === null) return null
  const answer = await promisify(execFile)(join(root, program), ['show', '--property=NTPSynchronized', '--value'], {
    timeout: timedatectlLimitMs,
    killSignal: 'SIGKILL',
  }).catch(() => null)
  const word = answer?.stdout.trim()
  return word === 'yes' ? true : word === 'no' ? false : null
}

async function readDisk(root: string, path: string): Promise<DiskFact | null> {
  const disk = await statfs(join(root, path)).catch(() => null)
  if (disk === null) return null
  const [isWritable, isReadOnly] = await Promise.all([isUsable(root, path), isOnReadOnly(root, path)])
  return { path, freeBytes: disk.bavail * disk.bsize, isWritable, isReadOnly }
}

async function readMemory(root: string): Promise<Facts['memory']> {
  const text = (await readText(root, 'proc/meminfo')) ?? ''
  const bytes = (field: string) => {
    const kibibytes = new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(text)?.[1]
    return kibibytes === undefined ? null : Number(kibibytes) * 1024
  }
  const cmaTotalBytes = bytes('CmaTotal') || null
  return {
    availableBytes: bytes('MemAvailable'),
    cmaTotalBytes,
    cmaFreeBytes: cmaTotalBytes === null ? null : bytes('CmaFree'),
  }
}
