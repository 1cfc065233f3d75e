"""Imports a quantized TensorFlow Lite classifier (uint8 NHWC in, uint8 class scores out) as a model folder.

    .cache/tflite/bin/python import_tflite.py MODEL.tflite --labels labels.txt --out DIR \\
        --golden cat.jpg="Egyptian cat" --golden parrot.jpg=macaw

import.sh makes that Python environment and imports two models with it. The labels have one line per class, the first being
the background, which is never reported. A golden photo names the label it truly shows; the import fails if the model does
not put that label first.
"""
import argparse
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import helper, numpy_helper
from PIL import Image

from manifest import write_golden, write_manifest

OPSET = 13


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tflite", type=Path)
    parser.add_argument("--labels", type=Path, required=True, help="text file, one class per line")
    parser.add_argument("--out", type=Path, required=True, help="folder to write: model.onnx, manifest.json, golden/")
    parser.add_argument("--name", help="default: the file's name")
    parser.add_argument("--version", default="1")
    parser.add_argument("--licence", default="Apache-2.0")
    parser.add_argument("--resize", choices=("crop", "stretch", "letterbox"), default="crop",
                        help="how a photo becomes the input; ImageNet's models are trained on central crops (default)")
    parser.add_argument("--crop-fraction", type=fraction, default=1.0, metavar="F",
                        help="0.1 to 1: the share of the largest central crop's sides that the model sees (default 1)")
    parser.add_argument("--threshold", type=float, default=0.1)
    parser.add_argument("--golden", action="append", default=[], metavar="PHOTO=LABEL")
    options = parser.parse_args()
    if options.crop_fraction != 1 and options.resize != "crop":
        parser.error("--crop-fraction needs --resize crop")
    options.out.mkdir(parents=True, exist_ok=True)
    model = convert(options.tflite, options.out / "model.onnx")
    labels = ["", *options.labels.read_text().splitlines()[1:]]
    samples = [sample(options, model, labels, *golden.split("=", 1)) for golden in options.golden]
    write_manifest(options.out, manifest(options, model, labels, samples))


def fraction(text: str) -> float:
    value = float(text)
    if not 0.1 <= value <= 1:
        raise argparse.ArgumentTypeError("not in 0.1..1")
    return value


def convert(source: Path, target: Path) -> onnx.ModelProto:
    """Converts with tf2onnx, then drops what only tf2onnx needed, so that plain names and operators are left."""
    subprocess.run([sys.executable, "-m", "tf2onnx.convert", "--tflite", source, "--output", target, "--opset", str(OPSET)],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    model = onnx.load(target)
    (image,), (scores,) = model.graph.input, model.graph.output
    names = {image.name: "image", scores.name: "scores"}
    for node in model.graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    image.name, scores.name = "image", "scores"
    del model.graph.value_info[:]
    del model.opset_import[:]
    model.opset_import.append(helper.make_opsetid("", OPSET))
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, target)
    return model


def shape(value: onnx.ValueInfoProto) -> list[int]:
    return [dimension.dim_value for dimension in value.type.tensor_type.shape.dim]


def output_scale(model: onnx.ModelProto) -> tuple[float, int]:
    """Scale and zero point of the scores, from the node that quantizes them."""
    (node,) = (node for node in model.graph.node if "scores" in node.output)
    constants = {constant.name: numpy_helper.to_array(constant) for constant in model.graph.initializer}
    return float(constants[node.input[1]]), int(constants[node.input[2]])


def tensor(photo: Path, side: int, resize: str, crop_fraction: float) -> np.ndarray:
    """The photo as uint8 [1,side,side,3] RGB; letterbox bars have the grey that sightd gives them."""
    image = Image.open(photo).convert("RGB")
    width, height = image.size
    if resize == "crop":
        width = height = min(image.size) * crop_fraction
    if resize == "letterbox":
        width = height = max(image.size)
        square = Image.new("RGB", (width, height), (114, 114, 114))
        square.paste(image, ((width - image.width) // 2, (height - image.height) // 2))
        image = square
    left, top = (image.width - width) / 2, (image.height - height) / 2
    return np.asarray(image.resize((side, side), Image.BILINEAR, (left, top, left + width, top + height)), np.uint8)[None]


def sample(options: argparse.Namespace, model: onnx.ModelProto, labels: list[str], photo: str, label: str) -> dict:
    pixels = tensor(Path(photo), shape(model.graph.input[0])[1], options.resize, options.crop_fraction)
    (integers,) = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, {"image": pixels})
    scale, zero = output_scale(model)
    best = int(integers[0].argmax())
    if labels[best] != label:
        raise SystemExit(f"{photo}: shows {label!r}, but the model says {labels[best]!r}")
    score = round((int(integers[0, best]) - zero) * scale, 4)
    return {"input": write_golden(options.out, Path(photo).stem, pixels), "expect": [{"label": label, "score": score}]}


def manifest(options: argparse.Namespace, model: onnx.ModelProto, labels: list[str], samples: list[dict]) -> dict:
    image, scores = shape(model.graph.input[0]), shape(model.graph.output[0])
    if scores[-1] != len(labels):
        raise SystemExit(f"{options.labels}: {len(labels)} labels for {scores[-1]} classes")
    scale, zero = output_scale(model)
    return {
        "name": options.name or options.tflite.stem, "version": options.version, "task": "classification",
        "description": f"Quantized classifier of {len(labels) - 1} classes, {image[1]}x{image[2]}",
        "licence": options.licence, "source": f"{options.tflite.name}, converted with tf2onnx", "model": "model.onnx",
        "input": {"name": "image", "shape": image, "type": "uint8", "layout": "NHWC", "colour": "RGB",
                  "resize": options.resize,
                  **({} if options.crop_fraction == 1 else {"cropFraction": options.crop_fraction})},
        "outputs": [{"name": "scores", "shape": scores, "type": "uint8", "scale": scale, "zeroPoint": zero}],
        "decode": {"scores": "scores", "activation": "none", "top": 5},
        "labels": labels, "threshold": options.threshold, "golden": samples,
        "tolerance": {"score": 0.1, "box": 0.03},
    }


if __name__ == "__main__":
    main()
