import * as v from 'valibot'

/** When something seen becomes an event: the `events` section of the configuration. */

const share = v.pipe(v.number(), v.minValue(0), v.maxValue(1))
const seconds = v.pipe(v.number(), v.minValue(0), v.maxValue(3600))
const frames = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(30))
const label = v.pipe(v.string(), v.minLength(1), v.maxLength(100))
const labels = v.pipe(v.array(label), v.maxLength(200))

const zoneName = v.pipe(v.string(), v.regex(/^[a-z0-9_]{1,40}$/, '1 to 40 lower-case letters, digits and underscores'))
const point = v.strictTuple([share, share], 'a point [x, y] with both in 0 to 1')
const polygon = v.pipe(v.array(point), v.minLength(3, 'at least 3 points'), v.maxLength(100, 'at most 100 points'))

const perLabel = v.strictObject({ threshold: v.optional(share), min_size: v.optional(share) })

export const eventOptionsSchema = v.pipe(
  v.strictObject({
    allow: v.pipe(v.optional(labels), v.description('Only these labels make events. Left out: all.')),
    deny: v.pipe(v.optional(labels, []), v.description('These labels make none.')),
    labels: v.pipe(
      v.optional(v.record(label, perLabel), {}),
      v.description(
        '`threshold` and `min_size` of single labels, such as `person: { threshold: 0.6, min_size: 0.01 }`. Such a threshold counts for events instead of `inference.threshold`, also where it is lower; the `result` topic is cut at `inference.threshold` only.',
      ),
    ),
    min_size: v.pipe(
      v.optional(share, 0),
      v.description("An object has to cover this share of the frame's area, 0 to 1, to begin an event."),
    ),
    keep_ratio: v.pipe(
      v.optional(v.pipe(v.number(), v.minValue(0.1), v.maxValue(1)), 0.6),
      v.description('What is in view stays there down to this share of the threshold with which it came.'),
    ),
    confirm_hits: v.pipe(
      v.optional(frames, 3),
      v.description('It has to be seen in this many of the last `confirm_of` results to begin an event.'),
    ),
    confirm_of: v.pipe(v.optional(frames, 5), v.description('See `confirm_hits`.')),
    leave_s: v.pipe(
      v.optional(seconds, 1.5),
      v.description('An object that was not seen for this long has left. Hidden for less, it is the same event.'),
    ),
    update_interval_s: v.pipe(
      v.optional(seconds, 2),
      v.description('At most one `update` of an event in this time; 0 sends none.'),
    ),
    cooldown_s: v.pipe(
      v.optional(seconds, 0),
      v.description('After an event ends, the same label begins no other for this long.'),
    ),
    zones: v.pipe(
      v.optional(v.pipe(v.record(zoneName, polygon), v.maxEntries(20)), {}),
      v.description(
        'Named polygons of [x, y] points in 0 to 1 of the frame; an object is in one when the middle of its lower edge is, such as `door: [[0.1, 0.5], [0.4, 0.5], [0.4, 1], [0.1, 1]]`.',
      ),
    ),
  }),
  v.forward(
    v.partialCheck(
      [['confirm_hits'], ['confirm_of']],
      ({ confirm_hits, confirm_of }) => confirm_hits <= confirm_of,
      'no more than confirm_of',
    ),
    ['confirm_hits'],
  ),
)

export type EventOptions = v.InferOutput<typeof eventOptionsSchema>
