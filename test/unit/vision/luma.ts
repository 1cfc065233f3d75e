import { type FrameGeometry, frameBytes } from '../../../src/core/frame.ts'

/** Synthetic frames for the motion gate: only their luma plane says anything. */

/** The same numbers in every run (Numerical Recipes' generator). */
function randomNumbers(): () => number {
  let state = 1
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}

const random = randomNumbers()

/** Normal noise of standard deviation 1 (the sum of twelve uniform numbers); frames start somewhere in it. */
const noise = Float32Array.from({ length: 1_000_003 }, () => {
  let sum = -6
  for (let i = 0; i < 12; i++) sum += random()
  return sum
})

export type Look = {
  /** Brightness of the pixel, 0..255 before noise. */
  readonly level: (x: number, y: number) => number
  readonly sigma?: number
}

/** A room of 480x360: a gradient, a dark door and a bright window. */
export function room(x: number, y: number): number {
  if (x >= 300 && x < 420 && y >= 45 && y < 150) return 200
  if (x >= 60 && x < 150 && y >= 110) return 40
  return 70 + ((x + y) * 60) / 840
}

/** What a still scene looks like is worked out once. */
const planes = new WeakMap<Look['level'], Float32Array>()

function planeOf(level: Look['level'], { width, height }: FrameGeometry): Float32Array {
  const known = planes.get(level)
  if (known?.length === width * height) return known
  const plane = new Float32Array(width * height)
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) plane[y * width + x] = level(x, y)
  planes.set(level, plane)
  return plane
}

export function draw({ level, sigma = 0 }: Look, geometry: FrameGeometry): Uint8Array<ArrayBuffer> {
  const { width, height, stride } = geometry
  const plane = planeOf(level, geometry)
  const data = new Uint8ClampedArray(frameBytes(geometry))
  let at = Math.floor(random() * noise.length)
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      at = at + 1 < noise.length ? at + 1 : 0
      data[y * stride + x] = (plane[y * width + x] ?? 0) + sigma * (noise[at] ?? 0)
    }
    // Padding is never the same.
    for (let x = width; x < stride; x++) data[y * stride + x] = 256 * random()
  }
  return new Uint8Array(data.buffer)
}
