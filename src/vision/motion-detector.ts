import type { Frame, FrameGeometry } from '../core/frame.ts'

/** What counts as motion: more than `share` of the cells differ by more than `level` (0..255) from the background. */
export type MotionLimits = { readonly level: number; readonly share: number }

/** Frames are looked at as about so many square cells, whatever their size. */
const wantedCells = 160 * 90

/** Luma samples per cell, spread evenly: enough to average noise away, few enough for a megapixel frame. */
const samplesX = 4
const samplesY = 2
const unit = samplesX * samplesY
const white = 255 * unit

/** What is darker or brighter than this has left the camera's range and doesn't tell how its light has changed. */
const darkest = 4 * unit
const brightest = 250 * unit

/** With a smaller share of the cells in range, as with a covered lens, nothing is said about the light. */
const leastFitted = 0.1

/** The background follows the scene with this time constant; Frigate's 0.01 per frame at 10 frames per second. */
const backgroundMs = 10_000

/** While the background is young it is the plain mean of this many frames. */
export const youngFrames = 10

/** Light that changes this many levels from one frame to the next, in so many cells, was switched (Frigate: 80 %). */
const switchedLevel = 12
const switchedShare = 0.8

/** The measure of noise follows faster: a camera turns up its own gain. */
const noiseMs = 3000

/** A level has to exceed noise by this many standard deviations, but no noise raises it beyond `maxNoisy` times its value. */
const noiseSigmas = 6
const maxNoisy = 3

/** The standard deviation of normal noise over the median of its amount. */
const sigmaPerMedian = 1.4826

/** With less contrast than this (a standard deviation, in levels) only brightness can be told, not gain. */
const leastContrast = 4

/** Differences are counted in steps of a quarter level. */
const step = unit / 4

/** One geometry's cells: where their samples are, what they show, and what was there before. Values are sums of `unit` samples. */
type Grid = {
  readonly geometry: FrameGeometry
  /** Offsets in the luma plane, `samplesX` per column of cells and `samplesY` per row. */
  readonly columns: Int32Array
  readonly rows: Int32Array
  readonly cells: Uint16Array
  readonly background: Float32Array
  /** Frames that the background has seen. */
  frames: number
}

/**
 * Tells motion from stillness on the luma plane. The background is first brought to the light of the new frame, by the
 * brightness and contrast that fit it best, so that clouds and automatic exposure are no motion; light that is switched
 * is, once. Allocates only when the geometry changes.
 */
export class MotionDetector {
  #grid: Grid | undefined
  /** How many cells differ by each number of quarter levels. */
  readonly #histogram = new Uint32Array(4 * 256)
  /** Median amount by which cells differ, slowly averaged; in levels. */
  #noise = 0
  /** How the light of the newest frame differs from the background's. */
  #gain = 1
  #offset = 0

  /** Compares a frame with the background, which then follows it; `elapsedMs` since the frame before. */
  moves(
    { geometry, data }: Pick<Frame, 'geometry' | 'data'>,
    elapsedMs: number,
    { level, share }: MotionLimits,
  ): boolean {
    if (this.#grid === undefined || !isSame(this.#grid.geometry, geometry)) this.#grid = createGrid(geometry)
    const grid = this.#grid
    const { cells, background } = grid
    sample(data, grid)
    if (grid.frames === 0) {
      background.set(cells)
      grid.frames = 1
      // Nothing to compare it with: it may show anything.
      return true
    }
    const young = grid.frames < youngFrames ? 1 / (grid.frames + 1) : 0
    const follow = Math.max(young, 1 - Math.exp(-elapsedMs / backgroundMs))
    this.#fitLight(grid)
    const switched = this.#compare(grid, follow)
    const median = this.#median(cells.length / 2)
    const noisy = Math.min(noiseSigmas * sigmaPerMedian * this.#noise, maxNoisy * level)
    // What is averaged later is not yet in the limit for this frame: a sudden change must not hide behind itself.
    this.#noise += (median - this.#noise) * Math.max(young, 1 - Math.exp(-elapsedMs / noiseMs))
    grid.frames++
    if (switched > switchedShare * cells.length) {
      background.set(cells)
      grid.frames = 1
      return true
    }
    return this.#above(Math.max(level, noisy)) > share * cells.length
  }

  /** The gain and offset that bring the background closest to the cells that are neither black nor white (least squares). */
  #fitLight({ cells, background }: Grid): void {
    let count = 0
    let sumX = 0
    let sumY = 0
    let sumXX = 0
    let sumXY = 0
    for (let i = 0; i < cells.length; i++) {
      const y = cells[i] ?? 0
      if (y < darkest || y > brightest) continue
      const x = background[i] ?? 0
      count++
      sumX += x
      sumY += y
      sumXX += x * x
      sumXY += x * y
    }
    this.#gain = 1
    this.#offset = 0
    if (count < leastFitted * cells.length) return
    const meanX = sumX / count
    const meanY = sumY / count
    const variance = sumXX / count - meanX * meanX
    const covariance = sumXY / count - meanX * meanY
    if (variance > (leastContrast * unit) ** 2) this.#gain = Math.min(2, Math.max(0.5, covariance / variance))
    this.#offset = meanY - this.#gain * meanX
  }

  /** Fills the histogram, lets the background follow; how many cells differ as if light had been switched. */
  #compare({ cells, background }: Grid, follow: number): number {
    const gain = this.#gain
    const offset = this.#offset
    const histogram = this.#histogram.fill(0)
    let switched = 0
    for (let i = 0; i < cells.length; i++) {
      const cell = cells[i] ?? 0
      const before = background[i] ?? 0
      if (Math.abs(cell - before) > switchedLevel * unit) switched++
      const expected = before * gain + offset
      // What is whiter than white can't be seen, but is remembered for when the light goes down again.
      const difference = cell - Math.min(white, Math.max(0, expected))
      const bin = (Math.abs(difference) / step) | 0
      histogram[bin] = (histogram[bin] ?? 0) + 1
      background[i] = expected + difference * follow
    }
    return switched
  }

  /** The level below which `count` cells differ. */
  #median(count: number): number {
    let below = 0
    for (let bin = 0; bin < this.#histogram.length; bin++) {
      below += this.#histogram[bin] ?? 0
      if (below >= count) return (bin + 0.5) / 4
    }
    return 255
  }

  #above(level: number): number {
    let count = 0
    for (let bin = Math.ceil(level * 4); bin < this.#histogram.length; bin++) count += this.#histogram[bin] ?? 0
    return count
  }
}

function createGrid(geometry: FrameGeometry): Grid {
  const { width, height, stride } = geometry
  const side = Math.max(1, Math.round(Math.sqrt((width * height) / wantedCells)))
  const cellsX = Math.floor(width / side)
  const cellsY = Math.floor(height / side)
  const offsets = (cells: number, samples: number, pitch: number) =>
    Int32Array.from({ length: cells * samples }, (_, i) => Math.floor(((i + 0.5) * side) / samples) * pitch)
  return {
    geometry,
    columns: offsets(cellsX, samplesX, 1),
    rows: offsets(cellsY, samplesY, stride),
    cells: new Uint16Array(cellsX * cellsY),
    background: new Float32Array(cellsX * cellsY),
    frames: 0,
  }
}

function sample(luma: Uint8Array, { columns, rows, cells }: Grid): void {
  let cell = 0
  for (let row = 0; row < rows.length; row += samplesY) {
    const upper = rows[row] ?? 0
    const lower = rows[row + 1] ?? 0
    for (let column = 0; column < columns.length; column += samplesX) {
      const a = columns[column] ?? 0
      const b = columns[column + 1] ?? 0
      const c = columns[column + 2] ?? 0
      const d = columns[column + 3] ?? 0
      cells[cell++] =
        (luma[upper + a] ?? 0) +
        (luma[upper + b] ?? 0) +
        (luma[upper + c] ?? 0) +
        (luma[upper + d] ?? 0) +
        (luma[lower + a] ?? 0) +
        (luma[lower + b] ?? 0) +
        (luma[lower + c] ?? 0) +
        (luma[lower + d] ?? 0)
    }
  }
}

function isSame(a: FrameGeometry, b: FrameGeometry): boolean {
  return a.width === b.width && a.height === b.height && a.stride === b.stride
}
