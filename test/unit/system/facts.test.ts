import { execFile, spawnSync } from 'node:child_process'
import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { type Facts, readFacts } from '../../../src/system/facts.ts'
import { tempFolder } from '../../support/temp-folder.ts'

/** In a namespace of its own (util-linux). */
const canMount = spawnSync('unshare', ['-rm', 'mount', '-t', 'tmpfs', 'none', '/mnt']).status === 0

/** A machine's files below a temporary folder; a `->` before a text makes a symbolic link. */
async function machine(files: Record<string, string>): Promise<string> {
  const root = await tempFolder()
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true })
    if (text.startsWith('->')) await symlink(text.slice(2), join(root, path))
    else await writeFile(join(root, path), text, { mode: text.startsWith('#!') ? 0o755 : 0o644 })
  }
  return root
}

async function facts(files: Record<string, string>): Promise<Facts> {
  return readFacts({ root: await machine(files), searchPath: '/opt/bin:/usr/bin', folders: ['/tmp', '/nowhere'] })
}

const firmware = 'sys/devices/platform/soc/soc:firmware/get_throttled'
const zone = (number: number) => `sys/class/thermal/thermal_zone${number}`

describe('readFacts', () => {
  test('of an empty machine knows nothing and complains of nothing', async () => {
    expect(await facts({})).toEqual({
      user: { name: expect.stringContaining('user '), id: process.geteuid?.() ?? -1, groupIds: expect.any(Array) },
      cpuFeatures: null,
      programs: { camera: null, ffmpeg: null },
      devices: [],
      holders: [],
      unknownProcesses: null,
      isClockSynchronised: null,
      disks: [],
      memory: { availableBytes: null, cmaTotalBytes: null, cmaFreeBytes: null },
      tempC: null,
      throttled: null,
    } satisfies Facts)
  })

  test('survives files that are folders, empty, binary or nonsense', async () => {
    const odd = await facts({
      'proc/cpuinfo': '\0\0',
      'proc/meminfo': 'MemAvailable: much\nCmaTotal: -3 kB\n',
      'proc/12/fd': 'no folder',
      'proc/13/fd/x': '->/dev/video0\n',
      'dev/video0/inside': '',
      'sys/class/video4linux': 'no folder',
      [`${zone(0)}/temp`]: 'hot',
      [firmware]: '0xnonsense',
      'etc/group': ':::\n\n:',
    })
    expect(odd).toMatchObject({
      cpuFeatures: null,
      memory: { availableBytes: null, cmaTotalBytes: null },
      holders: [],
      tempC: null,
      throttled: null,
    })
  })

  test('of this very machine ends and finds its memory', async () => {
    expect((await readFacts()).memory.availableBytes).toBeGreaterThan(0)
  })

  test('the name of the user comes from passwd', async () => {
    const id = process.geteuid?.()
    const { user } = await facts({ 'etc/passwd': `x${id}:x:77${id}:0::/:\ncamera:x:${id}:${id}::/:/bin/sh\n` })
    expect(user.name).toBe('camera')
  })

  test('CPU features are those that every core has', async () => {
    const { cpuFeatures } = await facts({
      'proc/cpuinfo':
        'processor\t: 0\nFeatures\t: fp asimd asimddp\n\nprocessor\t: 1\nFeatures\t: fp asimd\n\nprocessor\t: 2\nFeatures\t: fp asimd asimddp\nCPU part\t: 0xd08\n',
    })
    expect(cpuFeatures).toEqual(['fp', 'asimd'])
  })

  test.each([
    [
      { 'usr/bin/rpicam-vid': '#!', 'opt/bin/libcamera-vid': '#!' },
      { camera: '/usr/bin/rpicam-vid', ffmpeg: null },
    ],
    [
      { 'usr/bin/libcamera-vid': '#!', 'opt/bin/ffmpeg': '#!' },
      { camera: '/usr/bin/libcamera-vid', ffmpeg: '/opt/bin/ffmpeg' },
    ],
    [
      { 'bin/rpicam-vid': '#!', 'usr/bin/ffmpeg': 'not executable' },
      { camera: null, ffmpeg: null },
    ],
  ])('programs under either name, on the search path only: %j', async (files: Record<string, string>, programs) => {
    expect((await facts(files)).programs).toEqual(programs)
  })

  test('devices come with driver name, group and whether we may use them', async () => {
    const root = await machine({
      'dev/video10': '',
      'dev/video2': '',
      'dev/video-other': '',
      'dev/media0': '',
      'dev/dma_heap/linux,cma': '',
      'sys/class/video4linux/video2/name': 'unicam-image\n',
      'etc/group': `root:x:9999:\ncameras:x:${process.getegid?.()}:\n`,
    })
    await chmod(join(root, 'dev/video2'), 0o660)
    const { devices } = await readFacts({ root })
    const group = { id: process.getegid?.(), name: 'cameras' }
    expect(devices).toEqual([
      { path: '/dev/media0', kind: 'media', name: null, isUsable: true, group: { ...group, mayUse: false } },
      { path: '/dev/video2', kind: 'video', name: 'unicam-image', isUsable: true, group: { ...group, mayUse: true } },
      { path: '/dev/video10', kind: 'video', name: null, isUsable: true, group: { ...group, mayUse: false } },
      {
        path: '/dev/dma_heap/linux,cma',
        kind: 'dma_heap',
        name: null,
        isUsable: true,
        group: { ...group, mayUse: false },
      },
    ])
  })

  test.skipIf(process.geteuid?.() === 0)('a device that we may not use (skipped for root, who may)', async () => {
    const root = await machine({ 'dev/video0': '' })
    await chmod(join(root, 'dev/video0'), 0o400)
    expect((await readFacts({ root })).devices).toMatchObject([{ isUsable: false }])
  })

  test('who has a camera open, and whether it is ours', async () => {
    const { holders, unknownProcesses } = await facts({
      'proc/1/fd/0': '->/dev/null',
      'proc/70/fd/3': '->/dev/video0',
      'proc/70/fd/4': '->/dev/video0',
      'proc/70/fd/5': '->/dev/media1',
      'proc/70/fd/6': '->/dev/video0 (deleted)',
      'proc/70/comm': 'python3\n',
      'proc/70/cmdline': 'python3\0camera.py\0',
      'proc/70/status': 'Name:\tpython3\nPPid:\t70\n',
      'proc/80/cmdline': 'node\0/opt/sightd/dist/vision/main.js\0',
      'proc/80/status': 'PPid:\t1\n',
      'proc/80/fd/0': '->/dev/null',
      'proc/81/cmdline': 'rpicam-vid\0',
      'proc/81/status': 'PPid:\t80\n',
      'proc/81/fd/9': '->/dev/media0',
      'proc/81/comm': 'rpicam-vid\n',
      'proc/self/fd/9': '->/dev/media0',
    })
    expect(unknownProcesses).toBe(0)
    expect(holders).toEqual([
      { pid: 70, name: 'python3', devices: ['/dev/video0', '/dev/media1'], isOurs: false },
      { pid: 81, name: 'rpicam-vid', devices: ['/dev/media0'], isOurs: true },
    ])
  })

  test.each([
    ['the file that timesyncd leaves', { 'run/systemd/timesync/synchronized': '' }, true],
    ['timedatectl says yes', { 'usr/bin/timedatectl': '#!/bin/sh\necho yes' }, true],
    ['timedatectl says no', { 'usr/bin/timedatectl': '#!/bin/sh\necho no' }, false],
    ['timedatectl fails', { 'usr/bin/timedatectl': '#!/bin/sh\necho yes\nexit 1' }, null],
    ['timedatectl says something else', { 'usr/bin/timedatectl': '#!/bin/sh\necho well' }, null],
    ['timedatectl never ends', { 'usr/bin/timedatectl': '#!/bin/sh\nexec tail -f /dev/null' }, null],
  ])('clock: %s', async (_, files: Record<string, string>, expected) => {
    expect((await facts(files)).isClockSynchronised).toBe(expected)
  })

  test('memory, with and without CMA', async () => {
    const meminfo = 'MemTotal: 900000 kB\nMemAvailable:     500000 kB\n'
    expect((await facts({ 'proc/meminfo': meminfo })).memory).toEqual({
      availableBytes: 512_000_000,
      cmaTotalBytes: null,
      cmaFreeBytes: null,
    })
    const withCma = await facts({
      'proc/meminfo': `${meminfo}CmaTotal:         262144 kB\nCmaFree:               0 kB\n`,
    })
    expect(withCma.memory).toMatchObject({ cmaTotalBytes: 256 * 1024 ** 2, cmaFreeBytes: 0 })
    const without = await facts({ 'proc/meminfo': `${meminfo}CmaTotal: 0 kB\nCmaFree: 0 kB\n` })
    expect(without.memory).toMatchObject({ cmaTotalBytes: null, cmaFreeBytes: null })
  })

  test.skipIf(!canMount)('disks: one that is mounted read-only (skipped where nothing may be mounted)', async () => {
    const folder = await tempFolder()
    const script = `
      const { readFacts } = await import('${new URL('../../../src/system/facts.ts', import.meta.url).href}')
      console.log(JSON.stringify((await readFacts({ folders: ['${folder}'] })).disks[0]))`
    const { stdout } = await promisify(execFile)('unshare', [
      ...['-rm', 'sh', '-c', 'mount -t tmpfs -o ro none "$1" && exec "$2" --input-type=module -e "$3"', 'sh'],
      ...[folder, process.execPath, script],
    ])
    expect(JSON.parse(stdout)).toMatchObject({ path: folder, isWritable: false, isReadOnly: true })
  })

  test('disks: a folder that is not there is left out', async () => {
    const { disks } = await facts({ 'tmp/x': '' })
    expect(disks).toEqual([{ path: '/tmp', freeBytes: expect.any(Number), isWritable: true, isReadOnly: false }])
    expect(disks[0]?.freeBytes).toBeGreaterThan(0)
  })

  test.each([
    [
      'the zone of the CPU',
      {
        [`${zone(0)}/type`]: 'gpu\n',
        [`${zone(0)}/temp`]: '40000\n',
        [`${zone(1)}/type`]: 'cpu-thermal\n',
        [`${zone(1)}/temp`]: '58900\n',
      },
      58.9,
    ],
    ['else the first', { [`${zone(2)}/temp`]: '41000\n', [`${zone(10)}/temp`]: '1000\n' }, 41],
    ['below zero', { [`${zone(0)}/temp`]: '-5500\n' }, -5.5],
  ])('temperature: %s', async (_, files: Record<string, string>, expected) => {
    expect((await facts(files)).tempC).toBe(expected)
  })

  test.each([
    [firmware, '50005\n', 0x50005],
    ['sys/devices/platform/soc@107c000000/soc@107c000000:firmware/get_throttled', '0x0\n', 0],
    ['sys/devices/platform/raspberrypi-firmware/get_throttled', '80008', 0x80008],
    ['sys/devices/platform/soc/other/get_throttled', '0', null],
  ])('throttling at %s', async (path, text, expected) => {
    expect((await facts({ [path]: text })).throttled).toBe(expected)
  })
})
