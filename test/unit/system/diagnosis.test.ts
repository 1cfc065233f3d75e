import { describe, expect, test } from 'vitest'
import type { CameraNeed } from '../../../src/system/camera-diagnosis.ts'
import type { DeviceFact } from '../../../src/system/camera-facts.ts'
import { diagnose, type Situation } from '../../../src/system/diagnosis.ts'
import type { Facts } from '../../../src/system/facts.ts'
import { gravest } from '../../../src/system/finding.ts'

const mebibyte = 1024 ** 2
const piCamera: CameraNeed = { source: 'libcamera', programs: ['camera'], devices: ['video', 'media', 'dma_heap'] }
const usbCamera: CameraNeed = { source: 'usb', programs: ['ffmpeg'], devices: ['video'] }
const photos: CameraNeed = { source: 'replay', programs: [], devices: [] }

const videoGroup = { id: 44, name: 'video', mayUse: true }

function device(path: string, changes: Partial<DeviceFact> = {}): DeviceFact {
  const kind = path.includes('dma_heap') ? 'dma_heap' : path.includes('media') ? 'media' : 'video'
  return { path, kind, name: null, isUsable: true, group: videoGroup, ...changes }
}

/** A Raspberry Pi 4 on which all is well. */
const pi4Facts: Facts = {
  user: { name: 'sightd', id: 990, groupIds: [44, 990] },
  cpuFeatures: ['fp', 'asimd', 'evtstrm', 'crc32', 'cpuid'],
  programs: { camera: '/usr/bin/rpicam-vid', ffmpeg: null },
  devices: [
    device('/dev/video0', { name: 'unicam-image' }),
    device('/dev/video10', { name: 'bcm2835-codec-decode' }),
    device('/dev/media0'),
    device('/dev/dma_heap/linux,cma'),
    device('/dev/dma_heap/system'),
  ],
  holders: [],
  unknownProcesses: 0,
  isClockSynchronised: true,
  disks: [{ path: '/var/lib/sightd', freeBytes: 9000 * mebibyte, isWritable: true, isReadOnly: false }],
  memory: { availableBytes: 1500 * mebibyte, cmaTotalBytes: 512 * mebibyte, cmaFreeBytes: 400 * mebibyte },
  tempC: 52.1,
  throttled: 0,
}

const pi4: Situation = {
  facts: pi4Facts,
  board: { os: 'Debian GNU/Linux 12 (bookworm)', model: 'Raspberry Pi 4 Model B Rev 1.4', serial: '10000000a1b2c3d4' },
  arch: 'arm64',
  nowMs: Date.UTC(2026, 10, 24),
  need: piCamera,
}
const pi4With = (facts: Partial<Facts>, rest: Partial<Situation> = {}): Situation => ({
  ...pi4,
  ...rest,
  facts: { ...pi4Facts, ...facts },
})
const memory = (changes: Partial<Facts['memory']>) => pi4With({ memory: { ...pi4Facts.memory, ...changes } })

const pi3 = pi4With(
  { memory: { availableBytes: 500 * mebibyte, cmaTotalBytes: 256 * mebibyte, cmaFreeBytes: 200 * mebibyte } },
  { board: { ...pi4.board, model: 'Raspberry Pi 3 Model B Plus Rev 1.3' } },
)
const pi5 = pi4With(
  {
    cpuFeatures: ['fp', 'asimd', 'asimdhp', 'asimdrdm', 'asimddp'],
    devices: [
      device('/dev/video0', { name: 'rp1-cfe-csi2_ch0' }),
      device('/dev/video19', { name: 'rpi-hevc-dec' }),
      device('/dev/video20', { name: 'pispbe-input' }),
      device('/dev/media0'),
      device('/dev/dma_heap/vidbuf_cached'),
    ],
    memory: { availableBytes: 7000 * mebibyte, cmaTotalBytes: 64 * mebibyte, cmaFreeBytes: 50 * mebibyte },
  },
  { board: { ...pi4.board, model: 'Raspberry Pi 5 Model B Rev 1.0' } },
)
const pc = pi4With(
  {
    cpuFeatures: ['sse4_1', 'avx2', 'avx512_vnni'],
    programs: { camera: null, ffmpeg: '/usr/bin/ffmpeg' },
    devices: [],
    memory: { availableBytes: 20_000 * mebibyte, cmaTotalBytes: null, cmaFreeBytes: null },
  },
  { board: { os: 'Debian GNU/Linux 12 (bookworm)', model: null, serial: null }, arch: 'x64', need: photos },
)

function finding(situation: Situation, check: string) {
  const found = diagnose(situation).find((candidate) => candidate.check === check)
  if (found === undefined) throw new Error(`no finding ${check}`)
  return found
}

describe('a machine on which all is well', () => {
  test.each([
    ['Raspberry Pi 3', pi3],
    ['Raspberry Pi 4', pi4],
    ['Raspberry Pi 5', pi5],
    ['x64 that replays photos', pc],
  ])('%s: every finding is ok and none gives advice', (_, situation) => {
    expect(diagnose(situation).filter(({ status, advice }) => status !== 'ok' || advice !== null)).toEqual([])
    expect(gravest(diagnose(situation))).toBe('ok')
  })

  test('names of checks are unique, so that a script can go by them', () => {
    const checks = diagnose(pi4).map(({ check }) => check)
    expect(new Set(checks).size).toBe(checks.length)
  })
})

describe('what is missing', () => {
  test.each([
    ['no file can be read', pi4With({ cpuFeatures: null }), 'cpu'],
    ['no timedatectl', pi4With({ isClockSynchronised: null }), 'clock'],
    ['no thermal zone', pi4With({ tempC: null }), 'temperature'],
    ['no get_throttled on a Raspberry Pi', pi4With({ throttled: null }), 'throttling'],
    ['no MemAvailable', memory({ availableBytes: null }), 'memory'],
    ['processes that are hidden', pi4With({ unknownProcesses: null }), 'camera in use'],
  ])('%s: the finding says unknown and is a warning, never ok', (_, situation, check) => {
    const { status, found, advice } = finding(situation, check)
    expect(found).toContain('unknown')
    expect(status).toBe('warning')
    expect(advice).not.toBe(null)
  })
})

test('what only a Raspberry Pi tells is no warning elsewhere', () => {
  const elsewhere: Situation = { ...pc, facts: { ...pc.facts, throttled: null, tempC: null } }
  for (const check of ['throttling', 'temperature'])
    expect(finding(elsewhere, check)).toEqual({ check, status: 'ok', found: 'not told by this board', advice: null })
  expect(gravest(diagnose(elsewhere))).toBe('ok')
})

const noDevice = (kind: DeviceFact['kind']) => pi4Facts.devices.filter((candidate) => candidate.kind !== kind)
const closed = (changes: Partial<DeviceFact>, user: Partial<Facts['user']> = {}) =>
  pi4With({
    devices: [device('/dev/video0', { isUsable: false, ...changes }), ...noDevice('video')],
    user: { ...pi4Facts.user, ...user },
  })
const holder = { pid: 812, name: 'python3', devices: ['/dev/video0', '/dev/media0'], isOurs: false }

describe('camera', () => {
  test.each([
    [
      'no camera program',
      pi4With({ programs: { camera: null, ffmpeg: null } }),
      'camera program',
      'problem',
      'not on PATH',
      'apt install rpicam-apps-core',
    ],
    [
      'no ffmpeg for a USB camera',
      pi4With({}, { need: usbCamera }),
      'ffmpeg',
      'problem',
      'not on PATH',
      'apt install ffmpeg',
    ],
    [
      'no video device',
      pi4With({ devices: noDevice('video') }),
      'video devices',
      'problem',
      'no /dev/video*',
      'Check the cable',
    ],
    [
      'no video device, no configuration',
      pi4With({ devices: noDevice('video') }, { need: null }),
      'video devices',
      'warning',
      'no /dev/video*',
      'Needed for a camera',
    ],
    [
      'no video device, replay',
      pi4With({ devices: [] }, { need: photos }),
      'video devices',
      'ok',
      'source replay needs none',
      null,
    ],
    [
      'codecs only',
      pi4With({ devices: [device('/dev/video10', { name: 'bcm2835-codec-decode' })] }),
      'video devices',
      'problem',
      'no camera, only codec',
      'Check the cable',
    ],
    [
      'no media device',
      pi4With({ devices: noDevice('media') }),
      'media devices',
      'problem',
      'no /dev/media*',
      'camera_auto_detect=1',
    ],
    [
      'no heap',
      pi4With({ devices: noDevice('dma_heap') }),
      'dma heaps',
      'problem',
      'no /dev/dma_heap/*',
      'CONFIG_DMABUF_HEAPS_CMA',
    ],
    [
      'one heap of two is closed',
      pi4With({
        devices: [
          ...noDevice('dma_heap'),
          device('/dev/dma_heap/linux,cma'),
          device('/dev/dma_heap/reserved', { isUsable: false }),
        ],
      }),
      'dma heaps',
      'ok',
      'linux,cma',
      null,
    ],
    [
      'a heap without a rule',
      pi4With({
        devices: [
          ...noDevice('dma_heap'),
          device('/dev/dma_heap/system', { isUsable: false, group: { id: 0, name: 'root', mayUse: false } }),
        ],
      }),
      'dma heaps',
      'problem',
      "can't read and write /dev/dma_heap/system",
      'SUBSYSTEM=="dma_heap"',
    ],
    [
      'a missing group',
      closed({}, { groupIds: [990] }),
      'video devices',
      'problem',
      "sightd can't read and write /dev/video0, not being in group video",
      'usermod -aG video sightd',
    ],
    [
      'a group that may not',
      closed({ group: { ...videoGroup, mayUse: false } }),
      'video devices',
      'problem',
      "can't",
      'SUBSYSTEM=="video4linux"',
    ],
    [
      'a group without a name',
      closed({ group: { id: 1234, name: null, mayUse: true } }),
      'video devices',
      'problem',
      "can't",
      'udev',
    ],
    [
      'root',
      pi4With({ user: { name: 'root', id: 0, groupIds: [0] } }),
      'video devices',
      'ok',
      "run doctor as the service's user",
      null,
    ],
    [
      'busy',
      pi4With({ holders: [holder] }),
      'camera in use',
      'problem',
      'python3 (pid 812), which has /dev/video0, /dev/media0 open',
      'kill 812',
    ],
    [
      'busy, not needed',
      pi4With({ holders: [holder] }, { need: photos }),
      'camera in use',
      'warning',
      'python3',
      'kill 812',
    ],
    [
      'listed by a sound server',
      pi4With({ holders: [{ ...holder, name: 'wireplumber' }] }),
      'camera in use',
      'warning',
      'wireplumber',
      'kill 812',
    ],
    [
      'busy with sightd',
      pi4With({ holders: [{ ...holder, name: 'rpicam-vid', isOurs: true }] }),
      'camera in use',
      'ok',
      'by sightd itself: rpicam-vid (pid 812)',
      null,
    ],
    [
      'perhaps busy',
      pi4With({ holders: [{ ...holder, name: 'rpicam-vid', devices: null }] }),
      'camera in use',
      'warning',
      'unknown: rpicam-vid (pid 812) may have it',
      'sudo sightd doctor',
    ],
    [
      'others that are no camera program',
      pi4With({ unknownProcesses: 12 }),
      'camera in use',
      'ok',
      'by nobody; 12 processes of other users unknown',
      null,
    ],
  ])('%s', (_, situation, check, status, found, advice) => {
    const actual = finding(situation, check)
    expect(actual).toMatchObject({ status, found: expect.stringContaining(found) })
    if (advice === null) expect(actual.advice).toBe(null)
    else expect(actual.advice).toContain(advice)
  })
})

const cpu = (arch: string, ...cpuFeatures: string[]) => pi4With({ cpuFeatures }, { arch })
const disk = (freeMb: number, isWritable = true, isReadOnly = false) =>
  pi4With({ disks: [{ path: '/tmp', freeBytes: freeMb * mebibyte, isWritable, isReadOnly }] })

describe('machine', () => {
  test.each([
    ['32-bit system', { ...pi4, arch: 'arm' }, 'system', 'problem', 'Raspberry Pi 4', '64-bit'],
    ['no device tree', pc, 'system', 'ok', 'board unknown', null],
    ['NEON', cpu('arm64', 'asimd'), 'cpu', 'ok', 'no dot product', null],
    ['i8mm', cpu('arm64', 'asimd', 'asimddp', 'i8mm'), 'cpu', 'ok', 'i8mm', null],
    ['no NEON', cpu('arm64', 'fp'), 'cpu', 'problem', 'no NEON', 'another board'],
    ['no VNNI', cpu('x64', 'avx2'), 'cpu', 'ok', 'no VNNI', null],
    ['no AVX2', cpu('x64', 'sse4_1'), 'cpu', 'warning', 'no AVX2', 'slow'],
    [
      'clock unsynchronised',
      pi4With({ isClockSynchronised: false }),
      'clock',
      'warning',
      'not synchronised',
      'set-ntp true',
    ],
    ['clock never set', pi4With({}, { nowMs: 0 }), 'clock', 'problem', '1970-01-01', 'set-ntp true'],
    ['disk full', disk(3), 'disk /tmp', 'problem', '3 MB free', 'Make room'],
    ['disk nearly full', disk(150), 'disk /tmp', 'warning', '150 MB free', 'Make room'],
    ['disk that nobody can write', disk(5000, false, true), 'disk /tmp', 'problem', 'read-only', 'Mount it'],
    ['full disk that nobody can write', disk(0, false, true), 'disk /tmp', 'problem', 'read-only', 'Mount it'],
    ['disk of another user', disk(5000, false), 'disk /tmp', 'warning', "can't write", 'Run doctor as'],
    ['no memory', memory({ availableBytes: 60 * mebibyte }), 'memory', 'problem', '60 MB', '150 MB'],
    ['little memory', memory({ availableBytes: 160 * mebibyte }), 'memory', 'warning', '160 MB', '150 MB'],
    ['no CMA', memory({ cmaTotalBytes: null }), 'cma', 'warning', 'none', 'cma-256'],
    ['CMA used up', memory({ cmaFreeBytes: mebibyte }), 'cma', 'warning', '512 MB, 1 MB free', 'cma-256'],
    ['warm', pi4With({ tempC: 71.25 }), 'temperature', 'warning', '71.3 °C', 'Cool it'],
    ['hot', pi4With({ tempC: 82 }), 'temperature', 'problem', '82.0 °C', 'Cool it'],
    [
      'throttled, supply',
      pi4With({ throttled: 0x50005 }),
      'throttling',
      'problem',
      'now: under-voltage, throttled (0x50005)',
      'power supply',
    ],
    [
      'throttled before',
      pi4With({ throttled: 0x50000 }),
      'throttling',
      'warning',
      'since boot: under-voltage, throttled (0x50000)',
      'power supply',
    ],
    [
      'soft limit',
      pi4With({ throttled: 0x80008 }),
      'throttling',
      'warning',
      'now: soft temperature limit (0x80008)',
      'Cool it',
    ],
    [
      'throttled, heat',
      pi4With({ throttled: 0xe0006 }),
      'throttling',
      'problem',
      'now: frequency capped, throttled; since boot: soft',
      'Cool it',
    ],
  ])('%s', (_, situation, check, status, found, advice) => {
    const actual = finding(situation, check)
    expect(actual).toMatchObject({ status, found: expect.stringContaining(found) })
    if (advice === null) expect(actual.advice).toBe(null)
    else expect(actual.advice).toContain(advice)
    expect(gravest(diagnose(situation))).toBe(status)
  })
})
