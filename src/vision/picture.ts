import { setImmediate } from 'node:timers/promises'
import { SightdError } from '../core/errors.ts'
import type { Frame, FrameGeometry } from '../core/frame.ts'
import { frameBytes, planeOffsets } from '../core/frame.ts'
import { createPreprocessor, type Preprocessor } from './preprocess.ts'

/** Tight rows of 3 bytes per pixel: R, G, B. */
export type RgbPicture = { readonly width: number; readonly height: number; readonly rgb: Uint8Array }

/** File name endings of the pictures that can be read. */
export const pictureEndings = ['.jpg', '.jpeg', '.png'] as const

const maxPixels = 100_000_000

/** Loaded only when a picture is wanted: libvips costs memory that a camera pipeline doesn't need. */
async function loadSharp() {
  const { default: sharp } = await import('sharp')
  // No cache: pictures are read once. One thread: there is other work for the cores.
  sharp.cache(false)
  sharp.concurrency(1)
  return sharp
}

/**
 * Reads a JPEG or PNG file, turned upright, at its own size or, if larger, shrunk to fit `maxSide` x `maxSide`.
 * Throws a SightdError `image_invalid` that names the file.
 */
export async function readPicture(path: string, maxSide: number): Promise<RgbPicture> {
  const sharp = await loadSharp()
  try {
    const { format } = await sharp(path, { limitInputPixels: maxPixels }).metadata()
    if (format !== 'jpeg' && format !== 'png') throw new Error(`the format is ${format}, JPEG and PNG can be read`)
    const { data, info } = await sharp(path, { limitInputPixels: maxPixels })
      .rotate()
      .resize({ width: maxSide, height: maxSide, fit: 'inside', withoutEnlargement: true })
      .flatten()
      .toColourspace('srgb')
      .raw()
      .toBuffer({ resolveWithObject: true })
    if (info.channels === 3) return { width: info.width, height: info.height, rgb: data }
    return { width: info.width, height: info.height, rgb: greyToRgb(data, info.channels) }
  } catch (error) {
    throw new SightdError('image_invalid', `${path}: can't be read as a picture`, { cause: error })
  }
}

/** Writes a picture as JPEG. */
export async function writeJpeg(path: string, { width, height, rgb }: RgbPicture): Promise<void> {
  const sharp = await loadSharp()
  await sharp(rgb, { raw: { width, height, channels: 3 } })
    .jpeg({ quality: 90 })
    .toFile(path)
}

/** Where a JPEG begins whose quality nobody chose. */
const usualQuality = 80

/** How a JPEG is made smaller, until it fits: shares of the quality that was wanted, then of width and height. */
const smallerAndSmaller = [
  { quality: 1, side: 1 },
  { quality: 0.75, side: 1 },
  { quality: 0.5, side: 1 },
  { quality: 0.5, side: 0.5 },
  { quality: 0.5, side: 0.25 },
  { quality: 0.5, side: 0.125 },
] as const

/** A frame as JPEG of at most `maxBytes`; undefined when even the smallest takes more. The frame must stay as it is. */
export async function encodeJpeg(
  frame: Pick<Frame, 'data' | 'geometry'>,
  { maxBytes, quality: wanted = usualQuality }: { readonly maxBytes: number; readonly quality?: number | undefined },
): Promise<Buffer | undefined> {
  const sharp = await loadSharp()
  const { width, height, rgb } = await toRgbInParts(frame)
  for (const { quality, side } of smallerAndSmaller) {
    const picture = sharp(rgb, { raw: { width, height, channels: 3 } })
    if (side < 1) picture.resize(Math.ceil(width * side), Math.ceil(height * side), { fit: 'fill' })
    const jpeg = await picture.jpeg({ quality: Math.max(1, Math.round(wanted * quality)) }).toBuffer()
    if (jpeg.length <= maxBytes) return jpeg
  }
  return undefined
}

function greyToRgb(data: Uint8Array, channels: number): Uint8Array {
  const pixels = data.length / channels
  const rgb = new Uint8Array(pixels * 3)
  for (let i = 0; i < pixels; i++) rgb.fill(data[i * channels] ?? 0, i * 3, i * 3 + 3)
  return rgb
}

/** The layout of a picture as a frame: an odd last column or row is left out, rows are tight. */
export function pictureGeometry({ width, height }: RgbPicture): FrameGeometry {
  const evenWidth = width & ~1
  return { width: evenWidth, height: height & ~1, stride: evenWidth }
}

/** RGB to I420, full-range BT.601 (ITU-T T.871 section 7), chroma averaged over 2x2 pixels; rows of `pictureGeometry`. */
export function toI420({ width: rgbWidth, rgb }: RgbPicture, geometry: FrameGeometry): Uint8Array {
  const { width, height, stride } = geometry
  const planes = planeOffsets(geometry)
  const frame = new Uint8ClampedArray(frameBytes(geometry))
  for (let y = 0; y < height; y += 2) {
    for (let x = 0; x < width; x += 2) {
      let red = 0
      let green = 0
      let blue = 0
      for (const [dy, dx] of quad) {
        const at = ((y + dy) * rgbWidth + x + dx) * 3
        const [r = 0, g = 0, b = 0] = [rgb[at], rgb[at + 1], rgb[at + 2]]
        frame[planes.y + (y + dy) * stride + x + dx] = 0.299 * r + 0.587 * g + 0.114 * b
        red += r / 4
        green += g / 4
        blue += b / 4
      }
      const chroma = (y / 2) * (stride / 2) + x / 2
      frame[planes.u + chroma] = 128 - 0.168736 * red - 0.331264 * green + 0.5 * blue
      frame[planes.v + chroma] = 128 + 0.5 * red - 0.418688 * green - 0.081312 * blue
    }
  }
  return new Uint8Array(frame.buffer)
}

/** A frame as a picture of the same size. */
export function toRgb({ data, geometry }: Pick<Frame, 'data' | 'geometry'>): RgbPicture {
  const { picture, preprocessor } = rgbOf(geometry)
  preprocessor.write(data, picture.rgb)
  return picture
}

/** Pixels of a part: half a millisecond on a desktop. */
const partPixels = 65_536

/**
 * The same, for a thread that has a camera to drain: 12 megapixels at once hold a desktop up for 100 ms, a board for several
 * times that. The inference thread would have the time, but not while it loads a model, or when one hangs; and
 * sharp must not end with a thread that is not the main one.
 */
export async function toRgbInParts({ data, geometry }: Pick<Frame, 'data' | 'geometry'>): Promise<RgbPicture> {
  const { picture, preprocessor } = rgbOf(geometry)
  const rows = Math.ceil(partPixels / geometry.width)
  for (let from = 0; from < geometry.height; from += rows) {
    preprocessor.write(data, picture.rgb, { from, to: from + rows })
    await setImmediate()
  }
  return picture
}

function rgbOf(geometry: FrameGeometry): { picture: RgbPicture; preprocessor: Preprocessor } {
  const { width, height } = geometry
  const input = {
    name: 'picture',
    shape: [1, height, width, 3] as [1, number, number, 3],
    type: 'uint8',
    layout: 'NHWC',
  } as const
  const preprocessor = createPreprocessor(geometry, { ...input, colour: 'RGB', resize: 'stretch' })
  return { picture: { width, height, rgb: new Uint8Array(width * height * 3) }, preprocessor }
}

const quad = [
  [0, 0],
  [0, 1],
  [1, 0],
  [1, 1],
] as const
