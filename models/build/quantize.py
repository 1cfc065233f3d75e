"""Post-training static quantization: ranges of activations from calibration photos, integers for weights, biases corrected."""
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import onnxruntime as ort

from network import Conv, Network
from writer import PIXEL_SCALE, Quantization, write

BIAS_LIMIT = 2**24  # dead channels have weights near 0: their scale must leave the bias, in its 32 bits, room for the sum
SAMPLES = 2000  # values kept per layer and photo: enough for a range, and the whole set still fits in memory


@dataclass
class Statistics:
    """What calibration saw of one layer: a sample of its values, their extremes; mean and largest magnitude of each channel."""

    sample: np.ndarray
    low: float
    high: float
    mean: np.ndarray
    peak: np.ndarray


def observe(network: Network, photos: Iterable[np.ndarray]) -> dict[str, Statistics]:
    """Runs the float model over `photos` (uint8 [1,300,300,3] each) on one thread, so that sums come out the same."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(write(network, expose=True).SerializeToString(), options, ["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()][2:]
    seen = {name: [] for name in names}
    pixels = []
    for photo in photos:
        for name, value in zip(names, session.run(names, {"image": photo})):
            flat = value.reshape(-1)
            seen[name].append((flat[::max(1, len(flat) // SAMPLES)], flat.min(), flat.max(), value.mean((0, 2, 3), np.float64),
                               np.abs(value).max((0, 2, 3))))
        pixels.append(photo.mean((0, 1, 2), np.float64) / 127.5 - 1)
    statistics = {}
    for name, parts in seen.items():
        sample, low, high, mean, peak = zip(*parts)
        statistics[name.removesuffix("/real")] = Statistics(np.concatenate(sample), min(low), max(high), np.mean(mean, 0),
                                                            np.max(peak, 0))
    statistics["image"] = Statistics(np.empty(0), -1, 1, np.mean(pixels, 0), np.ones(3))
    return statistics


@dataclass(frozen=True)
class Recipe:
    """One way to quantize; the defaults are what ships.

    `dense_bits`: bits of the weights of dense convolutions, or "pairs": 8 bits on the finest scale that no x86 kernel can
    saturate. `calibration`: "minmax" or "mse" ranges of activations. `correct`: bias correction. `keep_sums`: depthwise
    kernels keep their sum when rounded. `signed`: int8 instead of uint8 activations. `unsigned_weights`: uint8 around 128.
    `equalized`: whether the network went through equalize.py.
    """

    dense_bits: int | str = "pairs"
    calibration: str = "mse"
    correct: bool = True
    keep_sums: bool = True
    equalized: bool = True
    signed: bool = False
    unsigned_weights: bool = False


def quantize(network: Network, statistics: dict[str, Statistics], recipe: Recipe) -> Quantization:
    activations = {}
    for name, seen in statistics.items():
        if name != "image":
            activations[name] = _activation(seen, recipe)
    weights, biases = {}, {}
    for conv in network.convs:
        source_scale = PIXEL_SCALE if conv.source == "image" else activations[conv.source][0]
        integers, scales = _weights(conv, recipe, np.abs(conv.bias) / (source_scale * BIAS_LIMIT))
        bias = conv.bias.copy()
        if recipe.correct:
            # What rounding the weights adds to the output on average: (rounded - weight) * mean input.
            error = integers * scales[:, None, None, None].astype(np.float64) - conv.weight
            mean = statistics[conv.source].mean
            bias -= (error.sum((2, 3)) * (mean[:, None] if conv.depthwise else mean[None])).sum(1)
        if conv.source == "image":
            # The graph takes (pixel - 128) / 127.5 for pixel / 127.5 - 1: half a step less, given back here.
            bias += conv.weight.sum((1, 2, 3)) * 0.5 * PIXEL_SCALE
        zero = 128 if recipe.unsigned_weights else 0
        weights[conv.name] = ((integers + zero).astype(np.uint8 if zero else np.int8), scales, zero)
        biases[conv.name] = bias
    return Quantization(activations, weights, biases, recipe.signed)


def _activation(seen: Statistics, recipe: Recipe) -> tuple[np.float32, int]:
    """Scale and zero point, 256 steps from low to high with 0 exactly on a step."""
    low, high = min(seen.low, 0.0), max(seen.high, 0.0)
    if recipe.calibration == "mse":
        shrinks = [(1 - 0.02 * step) for step in range(35)]
        low, high = min(((low * shrink, high * shrink) for shrink in shrinks),
                        key=lambda span: np.square(_rounded(seen.sample, *span) - seen.sample).mean(dtype=np.float64))
    scale = np.float32((high - low) / 255)
    return scale, int(round(-low / float(scale))) - (128 if recipe.signed else 0)


def _rounded(values: np.ndarray, low: float, high: float) -> np.ndarray:
    scale = np.float32((high - low) / 255)
    zero = np.float32(round(-low / float(scale)))
    return (np.clip(np.rint(values / scale) + zero, 0, 255) - zero) * scale


def _weights(conv: Conv, recipe: Recipe, floor: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Integers in the weight's shape and a scale per output channel, symmetric around zero, no scale below its `floor`."""
    rows = conv.weight.reshape(len(conv.weight), -1)
    if conv.depthwise:  # its kernels sum in 32 bits everywhere: 8 bits are safe
        scales = np.abs(rows).max(1) / 127
    elif recipe.dense_bits == "pairs":
        scales = np.maximum(np.abs(rows).max(1), _pair_peak(conv.weight)) / 127
    else:
        scales = np.abs(rows).max(1) / (2 ** (recipe.dense_bits - 1) - 1)
    scales = np.maximum(scales, floor).astype(np.float32)
    steps = rows / scales[:, None].astype(np.float64)
    integers = _round_keeping_sums(steps) if conv.depthwise and recipe.keep_sums else np.rint(steps)
    return integers.reshape(conv.weight.shape), scales


def _round_keeping_sums(steps: np.ndarray) -> np.ndarray:
    """Rounds each row to integers within half a step of the row's sum, moving the values that were closest to a tie.

    A kernel whose weights nearly cancel answers to edges; rounded one by one, they would answer to brightness too.
    """
    rounded = np.rint(steps)
    excess = np.rint((rounded - steps).sum(1))
    regret = (rounded - steps) * np.sign(excess)[:, None]
    rank = np.argsort(np.argsort(-regret, 1, kind="stable"), 1, kind="stable")
    return np.clip(rounded - np.sign(excess)[:, None] * (rank < np.abs(excess)[:, None]), -127, 127)


def _pair_peak(weight: np.ndarray) -> np.ndarray:
    """The largest same-signed sum of two weights that an x86 kernel without VNNI may add in 16 bits, per output channel.

    vpmaddubsw adds activation * weight of two neighbours along the input: 255 * (a + b) <= 32767 needs a + b <= 128.
    Neighbours are taken along the channels (NHWC) and, for kernels wider than 1x1, along the patch in NCHW order too.
    """
    orders = [np.moveaxis(weight, 1, -1).reshape(len(weight), -1), weight.reshape(len(weight), -1)]
    peak = np.zeros(len(weight))
    for rows in orders:
        for signed in (np.maximum(rows, 0), np.maximum(-rows, 0)):
            peak = np.maximum(peak, (signed[:, 1:] + signed[:, :-1]).max(1))
    return peak
