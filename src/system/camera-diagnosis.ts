import type { DeviceFact, DeviceKind, HolderFact } from './camera-facts.ts'
import type { Facts } from './facts.ts'
import { type Finding, type FindingStatus, ok, warning } from './finding.ts'

/** What a frame source works through. */
export type CameraNeed = {
  /** The source, as the configuration calls it. */
  readonly source: string
  readonly programs: readonly ('camera' | 'ffmpeg')[]
  readonly devices: readonly DeviceKind[]
}

/** From facts to findings on programs, device files and who uses them; pure. */
export function diagnoseCamera(facts: Facts, need: CameraNeed | null): Finding[] {
  return [
    diagnoseProgram('camera', facts.programs.camera, need),
    diagnoseProgram('ffmpeg', facts.programs.ffmpeg, need),
    ...(['video', 'media', 'dma_heap'] as const).map((kind) => diagnoseDevices(kind, facts, need)),
    diagnoseHolders(facts, need),
  ]
}

const programs = {
  camera: {
    check: 'camera program',
    what: 'rpicam-vid, libcamera-vid',
    use: 'a Raspberry Pi camera',
    advice: 'Install it: sudo apt install rpicam-apps-core, or where there is none, rpicam-apps-lite.',
  },
  ffmpeg: {
    check: 'ffmpeg',
    what: 'ffmpeg',
    use: 'videos and USB cameras',
    advice: 'Install it: sudo apt install ffmpeg.',
  },
} as const

function diagnoseProgram(name: 'camera' | 'ffmpeg', path: string | null, need: CameraNeed | null): Finding {
  const { check, what, use, advice } = programs[name]
  if (path !== null) return ok(check, path)
  return lacking(check, `${what} not on PATH`, advice, { use, need, isNeeded: need?.programs.includes(name) })
}

type Lack = { readonly use: string; readonly need: CameraNeed | null; readonly isNeeded: boolean | undefined }

/** What is missing is a problem for a source that needs it, a warning while nobody knows, and else all right. */
function lacking(check: string, found: string, advice: string, { use, need, isNeeded }: Lack): Finding {
  if (isNeeded === false) return ok(check, `${found}; source ${need?.source} needs none`)
  const status: FindingStatus = isNeeded === undefined ? 'warning' : 'problem'
  return { check, status, found, advice: isNeeded ? advice : `Needed for ${use}. ${advice}` }
}

const kinds = {
  video: {
    check: 'video devices',
    files: '/dev/video*',
    advice:
      'Check the cable and `rpicam-hello --list-cameras`, for a USB camera `lsusb`; plug cables only without power.',
    use: 'a camera',
    subsystem: 'video4linux',
  },
  media: {
    check: 'media devices',
    files: '/dev/media*',
    advice: "Check that camera_auto_detect=1 or the camera's dtoverlay is in /boot/firmware/config.txt.",
    use: 'a Raspberry Pi camera',
    subsystem: 'media',
  },
  dma_heap: {
    check: 'dma heaps',
    files: '/dev/dma_heap/*',
    advice: 'Use Raspberry Pi OS, or a kernel with CONFIG_DMABUF_HEAPS_CMA: camera buffers come from there.',
    use: 'a Raspberry Pi camera',
    subsystem: 'dma_heap',
  },
} as const

function diagnoseDevices(kind: DeviceKind, { devices, user }: Facts, need: CameraNeed | null): Finding {
  const { check, files, advice, use } = kinds[kind]
  const lack = { use, need, isNeeded: need?.devices.includes(kind) }
  const present = devices.filter((device) => device.kind === kind)
  if (present.length === 0) return lacking(check, `no ${files}`, advice, lack)
  const cameras = kind === 'video' ? present.filter(({ name }) => !isProcessor(name)) : present
  if (cameras.length === 0) return lacking(check, `no camera, only codec and image processor (${files})`, advice, lack)
  const closed = cameras.filter((device) => !device.isUsable)
  // One heap is enough; a camera is of no use without all its devices.
  const firstClosed = kind === 'dma_heap' && closed.length < cameras.length ? undefined : closed[0]
  if (firstClosed !== undefined)
    return lacking(
      check,
      `${user.name} can't read and write ${list(closed.map(({ path }) => path))}${isOutside(firstClosed, user) ? `, not being in group ${firstClosed.group.name}` : ''}`,
      accessAdvice(firstClosed, user),
      lack,
    )
  const names = [...new Set(cameras.map(({ name }) => name).filter((name) => name !== null))]
  const whom = user.id === 0 ? "root (run doctor as the service's user to learn what that may)" : user.name
  return ok(
    check,
    `${list(cameras.map(({ path }) => path))}${names.length > 0 ? ` (${list(names)})` : ''}, open to ${whom}`,
  )
}

/** Video devices of a Raspberry Pi's chip that work on pictures but are no cameras. */
function isProcessor(name: string | null): boolean {
  return name !== null && /^(bcm2835-(codec|isp)|rpi-?hevc|rpivid|pispbe)/.test(name)
}

/** Would joining the device's group help? Nobody should join root's. */
function isOutside({ group }: DeviceFact, user: Facts['user']): boolean {
  return group.mayUse && group.id !== 0 && group.name !== null && !user.groupIds.includes(group.id)
}

function accessAdvice(device: DeviceFact, user: Facts['user']): string {
  const { path, kind, group } = device
  if (isOutside(device, user))
    return `Join group ${group.name}: sudo usermod -aG ${group.name} ${user.name}, then log in again or restart the service.`
  return `Let group video use it (${path} doesn't): echo 'SUBSYSTEM=="${kinds[kind].subsystem}", GROUP="video", MODE="0660"' | sudo tee -a /etc/udev/rules.d/60-sightd.rules, then sudo udevadm trigger.`
}

function diagnoseHolders({ holders, unknownProcesses, devices }: Facts, need: CameraNeed | null): Finding {
  const check = 'camera in use'
  const others = holders.filter(({ isOurs, devices }) => !isOurs && devices !== null)
  const suspects = holders.filter(({ isOurs, devices }) => !isOurs && devices === null)
  if (others.length > 0) {
    const found = `by ${list(others.map((holder) => `${described(holder)}, which has ${list(holder.devices ?? [])} open`))}`
    const advice = `End it: sudo kill ${others.map(({ pid }) => pid).join(' ')}, or its service.`
    // Sound servers open cameras to list them, which doesn't always keep others out.
    const areListers = others.every(({ name }) => /^(pipewire|wireplumber)/.test(name))
    const isNeeded = need !== null && need.devices.length > 0
    return { check, status: isNeeded && !areListers ? 'problem' : 'warning', found, advice }
  }
  if (suspects.length > 0)
    return warning(
      check,
      `unknown: ${list(suspects.map(described))} may have it, but can't be looked into`,
      'Look again as root: sudo sightd doctor.',
    )
  const ours = holders.filter(({ isOurs }) => isOurs)
  if (ours.length > 0) return ok(check, `by sightd itself: ${list(ours.map(described))}`)
  if (devices.length === 0) return ok(check, 'no camera device to use')
  if (unknownProcesses === null)
    return warning(check, "unknown: /proc hides other users' processes", 'Look again as root: sudo sightd doctor.')
  const unknown =
    unknownProcesses > 0 ? `; ${unknownProcesses} processes of other users unknown, no camera program` : ''
  return ok(check, `by nobody${unknown}`)
}

function described({ name, pid }: HolderFact): string {
  return `${name} (pid ${pid})`
}

/** `a, b, c`, cut after six. */
function list(items: readonly string[]): string {
  const shown = items.slice(0, 6).join(', ')
  return items.length > 6 ? `${shown} and ${items.length - 6} more` : shown
}
