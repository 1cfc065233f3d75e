/** Named corners in 0..1 of the frame, origin top left. An array would always be misread (Frigate, COCO and TF differ). */
export type Box = {
  readonly xmin: number
  readonly ymin: number
  readonly xmax: number
  readonly ymax: number
}

/** What a classifier says of a whole frame; `score` in 0..1. */
export type Prediction = { readonly label: string; readonly classId: number; readonly score: number }

/** One object found in a frame. */
export type Detection = Prediction & { readonly box: Box }

/** The outcome of one inference, best score first. */
export type Finding =
  | { readonly task: 'classification'; readonly predictions: readonly Prediction[] }
  | { readonly task: 'detection'; readonly detections: readonly Detection[] }

/** What was found, whatever the task. */
export function foundObjects(finding: Finding): readonly Prediction[] {
  return finding.task === 'detection' ? finding.detections : finding.predictions
}

/** Only what scores at least `threshold`. */
export function atLeast(finding: Finding, threshold: number): Finding {
  const isGood = ({ score }: Prediction) => score >= threshold
  return finding.task === 'detection'
    ? { task: 'detection', detections: finding.detections.filter(isGood) }
    : { task: 'classification', predictions: finding.predictions.filter(isGood) }
}

/**
 * Intersection over union of two boxes, 0..1: the area both cover over the area either covers (the Jaccard index;
 * Everingham et al., "The PASCAL Visual Object Classes Challenge", 2010, section 4.2).
 */
export function intersectionOverUnion(a: Box, b: Box): number {
  const width = Math.min(a.xmax, b.xmax) - Math.max(a.xmin, b.xmin)
  const height = Math.min(a.ymax, b.ymax) - Math.max(a.ymin, b.ymin)
  if (width <= 0 || height <= 0) return 0
  const intersection = width * height
  return intersection / (area(a) + area(b) - intersection)
}

function area(box: Box): number {
  return (box.xmax - box.xmin) * (box.ymax - box.ymin)
}
