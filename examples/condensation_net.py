#!/usr/bin/env python3
"""Build Condensation-Net on the Tiny-YOLOv2 backbone, with random weights.

Each 3x3 convolution is k times wider than in Tiny-YOLOv2, and behind its batch norm and leaky
ReLU the k maps of a group are pooled into one. So all maps that reach the next layer have the
shapes they have in Tiny-YOLOv2, whatever k is.

    python examples/condensation_net.py --k 4 -o condensation_net.onnx
    condense compile condensation_net.onnx
"""

import argparse
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
from graph_writer import GraphWriter
from spellings import SPELLINGS, Maps, Spelling

FILTERS = (16, 32, 64, 128, 256, 512, 1024, 1024)
POOLED_SPATIALLY = 5  # a 2x2 max-pool stands behind the first five layers
IMAGE_CHANNELS = 3
HEAD_FILTERS = 125  # 5 boxes of 4 coordinates, 1 score and 20 classes
LEAKY_RELU_SLOPE = 0.1
OPSETS = range(11, onnx.defs.onnx_opset_version() + 1)
SMALLEST_SIZE = 2**POOLED_SPATIALLY  # so that one pixel is left

# A pooled value is about k ** exponent times as large as the values pooled. The weights that read
# it are that much smaller, so that values keep their magnitude through all layers.
GAIN_EXPONENT = {"sum": 1.0, "l2": 0.5, "max": 0.4}


Activate = Callable[[GraphWriter, str], str]


def leaky_relu(graph: GraphWriter, tensor: str) -> str:
    """Write the activation of Tiny-YOLOv2."""
    return graph.write("LeakyRelu", tensor, alpha=LEAKY_RELU_SLOPE)


def build(
    k: int = 2,
    width: float = 1.0,
    size: int = 416,
    pooling: str | Spelling = "reduce_max",
    opset: int = 18,
    seed: int = 0,
    activate: Activate = leaky_relu,
) -> onnx.ModelProto:
    """Return the network.

    Args:
        k: Number of maps that are pooled into one.
        width: Multiplier for the number of filters.
        size: Height and width of the input image.
        pooling: Spelling of the cross-channel pooling, or the name of one in `SPELLINGS`.
        opset: ONNX opset, from `OPSETS`.
        seed: Seed of the random weights.
        activate: Writes what stands behind each batch norm.
    """
    graph = GraphWriter(opset, seed)
    spelling = SPELLINGS[pooling] if isinstance(pooling, str) else pooling
    gain = k ** GAIN_EXPONENT.get(spelling.reduction, 0.0)
    tensor, channels, side = "input", IMAGE_CHANNELS, size
    for index, filters in enumerate(FILTERS):
        graph.scope = f"layer{index + 1}"
        maps = Maps((), max(1, round(filters * width)), k, (side, side))
        scale = 1.0 / gain if index else 1.0  # the image itself is not pooled
        layer = _Layer(maps, spelling, activate, scale)
        tensor = _widened_layer(graph, tensor, channels, layer)
        channels = maps.groups
        if index < POOLED_SPATIALLY:
            tensor = graph.write("MaxPool", tensor, kernel_shape=[2, 2], strides=[2, 2])
            side //= 2
    graph.scope = "head"
    bias = graph.constant(graph.random.normal(0.0, 0.1, HEAD_FILTERS), "bias")
    head = _convolution(graph, tensor, (HEAD_FILTERS, channels, 1, 1), 1.0 / gain, bias)
    return graph.model(
        f"condensation_net_{pooling if isinstance(pooling, str) else spelling.reduction}_k{k}",
        {"input": (1, IMAGE_CHANNELS, size, size)},
        {graph.rename(head, "output"): (1, HEAD_FILTERS, side, side)},
    )


@dataclass(frozen=True)
class _Layer:
    """What one layer is made of; `scale` is that of its weights."""

    maps: Maps
    spelling: Spelling
    activate: Activate
    scale: float


def _widened_layer(graph: GraphWriter, tensor: str, channels: int, layer: _Layer) -> str:
    """Write convolution, batch norm and activation, k times as wide, then the pooling."""
    maps, spelling = layer.maps, layer.spelling
    separate = spelling.grouping == "separate"
    filters = [maps.groups] * maps.window if separate else [maps.channels]
    names = []
    for count in filters:
        wide = _convolution(graph, tensor, (count, channels, 3, 3), layer.scale)
        wide = _batch_norm(graph, wide, count)
        names.append(layer.activate(graph, wide))
    return spelling.write(graph, replace(maps, names=tuple(names)))


def _convolution(
    graph: GraphWriter, tensor: str, shape: tuple[int, int, int, int], scale: float, *bias: str
) -> str:
    """Write a convolution that keeps height and width, and the magnitude of its input."""
    *_, channels, height, width = shape
    deviation = scale * (2.0 / (channels * height * width)) ** 0.5
    weights = graph.random.standard_normal(shape, np.float32) * np.float32(deviation)
    return graph.write(
        "Conv",
        tensor,
        graph.constant(weights, "weight"),
        *bias,
        kernel_shape=[height, width],
        pads=[height // 2, width // 2] * 2,
    )


def _batch_norm(graph: GraphWriter, tensor: str, channels: int) -> str:
    """Write a batch norm such as training leaves it: no two channels alike."""
    draw = graph.random
    statistics = {
        "scale": draw.uniform(0.5, 1.5, channels),
        "bias": draw.normal(0.0, 0.2, channels),
        "mean": draw.normal(0.0, 0.2, channels),
        "variance": draw.uniform(0.5, 1.5, channels),
    }
    parameters = [graph.constant(values, name) for name, values in statistics.items()]
    return graph.write("BatchNormalization", tensor, *parameters, epsilon=1e-5)


def main() -> None:
    """Read the command line, build the network, and write it."""
    options = vars(_parser().parse_args())
    path = options.pop("output")
    model = build(**options)
    onnx.save(model, path)
    weights = sum(math.prod(tensor.dims) for tensor in model.graph.initializer)
    print(f"{path}: {len(model.graph.node)} operators, {weights / 1e6:.1f} million weights")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    option = parser.add_argument
    option("--k", type=_at_least(1), default=2, help="maps pooled into one (default %(default)s)")
    option(
        "--width",
        type=float,
        default=1.0,
        help="multiplier for the number of filters of each layer (default %(default)s)",
    )
    option(
        "--size",
        type=_at_least(SMALLEST_SIZE),
        default=416,
        help="height and width of the input image (default %(default)s)",
    )
    option(
        "--pooling",
        choices=SPELLINGS,
        default="reduce_max",
        metavar="SPELLING",
        help=f"how the pooling is written (default %(default)s): {', '.join(SPELLINGS)}",
    )
    option(
        "--opset",
        type=int,
        choices=OPSETS,
        default=18,
        metavar="VERSION",
        help=f"ONNX opset, {OPSETS[0]} to {OPSETS[-1]} (default %(default)s)",
    )
    option("--seed", type=int, default=0, help="seed of the random weights (default %(default)s)")
    option(
        "-o",
        "--output",
        type=Path,
        default=Path("condensation_net.onnx"),
        metavar="FILE",
        help="where to write the model (default %(default)s)",
    )
    return parser


def _at_least(smallest: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        value = int(text)
        if value < smallest:
            raise argparse.ArgumentTypeError(f"{value} is less than {smallest}")
        return value

    parse.__name__ = "integer"  # argparse names it where the text is no number
    return parse


if __name__ == "__main__":
    main()
