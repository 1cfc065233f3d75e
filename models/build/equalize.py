"""Cross-layer equalization, the part of it that leaves the float network as it was: channels of one tensor are given
similar ranges, so that the single scale the tensor is quantized with suits them all.

A channel multiplied by s where it is made and divided by s where it is read changes nothing if what lies between is
linear for it (M. Nagel et al., Data-Free Quantization Through Weight Equalization and Bias Correction, 2019). That holds
- for the linear ends of the inverted residuals and the sums they enter, with one factor per channel of the whole sum;
- after ReLU6, for a channel that has room below 6. Only the first convolution is worth it: its rounding alone cost more
  score than that of any other tensor, and its reader is depthwise, where scales per channel absorb any factor.
"""
import copy

import numpy as np

from network import Conv, Network

MARGIN = 1.1  # room above the largest value seen, for photos that calibration did not see
MOST = 4.0  # no channel grows more than this


def equalize(network: Network, peaks: dict[str, np.ndarray]) -> Network:
    """A copy of `network` with equalized channels; `peaks` holds each layer's largest magnitude per channel."""
    network = copy.deepcopy(network)
    first = network.convs[0]
    _rescale(network, {first.name}, np.clip(6 / np.maximum(MARGIN * peaks[first.name], 1e-6), 1, MOST))
    for group in _linear_groups(network):
        # The square root meets halfway: ranges of activations get closer, those of the readers' weights not too far apart.
        factor = 1 / np.sqrt(np.max([peaks[name] for name in group], 0))
        _rescale(network, group, factor / np.exp(np.log(factor).mean()))
    return network


def _rescale(network: Network, group: set[str], factor: np.ndarray) -> None:
    for conv in network.convs:
        if conv.name in group:
            conv.weight *= factor[:, None, None, None]
            conv.bias = conv.bias * factor
        if conv.source in group:
            conv.weight /= factor[:, None, None, None] if conv.depthwise else factor[None, :, None, None]


def _linear_groups(network: Network) -> list[set[str]]:
    """Layers without ReLU6 that must share their factors: a convolution alone, or all that meet in a chain of additions."""
    groups: list[set[str]] = []
    for layer in network.layers:
        if isinstance(layer, Conv):
            if not layer.relu6 and layer.name not in network.heads:
                groups.append({layer.name})
        else:
            meeting = [group for group in groups if group & set(layer.sources)]
            groups = [group for group in groups if group not in meeting] + [set().union(*meeting, {layer.name})]
    return groups
