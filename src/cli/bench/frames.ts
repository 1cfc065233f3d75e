import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type Frame, frameBytes, paddedGeometry } from '../../core/frame.ts'
import { packageRoot } from '../../lib/package.ts'
import { zoomInto } from '../../vision/pan-zoom.ts'
import { pictureGeometry, readPicture, toI420 } from '../../vision/picture.ts'

export type Pictures = readonly Pick<Frame, 'geometry' | 'data'>[]

/** The demo's photos as a camera would show them, `perPhoto` frames of each while it zooms, made before anything is measured. */
export async function demoFrames(width: number, height: number, perPhoto: number): Promise<Pictures> {
  const folder = join(packageRoot, 'deploy/demo')
  const geometry = paddedGeometry(width, height)
  const frames: Pick<Frame, 'geometry' | 'data'>[] = []
  for (const name of (await readdir(folder)).filter((each) => each.endsWith('.jpg')).sort()) {
    const picture = await readPicture(join(folder, name), 2 * Math.max(width, height))
    const own = pictureGeometry(picture)
    const still = { geometry: own, data: toI420(picture, own) }
    for (let step = 0; step < perPhoto; step++) {
      const data = new Uint8Array(frameBytes(geometry))
      zoomInto(still, step / perPhoto, data, geometry)
      frames.push({ geometry, data })
    }
  }
  return frames
}
