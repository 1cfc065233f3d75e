"""From raw outputs to detections, and how far two sets of detections agree."""
from dataclasses import dataclass

import numpy as np

THRESHOLD, IOU_THRESHOLD, MAX_DETECTIONS = 0.5, 0.6, 20


@dataclass(frozen=True)
class Detection:
    column: int  # of the logits
    score: float
    box: tuple[float, float, float, float]  # ymin, xmin, ymax, xmax in 0..1 of the image


def decode(boxes: np.ndarray, logits: np.ndarray, threshold: float = THRESHOLD,
           most: int = MAX_DETECTIONS) -> list[Detection]:
    """Detections with score >= threshold, best first, after non-maximum suppression within each class.

    `boxes` [1917,4] and `logits` [1917,91] float32 as the model gives them.
    """
    scores = 1 / (1 + np.exp(-logits.astype(np.float64)))
    rows, columns = np.nonzero(scores[:, 1:] >= threshold)
    kept: list[Detection] = []
    for score, row, column in sorted(zip(scores[rows, columns + 1], rows, columns + 1), key=lambda found: -found[0]):
        box = tuple(float(side) for side in np.clip(boxes[row], 0, 1))
        if all(other.column != column or iou(other.box, box) <= IOU_THRESHOLD for other in kept):
            kept.append(Detection(int(column), float(score), box))
    return kept[:most]


def iou(a: tuple, b: tuple) -> float:
    height = min(a[2], b[2]) - max(a[0], b[0])
    width = min(a[3], b[3]) - max(a[1], b[1])
    if height <= 0 or width <= 0:
        return 0.0
    area = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return height * width / (area - height * width)
