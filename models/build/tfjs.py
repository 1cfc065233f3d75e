"""Reads the TensorFlow.js graph of SSDLite-MobileNetV2 into a `Network`.

The graph is plain enough to translate by hand: 88 convolutions, their batch norms (in three spellings, depending on how
far TensorFlow.js had folded them), ten additions and two concatenations. Everything before `Preprocessor/sub` and after
`concat` / `concat_1` (resizing loops, non-maximum suppression) stays out.
"""
import base64
import json
from pathlib import Path

import numpy as np

from network import Add, Conv, Network

INPUT = "Preprocessor/sub"  # 300x300 RGB, value / 127.5 - 1
BOXES, LOGITS = "concat", "concat_1"
ANCHORS = "Postprocessor/ExpandDims"


def read(folder: Path) -> Network:
    """The network in `folder` (model.json and its weight shards); raises on any operation it does not know."""
    manifest = json.loads((folder / "model.json").read_text())
    return _Reader(manifest, _weights(folder, manifest["weightsManifest"])).network()


def _weights(folder: Path, manifest: list) -> dict[str, np.ndarray]:
    arrays = {}
    for group in manifest:
        data = b"".join((folder / path).read_bytes() for path in group["paths"])
        offset = 0
        for entry in group["weights"]:
            dtype = np.dtype(entry["dtype"]).newbyteorder("<")
            count = int(np.prod(entry["shape"], dtype=np.int64))
            arrays[entry["name"]] = np.frombuffer(data, dtype, count, offset).reshape(entry["shape"])
            offset += count * dtype.itemsize
    return arrays


class _Reader:
    def __init__(self, manifest: dict, weights: dict[str, np.ndarray]):
        self.nodes = {node["name"]: node for node in manifest["modelTopology"]["node"]}
        self.weights = weights
        self.layers: dict[str, Conv | Add] = {}
        self.values: dict[str, str] = {INPUT: "image"}  # TensorFlow node -> layer it belongs to
        self.shapes = {"image": (3, 300, 300)}  # layer -> channels, height, width

    def network(self) -> Network:
        box_heads, class_heads = ([self.layer(self.head(name)) for name in self.nodes[output]["input"][:-1]]
                                  for output in (BOXES, LOGITS))
        return Network(list(self.layers.values()), box_heads, class_heads,
                       self.weights[ANCHORS].reshape(-1, 4).astype(np.float32), shapes=self.shapes)

    def head(self, reshape: str) -> str:
        return self.nodes[reshape]["input"][0]

    def layer(self, name: str) -> str:
        """The layer that TensorFlow node `name` is part of, read on first use (its inputs first, so the order runs)."""
        if name not in self.values:
            node = self.nodes[name]
            self.values[name] = getattr(self, "op_" + node["op"])(node)
        return self.values[name]

    def op_Conv2D(self, node: dict) -> str:
        return self.conv(node, np.transpose(self.weights[node["input"][1]], (3, 2, 0, 1)), group=1)  # HWIO -> OIHW

    def op_DepthwiseConv2dNative(self, node: dict) -> str:
        weight = self.weights[node["input"][1]]  # height, width, channels, 1
        return self.conv(node, np.transpose(weight, (2, 3, 0, 1)), group=weight.shape[2])

    def conv(self, node: dict, weight: np.ndarray, group: int) -> str:
        source = self.layer(node["input"][0])
        if base64_text(node["attr"]["padding"]) != "SAME":
            raise ValueError(f"{node['name']}: only SAME padding is known")
        stride, kernel = int(node["attr"]["strides"]["list"]["i"][1]), weight.shape[2]
        _, size, _ = self.shapes[source]
        out = -(-size // stride)
        pad = max((out - 1) * stride + kernel - size, 0)  # TensorFlow's SAME: the odd pixel goes to the bottom and right
        before, after = pad // 2, pad - pad // 2
        name = short(node["name"])
        self.layers[name] = Conv(name, source, weight.astype(np.float64), np.zeros(weight.shape[0]), stride,
                                 (before, before, after, after), group)
        self.shapes[name] = (weight.shape[0], out, out)
        return name

    # What follows a convolution folds into it: y = scale * conv(x) + shift, then ReLU6.
    def fold(self, node: dict, scale: np.ndarray | float, shift: np.ndarray | float) -> str:
        conv = self.layers[self.layer(node["input"][0])]
        if not isinstance(conv, Conv) or conv.relu6:
            raise ValueError(f"{node['name']}: expected to follow a bare convolution")
        conv.weight *= np.reshape(scale, (-1, 1, 1, 1))
        conv.bias = conv.bias * scale + shift
        return conv.name

    def op_Mul(self, node: dict) -> str:
        return self.fold(node, self.weights[node["input"][1]].astype(np.float64).reshape(-1), 0.0)

    def op_BiasAdd(self, node: dict) -> str:
        return self.fold(node, 1.0, self.weights[node["input"][1]].astype(np.float64).reshape(-1))

    def op_Add(self, node: dict) -> str:
        first, second = node["input"]
        if second in self.weights:
            return self.op_BiasAdd(node)
        # TensorFlow.js reordered (conv + shift) + shortcut into shift + (conv + shortcut): the shift goes back to the conv.
        name = self.layer(second)
        self.op_BiasAdd({**node, "input": [self.nodes[second]["input"][0], first]})
        return name

    def op_FusedBatchNorm(self, node: dict) -> str:
        gamma, beta, mean, variance = (self.weights[name].astype(np.float64) for name in node["input"][1:])
        scale = gamma / np.sqrt(variance + node["attr"]["epsilon"]["f"])
        return self.fold(node, scale, beta - mean * scale)

    def op_Relu6(self, node: dict) -> str:
        conv = self.layers[self.layer(node["input"][0])]
        conv.relu6 = True
        return conv.name

    def op_AddN(self, node: dict) -> str:
        name, sources = short(node["name"]), tuple(self.layer(source) for source in node["input"])
        self.layers[name] = Add(name, sources)
        self.shapes[name] = self.shapes[sources[0]]
        return name


def base64_text(attribute: dict) -> str:
    """A string attribute: TensorFlow.js writes it as base64 or, in older files, as a list of character codes."""
    value = attribute["s"]
    return bytes(value).decode() if isinstance(value, list) else base64.b64decode(value).decode()


def short(name: str) -> str:
    """A node's name without the parts that TensorFlow's scopes and TensorFlow.js's optimizer add to every name."""
    return (name.removeprefix("FeatureExtractor/MobilenetV2/").removesuffix("/BatchNorm/batchnorm/mul_1")
            .removesuffix("/Conv2D").removesuffix("/depthwise")
            .replace("ArithmeticOptimizer/AddOpsRewrite_Leaf_1_add", "add").replace("BoxPredictor_", "head_"))
