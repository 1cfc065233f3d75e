import type { Box } from './prediction.ts'

/** In 0..1 of the frame, origin top left. */
export type Point = readonly [x: number, y: number]

/** Corners in either direction; the last one is joined to the first. */
export type Polygon = readonly Point[]

/** Much less than a pixel of any camera, much more than the rounding of a double. */
const edgeWidth = 1e-9

/** Where an object stands: the middle of its lower edge. */
export function bottomCentre(box: Box): Point {
  return [(box.xmin + box.xmax) / 2, box.ymax]
}

/**
 * Whether a point is inside, by the even-odd rule (Shimrat, "Algorithm 112: Position of point relative to polygon",
 * 1962): a ray from it crosses the outline an odd number of times. A point on the outline is inside, whichever edge it
 * is, so that an object cut off by the frame's lower edge stands in a zone that ends there.
 */
export function isInside([x, y]: Point, polygon: Polygon): boolean {
  let isOdd = false
  let [fromX, fromY] = polygon.at(-1) ?? [0, 0]
  for (const [toX, toY] of polygon) {
    if (isOnEdge(x - fromX, y - fromY, toX - fromX, toY - fromY)) return true
    // Half open in y: a ray through a corner crosses one of its two edges.
    if (fromY > y !== toY > y && x < fromX + ((y - fromY) / (toY - fromY)) * (toX - fromX)) isOdd = !isOdd
    fromX = toX
    fromY = toY
  }
  return isOdd
}

/** Whether the point (x, y) is on the edge from the origin to (edgeX, edgeY). */
function isOnEdge(x: number, y: number, edgeX: number, edgeY: number): boolean {
  const length = edgeX ** 2 + edgeY ** 2
  const along = length === 0 ? 0 : Math.min(1, Math.max(0, (x * edgeX + y * edgeY) / length))
  return Math.hypot(x - along * edgeX, y - along * edgeY) <= edgeWidth
}
