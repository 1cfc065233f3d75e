import { type Box, type Detection, type Finding, intersectionOverUnion } from '../../src/core/prediction.ts'

/** A scripted scene as a detector sees it. */

export type Actor = {
  readonly label?: string
  readonly width?: number
  readonly height?: number
  /** Centre and lower edge at some times, straight in between. It is there from the first to the last. */
  readonly path: readonly { readonly s: number; readonly x: number; readonly y: number }[]
  /** One score, or the range of a flickering one. */
  readonly score?: number | readonly [low: number, high: number]
  /** Hidden by a thing, in seconds. */
  readonly hidden?: readonly (readonly [from: number, to: number])[]
}

export type Result = { readonly atMs: number; readonly finding: Finding }

export const startMs = Date.UTC(2025, 10, 24, 20, 29)

/** Numbers in 0..1 that are the same for the same seed (mulberry32, Tommy Ettinger, 2017). */
export function seededRandom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let bits = Math.imul(state ^ (state >>> 15), 1 | state)
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Walks straight from one x to another in the seconds `from` to `to`. */
export function walk(fromX: number, toX: number, from: number, to: number, rest: Omit<Actor, 'path'> = {}): Actor {
  return {
    path: [
      { s: from, x: fromX, y: 0.9 },
      { s: to, x: toX, y: 0.9 },
    ],
    ...rest,
  }
}

export function stand(x: number, from: number, to: number, rest: Omit<Actor, 'path'> = {}): Actor {
  return walk(x, x, from, to, rest)
}

/**
 * What a detector finds at `rate` results per second: boxes that tremble by a few percent, clipped to the frame. An
 * actor that is hidden, mostly out of the frame, or largely behind one listed before it, is not found. The class id is
 * the number of the actor in the list, so that a test knows who is who.
 */
export function film(actors: readonly Actor[], rate: number, seconds: number, seed = 1): Result[] {
  const random = seededRandom(seed)
  const times = Array.from({ length: Math.floor(seconds * rate) + 1 }, (_, i) => i / rate)
  return times.map((s) => {
    const nearer: Box[] = []
    const detections: Detection[] = []
    for (const [classId, actor] of actors.entries()) {
      const exact = boxAt(actor, s)
      const found = clip(exact === undefined ? undefined : tremble(exact, random))
      const [low, high] = typeof actor.score === 'object' ? actor.score : [actor.score ?? 0.8, actor.score ?? 0.8]
      const score = low + random() * (high - low)
      if (exact === undefined || found === undefined) continue
      if (!nearer.some((box) => intersectionOverUnion(box, exact) > 0.4) && !isHidden(actor, s)) {
        detections.push({ label: actor.label ?? 'person', classId, score, box: found })
      }
      nearer.push(exact)
    }
    detections.sort((a, b) => b.score - a.score)
    return { atMs: startMs + Math.round(s * 1000), finding: { task: 'detection', detections } }
  })
}

function isHidden({ hidden = [] }: Actor, s: number): boolean {
  return hidden.some(([from, to]) => s >= from && s < to)
}

function boxAt({ path, width = 0.1, height = 0.3 }: Actor, s: number): Box | undefined {
  const next = path.findIndex((point) => point.s >= s)
  const to = path[next]
  const from = path[Math.max(0, next - 1)]
  if (from === undefined || to === undefined || s < from.s) return undefined
  const share = to.s === from.s ? 0 : (s - from.s) / (to.s - from.s)
  const x = from.x + share * (to.x - from.x)
  const y = from.y + share * (to.y - from.y)
  return { xmin: x - width / 2, xmax: x + width / 2, ymin: y - height, ymax: y }
}

function tremble(box: Box, random: () => number): Box {
  const slip = (side: number) => (random() - 0.5) * 0.06 * side
  const [width, height] = [box.xmax - box.xmin, box.ymax - box.ymin]
  return {
    xmin: box.xmin + slip(width),
    xmax: box.xmax + slip(width),
    ymin: box.ymin + slip(height),
    ymax: box.ymax + slip(height),
  }
}

/** The part in the frame, unless that is less than a third. */
function clip(box: Box | undefined): Box | undefined {
  if (box === undefined) return undefined
  const inFrame = (value: number) => Math.min(1, Math.max(0, value))
  const [xmin, xmax] = [inFrame(box.xmin), inFrame(box.xmax)]
  const [ymin, ymax] = [inFrame(box.ymin), inFrame(box.ymax)]
  const seen = (xmax - xmin) * (ymax - ymin)
  return seen < ((box.xmax - box.xmin) * (box.ymax - box.ymin)) / 3 ? undefined : { xmin, xmax, ymin, ymax }
}
