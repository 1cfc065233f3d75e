import type { ModelInput } from './model-manifest.ts'
import type { Box } from './prediction.ts'

/**
 * The part of a frame, in frame pixels, that a model's input shows. It lies inside the frame for `stretch` and `crop`;
 * for `letterbox` it is larger than the frame, and what lies outside is padding.
 */
export type SourceWindow = { readonly x: number; readonly y: number; readonly width: number; readonly height: number }

type Size = { readonly width: number; readonly height: number }

/**
 * stretch: the whole frame, aspect ratio given up. crop: the largest centred part with the input's aspect ratio,
 * or `cropFraction` of its sides. letterbox: the whole frame with bars, aspect ratio kept.
 */
export function sourceWindow(frame: Size, input: Size, rule: ModelInput['resize'], cropFraction = 1): SourceWindow {
  if (rule === 'stretch') return { x: 0, y: 0, width: frame.width, height: frame.height }
  const perPixel = { width: frame.width / input.width, height: frame.height / input.height }
  const scale =
    rule === 'crop'
      ? Math.min(perPixel.width, perPixel.height) * cropFraction
      : Math.max(perPixel.width, perPixel.height)
  const width = input.width * scale
  const height = input.height * scale
  return { x: (frame.width - width) / 2, y: (frame.height - height) / 2, width, height }
}

/** A box in 0..1 of the model's input, as a box in 0..1 of the frame, cut at the frame's edges. */
export function boxInFrame(box: Box, window: SourceWindow, frame: Size): Box {
  const x = (value: number) => clampUnit((window.x + value * window.width) / frame.width)
  const y = (value: number) => clampUnit((window.y + value * window.height) / frame.height)
  return { xmin: x(box.xmin), ymin: y(box.ymin), xmax: x(box.xmax), ymax: y(box.ymax) }
}

function clampUnit(value: number): number {
  return Math.min(1, Math.max(0, value))
}
