import type { ClassificationDecode, DetectionDecode, ModelManifest, ModelOutput } from '../core/model-manifest.ts'
import { type Box, type Detection, type Finding, intersectionOverUnion, type Prediction } from '../core/prediction.ts'
import { checkFinite, notFinite } from './finite.ts'
import type { TensorData } from './input-tensor.ts'

/** Raw output tensors of one run, by output name. */
export type RawOutputs = { readonly [name: string]: TensorData }

/**
 * Makes the function that turns a run's outputs into findings with score >= `threshold`; boxes in 0..1 of the input. It throws a
 * SightdError `bad_output` at a score of NaN or infinity and at such a corner of a find: else they would pass as nothing found.
 */
export function createDecoder(manifest: ModelManifest): (outputs: RawOutputs, threshold: number) => Finding {
  const dequantizers = new Map(manifest.outputs.map((output) => [output.name, dequantizer(output)]))
  const reader = (outputs: RawOutputs, name: string) => {
    const data = outputs[name]
    const real = dequantizers.get(name)
    if (data === undefined || real === undefined) throw new Error(`the run gave no output ${name}`)
    return { name, data, real }
  }
  if (manifest.task === 'detection') {
    const { decode, labels } = manifest
    return (outputs, threshold) => ({
      task: 'detection',
      detections: decodeDetections(
        reader(outputs, decode.scores),
        reader(outputs, decode.boxes),
        decode,
        labels,
        threshold,
      ),
    })
  }
  const { decode, labels } = manifest
  return (outputs, threshold) => ({
    task: 'classification',
    predictions: decodeClasses(reader(outputs, decode.scores), decode, labels, threshold),
  })
}

type Reader = { readonly name: string; readonly data: TensorData; readonly real: (stored: number) => number }

function dequantizer({ type, scale = 1, zeroPoint = 0 }: ModelOutput): (stored: number) => number {
  return type === 'float32' ? (stored) => stored : (stored) => (stored - zeroPoint) * scale
}

/**
 * Candidates are picked by comparing stored values with the threshold carried back through activation and quantization,
 * so the hot loop has no arithmetic; both are monotonic. Then non-maximum suppression within each class.
 */
function decodeDetections(
  scores: Reader,
  boxes: Reader,
  decode: DetectionDecode,
  labels: readonly string[],
  threshold: number,
): Detection[] {
  const classCount = labels.length
  const activate = decode.activation === 'sigmoid' ? sigmoid : identity
  const candidates: Detection[] = []
  const stored = scores.data
  const lowest = lowestStored(scores, activate, threshold)
  for (
    let index = nextNotBelow(stored, lowest, 0);
    index < stored.length;
    index = nextNotBelow(stored, lowest, index + 1)
  ) {
    const value = stored[index] ?? 0
    if (!Number.isFinite(value)) throw notFinite(scores.name)
    const classId = index % classCount
    const label = labels[classId]
    // The background is above the threshold nearly everywhere.
    if (!label) continue
    const score = activate(scores.real(value))
    if (score < threshold) continue
    const at = Math.floor(index / classCount) * 4
    const corner = (offset: number) => {
      const side = boxes.real(boxes.data[at + offset] ?? 0)
      if (!Number.isFinite(side)) throw notFinite(boxes.name)
      return side
    }
    candidates.push({
      label,
      classId,
      score,
      box: { ymin: corner(0), xmin: corner(1), ymax: corner(2), xmax: corner(3) },
    })
  }
  return suppressOverlaps(candidates, decode.iouThreshold, decode.maxDetections)
}

/**
 * The first index from `from` on whose value is not below `lowest`, which NaN is not either; or the length. The hot loop: it
 * does nothing else, and reads the length once, since V8 else looks in each round whether the memory is still there.
 */
function nextNotBelow(values: TensorData, lowest: number, from: number): number {
  const { length } = values
  let index = from
  while (index < length && (values[index] ?? 0) < lowest) index++
  return index
}

/** A bound on stored values below which no score can reach the threshold, with a margin for rounding. */
function lowestStored(scores: Reader, activate: (value: number) => number, threshold: number): number {
  if (threshold <= 0) return Number.NEGATIVE_INFINITY
  const real = activate === sigmoid ? Math.log(threshold / (1 - threshold)) : threshold
  const step = scores.real(1) - scores.real(0)
  return (real - scores.real(0)) / step - 1e-3
}

/**
 * Greedy non-maximum suppression per class: the best box stays, boxes of its class with IoU above `iouThreshold` go
 * (Felzenszwalb et al., "Object Detection with Discriminatively Trained Part-Based Models", 2010, section 7.2;
 * TensorFlow's batch_multiclass_non_max_suppression).
 */
export function suppressOverlaps(
  candidates: readonly Detection[],
  iouThreshold: number,
  maxDetections: number,
): Detection[] {
  const kept: Detection[] = []
  for (const candidate of candidates.toSorted((a, b) => b.score - a.score)) {
    if (kept.length >= maxDetections) break
    if (
      !kept.some(
        (better) =>
          better.classId === candidate.classId && intersectionOverUnion(better.box, candidate.box) > iouThreshold,
      )
    ) {
      kept.push(candidate)
    }
  }
  return kept
}

function decodeClasses(
  scores: Reader,
  decode: ClassificationDecode,
  labels: readonly string[],
  threshold: number,
): Prediction[] {
  checkFinite({ [scores.name]: scores.data })
  const real = Array.from(scores.data, scores.real)
  const values = decode.activation === 'softmax' ? softmax(real) : real
  return values
    .map((score, classId) => ({ label: labels[classId] ?? '', classId, score }))
    .filter(({ label, score }) => label !== '' && score >= threshold)
    .sort((a, b) => b.score - a.score)
    .slice(0, decode.top)
}

function softmax(values: readonly number[]): number[] {
  const highest = values.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY)
  const powers = values.map((value) => Math.exp(value - highest))
  const sum = powers.reduce((a, b) => a + b, 0)
  return powers.map((power) => power / sum)
}

function sigmoid(value: number): number {
  return 1 / (1 + Math.exp(-value))
}

function identity(value: number): number {
  return value
}

/** Boxes of a finding, each passed through `map`; classifications stay as they are. */
export function mapBoxes(finding: Finding, map: (box: Box) => Box): Finding {
  if (finding.task === 'classification') return finding
  return {
    task: 'detection',
    detections: finding.detections.map((detection) => ({ ...detection, box: map(detection.box) })),
  }
}
