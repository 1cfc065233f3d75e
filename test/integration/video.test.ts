import { execFile } from 'node:child_process'
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { frameBytes, planeOffsets } from '../../src/core/frame.ts'
import { BufferPool } from '../../src/lib/buffer-pool.ts'
import { toRgb } from '../../src/vision/picture.ts'
import { openSource } from '../../src/vision/source.ts'
import { findProgram } from '../support/mosquitto.ts'
import { listProcesses } from '../support/processes.ts'
import { tempFolder } from '../support/temp-folder.ts'

const demo = fileURLToPath(new URL('../../deploy/demo', import.meta.url))
const options = { source: 'replay', width: 64, height: 48, fps: 25 } as const

// ffmpeg's pid is left in the working folder.
const home = process.cwd()
beforeEach(async () => process.chdir(await tempFolder()))
afterEach(() => process.chdir(home))

describe('replay of a video', () => {
  test.skipIf(findProgram('ffmpeg') === undefined)(
    'goes round and round, in full range, and ends its ffmpeg (skipped where ffmpeg is not installed)',
    async () => {
      const path = join(await tempFolder(), 'white.mp4')
      // Four frames of white in video range: 235 in the file has to arrive as 255.
      await promisify(execFile)('ffmpeg', [
        '-v',
        'error',
        '-f',
        'lavfi',
        '-i',
        'color=white:s=64x48:r=25:d=0.16',
        '-pix_fmt',
        'yuv420p',
        path,
      ])
      const source = await openSource({ ...options, path })
      const pool = new BufferPool(1, frameBytes(source.geometry))
      let count = 0
      for await (const { data } of source.frames(pool, AbortSignal.timeout(20_000))) {
        expect(data[0]).toBeGreaterThanOrEqual(253)
        expect(Math.abs((data[planeOffsets(source.geometry).u] ?? 0) - 128)).toBeLessThanOrEqual(1)
        pool.give(data)
        if (++count === 10) break
      }
      expect(count).toBe(10)
      await expect.poll(() => listProcesses().some(({ command }) => command.includes(path))).toBe(false)
    },
  )

  test.skipIf(findProgram('ffmpeg') === undefined)(
    'a file that is no video is named, with what ffmpeg said',
    async () => {
      const path = join(await tempFolder(), 'no.mp4')
      await writeFile(path, 'no video')
      const source = await openSource({ ...options, path })
      const frames = source.frames(new BufferPool(1, frameBytes(source.geometry)), AbortSignal.timeout(20_000))
      await expect(frames[Symbol.asyncIterator]().next()).rejects.toThrow(/no\.mp4: .*Invalid data/s)
    },
  )

  test('without ffmpeg it says that ffmpeg is needed', async () => {
    const folder = await tempFolder()
    await mkdir(join(folder, 'bin'))
    await symlink(process.execPath, join(folder, 'bin/node'))
    vi.stubEnv('PATH', join(folder, 'bin'))
    onTestFinished(() => {
      vi.unstubAllEnvs()
    })
    const source = await openSource({ ...options, path: join(demo, 'README.md') })
    const frames = source.frames(new BufferPool(1, frameBytes(source.geometry)), AbortSignal.timeout(20_000))
    await expect(frames[Symbol.asyncIterator]().next()).rejects.toThrow('ffmpeg is needed for it and is not installed')
  })

  test.skipIf(findProgram('ffmpeg') === undefined)(
    'colours of a video-range file are converted: a chart lands within 2 levels (skipped where ffmpeg is not installed)',
    async () => {
      const folder = await tempFolder()
      const chart = [0xff0000, 0x00ff00, 0x0000ff, 0xffffff, 0x000000, 0x808080, 0xc08040, 0x2060a0]
      const inputs = chart.flatMap((colour) => [
        '-f',
        'lavfi',
        '-i',
        `color=0x${colour.toString(16).padStart(6, '0')}:s=16x16:r=25:d=0.2,format=rgb24`,
      ])
      const stack = `${chart.map((_, i) => `[${i}]`).join('')}hstack=${chart.length},scale=out_color_matrix=bt601:out_range=tv,format=yuv420p`
      const path = join(folder, 'chart.mkv')
      const tags = ['-colorspace', 'smpte170m', '-color_range', 'tv']
      await promisify(execFile)('ffmpeg', [
        '-v',
        'error',
        ...inputs,
        '-filter_complex',
        stack,
        '-c:v',
        'ffv1',
        ...tags,
        path,
      ])
      const source = await openSource({ source: 'file', width: 128, height: 48, fps: 25, path })
      const pool = new BufferPool(1, frameBytes(source.geometry))
      for await (const frame of source.frames(pool, AbortSignal.timeout(20_000))) {
        const { rgb } = toRgb(frame)
        for (const [i, colour] of chart.entries()) {
          const at = (24 * 128 + i * 16 + 8) * 3
          const found = [...rgb.subarray(at, at + 3)]
          const expected = [colour >> 16, (colour >> 8) & 255, colour & 255]
          const distance = Math.max(...expected.map((level, channel) => Math.abs((found[channel] ?? 0) - level)))
          expect(distance, `${colour.toString(16)} became ${found}`).toBeLessThanOrEqual(2)
        }
        break
      }
    },
  )
})
