import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { frameBytes, paddedGeometry, planeOffsets } from '../../../src/core/frame.ts'
import { zoomInto } from '../../../src/vision/pan-zoom.ts'
import { pictureGeometry, readPicture, toI420, writeJpeg } from '../../../src/vision/picture.ts'
import { createInputTensor, createPreprocessor } from '../../../src/vision/preprocess.ts'
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
