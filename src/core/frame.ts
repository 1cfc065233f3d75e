/**
 * Layout of an I420 (planar YUV 4:2:0) picture in memory, as libcamera delivers it: Y rows of `stride` bytes, then U and
 * V rows of `stride / 2` bytes for half as many rows. `width`, `height` and `stride` are even and `stride >= width`; bytes
 * of a row past `width` (or `width / 2`) are padding. Colours are full-range BT.601 (JPEG), like rpicam-vid's `yuv420`.
 */
export type FrameGeometry = {
  readonly width: number
  readonly height: number
  readonly stride: number
}

/** One picture: the first `frameBytes(geometry)` bytes of `data`, which belongs to whoever holds the frame. */
export type Frame = {
  /** Milliseconds since the epoch at which the picture was complete. */
  readonly capturedAtMs: number
  readonly geometry: FrameGeometry
  readonly data: Uint8Array<ArrayBuffer>
  /** It may be torn or old: counted, but not for the model. */
  readonly isStale: boolean
}

/** Bytes of a whole frame: the Y plane and two quarter-size planes. */
export function frameBytes({ stride, height }: FrameGeometry): number {
  return (stride * height * 3) / 2
}

/** Byte offsets of the three planes. */
export function planeOffsets({ stride, height }: FrameGeometry): { y: number; u: number; v: number } {
  const u = stride * height
  return { y: 0, u, v: u + u / 4 }
}

/** A layout with rows padded to a multiple of `align` bytes (64 on a Pi 4 and older, 128 on a Pi 5). */
export function paddedGeometry(width: number, height: number, align = 64): FrameGeometry {
  return { width, height, stride: Math.ceil(width / align) * align }
}
