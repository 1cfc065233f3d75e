import { type FrameGeometry, planeOffsets } from '../core/frame.ts'

export type Still = { readonly geometry: FrameGeometry; readonly data: Uint8Array }

/** How much of the picture's side the zoom has cut off at the end. */
const zoomBy = 0.12

/** Mid grey in all three planes is 128; bars beside the picture are drawn with it. */
const grey = 128

/**
 * Draws a still into a frame of another geometry: the whole picture first, then slowly closer and to the right, so that
 * no two frames are alike. `progress` in 0..1. The picture keeps its aspect ratio between grey bars.
 */
export function zoomInto(still: Still, progress: number, target: Uint8Array, geometry: FrameGeometry): void {
  const { width, height } = still.geometry
  const scale = Math.max(width / geometry.width, height / geometry.height) * (1 - zoomBy * progress)
  const window = { width: geometry.width * scale, height: geometry.height * scale }
  const x = (width - window.width) / 2 + (zoomBy / 4) * progress * width
  const y = (height - window.height) / 2
  const from = planeOffsets(still.geometry)
  const to = planeOffsets(geometry)
  for (const [plane, shrink] of [['y', 1] as const, ['u', 2] as const, ['v', 2] as const]) {
    resample(
      {
        data: still.data,
        offset: from[plane],
        stride: still.geometry.stride / shrink,
        width: width / shrink,
        height: height / shrink,
      },
      {
        data: target,
        offset: to[plane],
        stride: geometry.stride / shrink,
        width: geometry.width / shrink,
        height: geometry.height / shrink,
      },
      { x: x / shrink, y: y / shrink, scale },
    )
  }
}

type Plane = {
  readonly data: Uint8Array
  readonly offset: number
  readonly stride: number
  readonly width: number
  readonly height: number
}

/** Bilinear, half-pixel centres, 8-bit weights. */
function resample(from: Plane, to: Plane, window: { x: number; y: number; scale: number }): void {
  for (let row = 0; row < to.height; row++) {
    const sourceY = window.y + (row + 0.5) * window.scale - 0.5
    const out = to.offset + row * to.stride
    if (sourceY < -0.5 || sourceY > from.height - 0.5) {
      to.data.fill(grey, out, out + to.width)
      continue
    }
    const y0 = Math.max(0, Math.floor(sourceY))
    const wy = Math.max(0, Math.round((sourceY - y0) * 256))
    const top = from.offset + y0 * from.stride
    const bottom = from.offset + Math.min(from.height - 1, y0 + 1) * from.stride
    for (let column = 0; column < to.width; column++) {
      const sourceX = window.x + (column + 0.5) * window.scale - 0.5
      if (sourceX < -0.5 || sourceX > from.width - 0.5) {
        to.data[out + column] = grey
        continue
      }
      const x0 = Math.max(0, Math.floor(sourceX))
      const x1 = Math.min(from.width - 1, x0 + 1)
      const wx = Math.max(0, Math.round((sourceX - x0) * 256))
      const a = (from.data[top + x0] ?? 0) * (256 - wx) + (from.data[top + x1] ?? 0) * wx
      const b = (from.data[bottom + x0] ?? 0) * (256 - wx) + (from.data[bottom + x1] ?? 0) * wx
      to.data[out + column] = (a * (256 - wy) + b * wy + 32768) >> 16
    }
  }
}
