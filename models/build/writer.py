"""Writes a `Network` as an ONNX model, in float or, given a `Quantization`, as int8 in QDQ form.

ONNX Runtime's own quantizer is not used because three things here are simpler to write than to configure: weights whose
scales respect the 16-bit sums of old x86 kernels, heads whose outputs stay float, and an input that costs nothing.

The graph, both forms:  image uint8 [1,300,300,3] RGB  ->  boxes float32 [1,1917,4] ymin, xmin, ymax, xmax in 0..1
(decoded, not clipped) and logits float32 [1,1917,91] (score = sigmoid; column 0 is the background).
Plain operators only: no control flow, no custom domain, no external data.
"""
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from network import Add, Conv, Network

OPSET, IR_VERSION = 13, 8  # 13 brought DequantizeLinear per channel; every ONNX Runtime since 1.8 loads it
VARIANCES = (0.1, 0.2)  # of the box coder: the network predicts centre offsets / 0.1 and log sizes / 0.2
PIXEL_SCALE, PIXEL_ZERO = np.float32(1 / 127.5), 128


@dataclass
class Quantization:
    """Integers of a network. Real value = scale * (integer - zero).

    `activations`: layer -> (scale, zero), one pair per tensor; `weights`: convolution -> (int8 or uint8 weights in the
    network's shape, scale per output channel, zero); `signed` says whether activations are int8 or uint8.
    """

    activations: dict[str, tuple[np.float32, int]]
    weights: dict[str, tuple[np.ndarray, np.ndarray, int]]
    biases: dict[str, np.ndarray]
    signed: bool = False


def write(network: Network, quantization: Quantization | None = None, expose: bool = False) -> onnx.ModelProto:
    """The model; with `expose` every layer's float value is an output too (for calibration)."""
    return _Writer(network, quantization).model(expose)


class _Writer:
    def __init__(self, network: Network, quantization: Quantization | None):
        self.network, self.q = network, quantization
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}
        self.read: set[str] = set()  # layers whose stored value has been dequantized for a reader

    def model(self, expose: bool) -> onnx.ModelProto:
        size, count = self.network.size, len(self.network.anchors)
        self.image()
        heads = {}
        for layer in self.network.layers:
            if layer.name in self.network.heads:
                heads[layer.name] = self.head(layer)
            elif isinstance(layer, Conv):
                self.conv(layer)
            else:
                self.add(layer)
        self.node("Concat", [heads[name] for name in self.network.class_heads], "logits", axis=1)
        self.boxes(self.node("Concat", [heads[name] for name in self.network.box_heads], "encodings", axis=1))

        outputs = [("boxes", [1, count, 4]), ("logits", [1, count, self.network.classes])]
        if expose:
            outputs += [(self.real(name), [1, *shape]) for name, shape in self.network.shapes.items() if name not in heads]
        graph = helper.make_graph(
            self.nodes, "ssdlite", [helper.make_tensor_value_info("image", TensorProto.UINT8, [1, size, size, 3])],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs],
            list(self.constants.values()))
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION,
                                  producer_name="sightd")
        onnx.checker.check_model(model, full_check=True)
        return model

    # The pieces of the graph.
    def image(self) -> None:
        pixels = self.node("Transpose", ["image"], "image/nchw", perm=[0, 3, 1, 2])
        if self.q:
            self.dequantize(pixels, "image/real", PIXEL_SCALE, PIXEL_ZERO, np.uint8)
        else:
            pixels = self.node("Cast", [pixels], "image/float", to=TensorProto.FLOAT)
            pixels = self.node("Sub", [pixels, self.constant("image/half", np.float32(127.5))], "image/centred")
            self.node("Mul", [pixels, self.constant("image/scale", PIXEL_SCALE)], "image/real")

    def conv(self, layer: Conv) -> None:
        weight, bias = self.parameters(layer, layer.weight, axis=0)
        value = self.node("Conv", [self.real(layer.source), weight, bias], f"{layer.name}/conv",
                          kernel_shape=list(layer.weight.shape[2:]), strides=[layer.stride] * 2,
                          pads=list(layer.pads), group=layer.group)
        if layer.relu6 and not self.q:  # quantized, the range of the output [0, at most 6] does the clipping
            value = self.node("Clip", [value, self.constant("relu6/min", np.float32(0)),
                                       self.constant("relu6/max", np.float32(6))], f"{layer.name}/relu6")
        self.settle(value, layer.name)

    def add(self, layer: Add) -> None:
        self.settle(self.node("Add", [self.real(source) for source in layer.sources], f"{layer.name}/sum"), layer.name)

    def head(self, layer: Conv) -> str:
        """A 1x1 convolution as a matrix product over channels, whose output ONNX Runtime leaves float: rounding
        logits to 8 bits would cost about 0.01 of score for nothing. Gives [1, anchors, 4 or classes]."""
        nhwc = self.node("Transpose", [self.stored(layer.source)], f"{layer.name}/nhwc", perm=[0, 2, 3, 1])
        if self.q:
            nhwc = self.dequantize(nhwc, f"{layer.name}/input", *self.q.activations[layer.source], self.activation_type)
        weight, bias = self.parameters(layer, layer.weight[:, :, 0, 0].T, axis=1)
        product = self.node("MatMul", [nhwc, weight], f"{layer.name}/product")
        # The rows are merged before the bias is added: next to each other, ONNX Runtime would fuse MatMul and Add into
        # a float Gemm before it gets to see the integers.
        rows = self.rows(product, len(layer.bias), f"{layer.name}/rows")
        width = 4 if layer.name in self.network.box_heads else self.network.classes
        return self.rows(self.node("Add", [rows, bias], f"{layer.name}/output"), width, layer.name)

    def rows(self, value: str, width: int, name: str) -> str:
        return self.node("Reshape", [value, self.constant(f"rows/{width}", np.array([1, -1, width], np.int64))], name)

    def boxes(self, encodings: str) -> None:
        """Faster R-CNN box coder: centre = anchor centre + 0.1 * t * anchor size, size = anchor size * exp(0.2 * t)."""
        low, high = self.network.anchors[:, :2].astype(np.float64), self.network.anchors[:, 2:].astype(np.float64)
        centre, size = (low + high) / 2, high - low
        offset, log_size = (self.node("Slice", [encodings, *(self.constant(f"slice/{value}", np.array([value], np.int64))
                                                             for value in (start, start + 2, 2))], name)
                            for name, start in (("offset", 0), ("logSize", 2)))
        middle = self.node("Mul", [offset, self.constant("anchor/step", np.float32(size * VARIANCES[0])[None])], "shift")
        middle = self.node("Add", [middle, self.constant("anchor/centre", np.float32(centre)[None])], "centre")
        half = self.node("Mul", [log_size, self.constant("logSize/scale", np.float32(VARIANCES[1]))], "logSize/scaled")
        half = self.node("Mul", [self.node("Exp", [half], "growth"),
                                 self.constant("anchor/half", np.float32(size / 2)[None])], "half")
        self.node("Concat", [self.node("Sub", [middle, half], "low"), self.node("Add", [middle, half], "high")],
                  "boxes", axis=2)

    # Values: each layer has a stored form (quantized if the model is) and a real one (float).
    @property
    def activation_type(self) -> type:
        return np.int8 if self.q and self.q.signed else np.uint8

    def stored(self, layer: str) -> str:
        return f"{layer}/stored" if self.q else self.real(layer)

    def real(self, layer: str) -> str:
        if self.q and layer != "image" and layer not in self.read:
            self.read.add(layer)
            self.dequantize(self.stored(layer), f"{layer}/real", *self.q.activations[layer], self.activation_type)
        return f"{layer}/real"

    def settle(self, value: str, layer: str) -> None:
        """Names `value` as the output of `layer`, through QuantizeLinear if quantized; `real` dequantizes when asked."""
        if not self.q:
            self.nodes[-1].output[0] = self.real(layer)
            return
        scale, zero = self.q.activations[layer]
        self.node("QuantizeLinear", [value, *self.scale_and_zero(layer, scale, zero, self.activation_type)],
                  self.stored(layer))

    def dequantize(self, stored: str, name: str, scale: np.float32, zero: int, dtype: type) -> str:
        return self.node("DequantizeLinear", [stored, *self.scale_and_zero(name, scale, zero, dtype)], name)

    def scale_and_zero(self, name: str, scale: np.float32, zero: int, dtype: type) -> tuple[str, str]:
        return self.constant(f"{name}/scale", np.float32(scale)), self.constant(f"{name}/zero", np.array(zero, dtype))

    def parameters(self, layer: Conv, weight: np.ndarray, axis: int) -> tuple[str, str]:
        """Weight and bias; `weight` is the layer's in the shape the operator wants, `axis` its output channels."""
        name = layer.name
        if not self.q:
            return (self.constant(f"{name}/weight", weight.astype(np.float32)),
                    self.constant(f"{name}/bias", layer.bias.astype(np.float32)))
        integers, scales, zero = self.q.weights[name]
        integers = integers[:, :, 0, 0].T if axis == 1 else integers
        zeros = np.full(len(scales), zero, integers.dtype)
        real = self.node("DequantizeLinear", [self.constant(f"{name}/weight", integers),
                                              self.constant(f"{name}/weight/scale", scales),
                                              self.constant(f"{name}/weight/zero", zeros)], f"{name}/weight/real", axis=axis)
        if name in self.network.heads:
            return real, self.constant(f"{name}/bias", self.q.biases[name].astype(np.float32))
        source = PIXEL_SCALE if layer.source == "image" else self.q.activations[layer.source][0]
        bias_scales = (source * scales).astype(np.float32)
        bias = np.round(self.q.biases[name] / bias_scales.astype(np.float64)).astype(np.int32)
        return real, self.node("DequantizeLinear", [self.constant(f"{name}/bias", bias),
                                                    self.constant(f"{name}/bias/scale", bias_scales),
                                                    self.constant(f"{name}/bias/zero", np.zeros(len(bias), np.int32))],
                               f"{name}/bias/real", axis=0)

    def node(self, operator: str, inputs: list[str], output: str, **attributes) -> str:
        self.nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output

    def constant(self, name: str, value: np.ndarray) -> str:
        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(value).reshape(np.shape(value)), name)
        return name
