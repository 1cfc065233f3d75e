"""The detector in Python: ONNX Runtime, OpenCV, paho-mqtt. MODEL is a model folder of sightd."""
import json
import math
from pathlib import Path

import cv2
import numpy as np
import onnxruntime as ort

from camera_and_broker import Broker, arguments, frames


def main() -> None:
    options = arguments()
    cv2.setNumThreads(options.threads)
    manifest = json.loads((Path(options.model) / "manifest.json").read_text())
    settings = ort.SessionOptions()
    settings.intra_op_num_threads = options.threads
    settings.inter_op_num_threads = 1
    session = ort.InferenceSession(Path(options.model) / manifest["model"], settings, ["CPUExecutionProvider"])
    _, height, width, _ = manifest["input"]["shape"]
    names = [manifest["decode"]["boxes"], manifest["decode"]["scores"]]
    broker = Broker(options.port, options.topic)
    for number, i420 in enumerate(frames(options.frames, options.width, options.height)):
        rgb = cv2.cvtColor(i420, cv2.COLOR_YUV2RGB_I420)
        pixels = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_LINEAR)
        boxes, logits = session.run(names, {manifest["input"]["name"]: pixels[np.newaxis]})
        broker.publish(number, decode(boxes[0], logits[0], manifest))


def decode(boxes: np.ndarray, logits: np.ndarray, manifest: dict) -> list[dict]:
    """Only what can reach the threshold is looked at further; non-maximum suppression within each class."""
    threshold = manifest["threshold"]
    # Class 0 is the background, which nearly every anchor is; other columns without a name are never high.
    named = np.ascontiguousarray(logits[:, 1:])
    anchors, classes = np.divmod(np.flatnonzero(named >= math.log(threshold / (1 - threshold))), named.shape[1])
    classes += 1
    if len(anchors) == 0:
        return []
    scores = 1 / (1 + np.exp(-logits[anchors, classes]))
    corners = boxes[anchors]
    tops = corners[:, :2]
    sides = corners[:, 2:] - tops
    kept = cv2.dnn.NMSBoxesBatched(np.hstack([tops, sides]).tolist(), scores.tolist(), classes.tolist(), threshold,
                                   manifest["decode"]["iouThreshold"])
    return [{"label": manifest["labels"][classes[i]], "score": round(float(scores[i]), 4),
             "box": [round(float(value), 4) for value in corners[i]]} for i in kept]


if __name__ == "__main__":
    main()
