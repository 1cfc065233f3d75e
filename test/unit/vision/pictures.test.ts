import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { frameBytes, paddedGeometry, planeOffsets } from '../../../src/core/frame.ts'
import { createInputTensor } from '../../../src/vision/input-tensor.ts'
import { zoomInto } from '../../../src/vision/pan-zoom.ts'
import {
  encodeJpeg,
  pictureGeometry,
  readPicture,
  toI420,
  toRgb,
  toRgbInParts,
  writeJpeg,
} from '../../../src/vision/picture.ts'
import { createPreprocessor } from '../../../src/vision/preprocess.ts'
import { readJpeg } from '../../support/jpeg.ts'
import { tempFolder } from '../../support/temp-folder.ts'

const flat = (width: number, height: number, colour: readonly number[]) => ({
  width,
  height,
  rgb: Uint8Array.from({ length: width * height * 3 }, (_, i) => colour[i % 3] ?? 0),
})

describe('pictures', () => {
  test.each([[[250, 20, 30]], [[10, 200, 90]], [[40, 60, 255]], [[128, 128, 128]]])(
    'colour %j survives I420 and preprocessing within 2 levels',
    (colour) => {
      const picture = flat(7, 5, colour)
      const geometry = pictureGeometry(picture)
      expect(geometry).toEqual({ width: 6, height: 4, stride: 6 })
      const input = {
        name: 'i',
        shape: [1, 2, 2, 3],
        type: 'uint8',
        layout: 'NHWC',
        colour: 'RGB',
        resize: 'stretch',
      } as const
      const tensor = createInputTensor({ ...input, shape: [1, 2, 2, 3] })
      createPreprocessor(geometry, { ...input, shape: [1, 2, 2, 3] }).write(toI420(picture, geometry), tensor)
      for (const [i, level] of tensor.entries()) expect(Math.abs(level - (colour[i % 3] ?? 0))).toBeLessThanOrEqual(2)
    },
  )

  test('JPEG is written and read back; larger pictures are shrunk to fit', async () => {
    const path = join(await tempFolder(), 'a.jpg')
    await writeJpeg(path, flat(64, 32, [200, 100, 50]))
    const { width, height, rgb } = await readPicture(path, 16)
    expect([width, height, rgb.length]).toEqual([16, 8, 16 * 8 * 3])
    expect(Math.abs((rgb[0] ?? 0) - 200)).toBeLessThanOrEqual(3)
  })

  test('what is not a picture is refused by name, with the reason', async () => {
    const path = join(await tempFolder(), 'a.jpg')
    await writeFile(path, 'no picture')
    await expect(readPicture(path, 16)).rejects.toMatchObject({
      code: 'image_invalid',
      message: expect.stringContaining(path),
    })
    const busy = flat(64, 64, [0, 0, 0])
    await writeJpeg(path, { ...busy, rgb: busy.rgb.map((_, i) => (i * 7919) % 256) })
    const whole = await readFile(path)
    await writeFile(path, whole.subarray(0, whole.length / 2))
    await expect(readPicture(path, 16)).rejects.toMatchObject({ code: 'image_invalid' })
  })
})

describe('encodeJpeg', () => {
  const geometry = paddedGeometry(640, 480)
  /** Slopes with a little noise, like a photo. */
  const frame = {
    geometry,
    data: Uint8Array.from({ length: frameBytes(geometry) }, (_, i) => ((i % 640) + i / 5000 + ((i * 7919) % 13)) % 256),
  }

  test('shows every part of the frame', async () => {
    const { u } = planeOffsets(geometry)
    const smooth = { geometry, data: frame.data.map((_, i) => (i < u ? 60 + (i % 640) / 10 + i / 6000 : 150)) }
    const jpeg = await encodeJpeg(smooth, { maxBytes: 1_000_000, quality: 100 })
    const { width, height, rgb } = await readJpeg(jpeg ?? '')
    expect([width, height]).toEqual([640, 480])
    const wanted = toRgb(smooth).rgb
    let worst = 0
    for (let i = 0; i < wanted.length; i++) worst = Math.max(worst, Math.abs((rgb[i] ?? 0) - (wanted[i] ?? 0)))
    expect(worst).toBeLessThanOrEqual(6)
  })

  test('is made smaller until it fits: in quality first, then in size', async () => {
    const sizes: string[] = []
    for (const maxBytes of [1_000_000, 80_000, 40_000, 20_000, 3000, 1000, 500]) {
      const jpeg = await encodeJpeg(frame, { maxBytes })
      if (jpeg === undefined) sizes.push('none')
      else {
        expect(jpeg.length).toBeLessThanOrEqual(maxBytes)
        const { width, height } = await readJpeg(jpeg)
        sizes.push(`${width}x${height}`)
      }
    }
    expect(sizes).toEqual(['640x480', '640x480', '640x480', '320x240', '160x120', '80x60', 'none'])
  })

  test('gives way to others while it converts colours: at 640x480 four times and once at the end', async () => {
    let turns = 0
    let isDone = false
    const count = () => {
      if (isDone) return
      turns++
      setImmediate(count)
    }
    setImmediate(count)
    const { rgb } = await toRgbInParts(frame)
    isDone = true
    expect(turns).toBe(5)
    expect(Buffer.compare(rgb, toRgb(frame).rgb)).toBe(0)
  })
})

describe('zoomInto', () => {
  const geometry = paddedGeometry(64, 48)
  const picture = flat(60, 30, [255, 0, 0])
  const still = { geometry: pictureGeometry(picture), data: toI420(picture, pictureGeometry(picture)) }

  test('shows the whole picture between grey bars, without touching the padding of rows', () => {
    const padded = { width: 60, height: 48, stride: 64 }
    const frame = new Uint8Array(frameBytes(padded)).fill(7)
    zoomInto(still, 0, frame, padded)
    const row = (y: number) => [frame[y * 64], frame[y * 64 + 59], frame[y * 64 + 60]]
    expect(row(0)).toEqual([128, 128, 7])
    expect(row(24)).toEqual([76, 76, 7])
    expect(frame[planeOffsets(padded).v + 12 * 32]).toBe(255)
  })

  test('no two frames are alike', () => {
    const noise = { ...still, data: still.data.map((_, i) => (i * 7919) % 256) }
    const frames = [0, 0.1, 0.2].map((progress) => {
      const frame = new Uint8Array(frameBytes(geometry))
      zoomInto(noise, progress, frame, geometry)
      return Buffer.from(frame).toString('base64')
    })
    expect(new Set(frames).size).toBe(3)
  })
})
