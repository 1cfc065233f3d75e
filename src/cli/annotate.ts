import type { Finding } from '../core/prediction.ts'
import type { RgbPicture } from '../vision/picture.ts'
import { glyphHeight, glyphRows, glyphWidth } from './pixel-font.ts'

type Colour = readonly [red: number, green: number, blue: number]

/** Bright and far apart; a class keeps its colour from picture to picture. */
const palette: readonly Colour[] = [
  [255, 214, 0],
  [0, 229, 255],
  [255, 64, 129],
  [118, 255, 3],
  [255, 145, 0],
  [179, 136, 255],
]

const ink: Colour = [0, 0, 0]

/** A copy of the picture with a box and a label for each detection; a classification is written into the corner. */
export function annotate({ width, height, rgb }: RgbPicture, finding: Finding): RgbPicture {
  const canvas = { width, height, rgb: rgb.slice() }
  const scale = Math.max(1, Math.round(Math.max(width, height) / 400))
  if (finding.task === 'classification') {
    finding.predictions.forEach(({ label, score }, row) => {
      tag(canvas, `${label} ${score.toFixed(2)}`, 0, row * tagHeight(scale), scale, palette[0] ?? ink)
    })
    return canvas
  }
  // The best last, so that it lies on top.
  for (const { label, classId, score, box } of finding.detections.toReversed()) {
    const colour = palette[classId % palette.length] ?? ink
    const left = Math.round(box.xmin * width)
    const top = Math.round(box.ymin * height)
    const right = Math.round(box.xmax * width)
    const bottom = Math.round(box.ymax * height)
    fill(canvas, left, top, right, top + scale, colour)
    fill(canvas, left, bottom - scale, right, bottom, colour)
    fill(canvas, left, top, left + scale, bottom, colour)
    fill(canvas, right - scale, top, right, bottom, colour)
    tag(canvas, `${label} ${score.toFixed(2)}`, left, Math.max(0, top - tagHeight(scale)), scale, colour)
  }
  return canvas
}

function tagHeight(scale: number): number {
  return (glyphHeight + 2) * scale
}

function tag(canvas: RgbPicture, text: string, left: number, top: number, scale: number, colour: Colour): void {
  const advance = (glyphWidth + 1) * scale
  fill(canvas, left, top, left + text.length * advance + scale, top + tagHeight(scale), colour)
  ;[...text].forEach((character, index) => {
    glyphRows(character).forEach((row, y) => {
      for (let x = 0; x < glyphWidth; x++) {
        if ((row & (1 << (glyphWidth - 1 - x))) === 0) continue
        const at = { x: left + scale + index * advance + x * scale, y: top + scale + y * scale }
        fill(canvas, at.x, at.y, at.x + scale, at.y + scale, ink)
      }
    })
  })
}

/** Fills a rectangle, cut at the picture's edges. */
function fill(
  { width, height, rgb }: RgbPicture,
  left: number,
  top: number,
  right: number,
  bottom: number,
  [red, green, blue]: Colour,
): void {
  for (let y = Math.max(0, top); y < Math.min(height, bottom); y++) {
    for (let x = Math.max(0, left); x < Math.min(width, right); x++) {
      const at = (y * width + x) * 3
      rgb[at] = red
      rgb[at + 1] = green
      rgb[at + 2] = blue
    }
  }
}
