"""The network between reading it and writing it: a list of convolutions and additions, batch norms already folded."""
from dataclasses import dataclass, field

import numpy as np


@dataclass
class Conv:
    """A convolution, optionally followed by ReLU6.

    `weight` is [out, in / group, kernelHeight, kernelWidth] float32, `bias` [out] float32,
    `pads` [top, left, bottom, right] in pixels; `source` names the layer it reads ("image" is the input).
    """

    name: str
    source: str
    weight: np.ndarray
    bias: np.ndarray
    stride: int
    pads: tuple[int, int, int, int]
    group: int
    relu6: bool = False

    @property
    def depthwise(self) -> bool:
        return self.group > 1


@dataclass
class Add:
    """The sum of two layers of the same shape (the shortcut of an inverted residual)."""

    name: str
    sources: tuple[str, str]


@dataclass
class Network:
    """Layers in the order they run, the heads that end it, and the anchors.

    `box_heads` and `class_heads` name the 1x1 convolutions whose outputs, in this order, make up the 1917 anchors;
    `anchors` is [1917, 4] float32 as ymin, xmin, ymax, xmax in 0..1 of the image.
    """

    layers: list[Conv | Add]
    box_heads: list[str]
    class_heads: list[str]
    anchors: np.ndarray
    size: int = 300
    classes: int = 91
    shapes: dict[str, tuple[int, int, int]] = field(default_factory=dict)

    @property
    def heads(self) -> list[str]:
        return [*self.box_heads, *self.class_heads]

    @property
    def convs(self) -> list[Conv]:
        return [layer for layer in self.layers if isinstance(layer, Conv)]
