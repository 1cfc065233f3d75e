import * as v from 'valibot'

/** Where frames come from and how large and frequent they are; the `camera` section of the configuration. */

const even = v.check((value: number) => value % 2 === 0, 'an even number')
const side = v.pipe(v.number(), v.integer(), v.minValue(32), v.maxValue(4096), even)

export const sourceOptionsSchema = v.strictObject({
  source: v.pipe(
    v.optional(v.picklist(['replay']), 'replay'),
    v.description(
      'Where frames come from. `replay`: a folder of JPEG and PNG pictures, or a video file (needs ffmpeg), over and over.',
    ),
  ),
  path: v.pipe(
    v.string(),
    v.minLength(1),
    v.description('`replay`: the folder or video. A relative path starts at the folder of this file.'),
  ),
  width: v.pipe(
    v.optional(side, 640),
    v.description('Width of a frame in pixels; even. 640 needs no padding on any board.'),
  ),
  height: v.pipe(v.optional(side, 480), v.description('Height of a frame in pixels; even.')),
  fps: v.pipe(
    v.optional(v.pipe(v.number(), v.minValue(0.1), v.maxValue(120)), 10),
    v.description('Frames per second.'),
  ),
})

export type SourceOptions = v.InferOutput<typeof sourceOptionsSchema>
