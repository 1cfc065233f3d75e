import * as v from 'valibot'

/** The closed schema of a model's manifest.json. Whoever holds a `ModelManifest` may trust every word of it. */

const natural = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(2 ** 31 - 1))
const unit = v.pipe(v.number(), v.minValue(0), v.maxValue(1))
const channels = v.strictTuple([v.number(), v.number(), v.number()])
const quantization = {
  scale: v.optional(v.pipe(v.number(), v.gtValue(0))),
  zeroPoint: v.optional(v.pipe(v.number(), v.integer())),
}
const text = v.pipe(v.string(), v.minLength(1), v.maxLength(500))
const slug = v.pipe(v.string(), v.regex(/^[a-z0-9][a-z0-9._-]{0,63}$/, 'lower-case letters, digits, ".", "_" and "-"'))

/** A path below the model's folder: no way out of it, no absolute path. */
const localPath = v.pipe(
  v.string(),
  v.maxLength(100),
  v.regex(/^[A-Za-z0-9_-][A-Za-z0-9._-]*(\/[A-Za-z0-9_-][A-Za-z0-9._-]*)?$/, 'a file name, in at most one folder'),
)

const tensorType = v.picklist(['uint8', 'int8', 'float32'])

const inputSchema = v.pipe(
  v.strictObject({
    name: text,
    /** [1, height, width, 3] or [1, 3, height, width], as `layout` says. */
    shape: v.strictTuple([v.literal(1), natural, natural, natural]),
    type: tensorType,
    layout: v.picklist(['NHWC', 'NCHW']),
    colour: v.picklist(['RGB', 'BGR']),
    /** How a frame becomes the input square; see core/resize.ts. */
    resize: v.picklist(['stretch', 'letterbox', 'crop']),
    /** crop: the share of the largest possible crop's sides that is shown; 1 if left out (ImageNet's customary one is 0.875). */
    cropFraction: v.optional(v.pipe(v.number(), v.minValue(0.1), v.maxValue(1))),
    /** float32 and int8: a pixel p (0..255) becomes (p - mean) / std, per channel in R, G, B order. */
    mean: v.optional(channels),
    std: v.optional(
      v.pipe(
        channels,
        v.check((std) => std.every((s) => s > 0), 'above 0'),
      ),
    ),
    /** int8: the value above becomes round(value / scale) + zeroPoint. */
    ...quantization,
  }),
  v.check(
    (input) => (input.layout === 'NHWC' ? input.shape[3] : input.shape[1]) === 3,
    'three colour channels where the layout says',
  ),
  v.check(
    (input) => input.type === 'uint8' || (input.mean !== undefined && input.std !== undefined),
    'mean and std, since the type is not uint8',
  ),
  v.check(
    (input) => input.type !== 'int8' || (input.scale !== undefined && input.zeroPoint !== undefined),
    'scale and zeroPoint, since the type is int8',
  ),
)

const outputSchema = v.pipe(
  v.strictObject({
    name: text,
    shape: v.pipe(v.array(natural), v.minLength(2), v.maxLength(3)),
    type: tensorType,
    /** uint8 and int8: the real value is (q - zeroPoint) * scale. */
    ...quantization,
  }),
  v.check(
    (output) => output.type === 'float32' || (output.scale !== undefined && output.zeroPoint !== undefined),
    'scale and zeroPoint, since the type is quantized',
  ),
)

const detectionDecode = v.strictObject({
  /** Output [1, N, 4]: ymin, xmin, ymax, xmax in 0..1 of the input. */
  boxes: text,
  boxFormat: v.literal('yxyx'),
  /** Output [1, N, classes]. */
  scores: text,
  activation: v.picklist(['sigmoid', 'none']),
  /** Boxes of one class that overlap by more than this are one object. */
  iouThreshold: unit,
  maxDetections: v.pipe(natural, v.maxValue(1000)),
})

const classificationDecode = v.strictObject({
  /** Output [1, classes]. */
  scores: text,
  activation: v.picklist(['softmax', 'none']),
  /** How many of the best classes a result names. */
  top: v.pipe(natural, v.maxValue(100)),
})

const expectation = v.strictObject({
  label: text,
  score: unit,
  box: v.optional(v.strictObject({ xmin: v.number(), ymin: v.number(), xmax: v.number(), ymax: v.number() })),
})

const common = {
  format: v.literal(1),
  name: slug,
  version: slug,
  description: text,
  licence: text,
  source: text,
  model: localPath,
  files: v.record(
    localPath,
    v.strictObject({
      bytes: natural,
      sha256: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/, '64 lower-case hex digits')),
    }),
  ),
  input: inputSchema,
  outputs: v.pipe(v.array(outputSchema), v.minLength(1), v.maxLength(16)),
  /** One name per class column; '' marks a column that is never reported (background, unused ids). */
  labels: v.pipe(v.array(v.pipe(v.string(), v.maxLength(200))), v.minLength(1), v.maxLength(100_000)),
  /** Score from which a finding is reported unless the configuration says otherwise. */
  threshold: unit,
  /** Inputs with known answers: gzip of the raw input tensor, and what the model must say of it on any CPU. */
  golden: v.array(v.strictObject({ input: localPath, expect: v.array(expectation) })),
  tolerance: v.strictObject({ score: unit, box: unit }),
}

export const modelManifestSchema = v.pipe(
  v.variant('task', [
    v.strictObject({ task: v.literal('detection'), ...common, decode: detectionDecode }),
    v.strictObject({ task: v.literal('classification'), ...common, decode: classificationDecode }),
  ]),
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed) return
    for (const message of contradictions(dataset.value)) addIssue({ message })
  }),
)

export type ModelManifest = v.InferOutput<typeof modelManifestSchema>
export type ModelInput = ModelManifest['input']
export type ModelOutput = ModelManifest['outputs'][number]
export type DetectionDecode = v.InferOutput<typeof detectionDecode>
export type ClassificationDecode = v.InferOutput<typeof classificationDecode>
export type GoldenSample = ModelManifest['golden'][number]

/** Width and height of the input picture. */
export function inputSize(input: ModelInput): { width: number; height: number } {
  const [, a, b, c] = input.shape
  return input.layout === 'NHWC' ? { width: b, height: a } : { width: c, height: b }
}

type Parsed = {
  task: string
  model: string
  files: Record<string, unknown>
  golden: { input: string }[]
  labels: string[]
} & (
  | { task: 'detection'; outputs: ModelOutput[]; decode: DetectionDecode }
  | { task: 'classification'; outputs: ModelOutput[]; decode: ClassificationDecode }
)

/** What each field alone can't show: files that are not listed, outputs that are not there, counts that differ. */
function* contradictions(manifest: Parsed): Generator<string> {
  for (const path of [manifest.model, ...manifest.golden.map((sample) => sample.input)]) {
    if (!Object.hasOwn(manifest.files, path)) yield `files: does not list ${path}`
  }
  const scores = manifest.outputs.find((output) => output.name === manifest.decode.scores)
  if (scores === undefined) yield `decode.scores: no output is named ${manifest.decode.scores}`
  else if (scores.shape.at(-1) !== manifest.labels.length) {
    yield `labels: ${manifest.labels.length} names for the ${scores.shape.at(-1)} classes of output ${scores.name}`
  }
  if (manifest.task === 'classification') {
    if (scores !== undefined && scores.shape.length !== 2) yield `outputs: ${scores.name} has to be [1, classes]`
    return
  }
  const boxes = manifest.outputs.find((output) => output.name === manifest.decode.boxes)
  if (boxes === undefined) yield `decode.boxes: no output is named ${manifest.decode.boxes}`
  else if (boxes.shape.length !== 3 || boxes.shape[2] !== 4) yield `outputs: ${boxes.name} has to be [1, N, 4]`
  else if (scores !== undefined && (scores.shape.length !== 3 || scores.shape[1] !== boxes.shape[1])) {
    yield `outputs: ${scores.name} has to be [1, ${boxes.shape[1]}, classes], as ${boxes.name} is`
  }
}
