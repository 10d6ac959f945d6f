"""Element-wise operators, as they stand before, inside and behind a cross-channel pooling."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from graph_writer import GraphWriter

Write = Callable[[GraphWriter, str, int, int], str]


@dataclass(frozen=True)
class Stage:
    """An element-wise operator.

    Attributes:
        write: Writes it: graph, tensor, number of channels, number of spatial dimensions.
        non_decreasing: Whether a larger input never gives a smaller output.
        per_channel: Whether it holds a value for each channel.
        opset: First opset in which it can be written.
    """

    write: Write
    non_decreasing: bool = True
    per_channel: bool = False
    opset: int = 11


def _operator(op_type: str, **attributes: Any) -> Write:
    """One operator without constants."""
    return lambda graph, x, _channels, _rank: graph.write(op_type, x, **attributes)


def _clip(*bounds: float | None) -> Write:
    def write(graph: GraphWriter, x: str, _channels: int, _rank: int) -> str:
        names = ["" if bound is None else graph.constant(float(bound), "bound") for bound in bounds]
        return graph.write("Clip", x, *names)

    return write


def _with_scalar(op_type: str, value: float, first: bool = False) -> Write:
    """An operator with one number, which may stand first."""

    def write(graph: GraphWriter, x: str, _channels: int, _rank: int) -> str:
        constant = graph.constant(value, "scalar")
        return graph.write(op_type, *((constant, x) if first else (x, constant)))

    return write


def _with_channels(
    op_type: str, low: float, high: float, batch_dimension: bool = False, first: bool = False
) -> Write:
    """An operator with one number per channel, shape (C, 1, 1) or (1, C, 1, 1)."""

    def write(graph: GraphWriter, x: str, channels: int, rank: int) -> str:
        shape = (*([1] if batch_dimension else []), channels, *[1] * rank)
        constant = graph.constant(graph.random.uniform(low, high, shape), "per_channel")
        return graph.write(op_type, *((constant, x) if first else (x, constant)))

    return write


def _batch_norm(lowest_scale: float) -> Write:
    def write(graph: GraphWriter, x: str, channels: int, _rank: int) -> str:
        draw = graph.random
        statistics: Mapping[str, npt.NDArray[np.float64]] = {
            "scale": draw.uniform(lowest_scale, 1.5, channels),
            "bias": draw.normal(0.0, 0.2, channels),
            "mean": draw.normal(0.0, 0.2, channels),
            "variance": draw.uniform(0.5, 1.5, channels),
        }
        parameters = [graph.constant(values, name) for name, values in statistics.items()]
        return graph.write("BatchNormalization", x, *parameters, epsilon=1e-3)

    return write


def _silu(graph: GraphWriter, x: str, _channels: int, _rank: int) -> str:
    return graph.write("Mul", x, graph.write("Sigmoid", x))


def _mish(graph: GraphWriter, x: str, _channels: int, _rank: int) -> str:
    return graph.write("Mul", x, graph.write("Tanh", graph.write("Softplus", x)))


def _hard_swish(graph: GraphWriter, x: str, _channels: int, _rank: int) -> str:
    moved = graph.write("Add", x, graph.constant(3.0, "three"))
    gate = graph.write("Clip", moved, graph.constant(0.0, "low"), graph.constant(6.0, "high"))
    return graph.write("Div", graph.write("Mul", x, gate), graph.constant(6.0, "six"))


def _hard_swish_by_gate(graph: GraphWriter, x: str, _channels: int, _rank: int) -> str:
    return graph.write("Mul", x, graph.write("HardSigmoid", x, alpha=1.0 / 6.0, beta=0.5))


def _gelu(graph: GraphWriter, x: str, _channels: int, _rank: int) -> str:
    scaled = graph.write("Div", x, graph.constant(2.0**0.5, "root"))
    gate = graph.write("Add", graph.write("Erf", scaled), graph.constant(1.0, "one"))
    return graph.write("Mul", graph.write("Mul", x, gate), graph.constant(0.5, "half"))


def _leaky_by_max(graph: GraphWriter, x: str, _channels: int, _rank: int) -> str:
    return graph.write("Max", x, graph.write("Mul", x, graph.constant(0.1, "slope")))


STAGES: Mapping[str, Stage] = {
    "relu": Stage(_operator("Relu")),
    "leaky_relu": Stage(_operator("LeakyRelu", alpha=0.1)),
    "leaky_relu_default": Stage(_operator("LeakyRelu")),
    "leaky_relu_negative": Stage(_operator("LeakyRelu", alpha=-0.5), non_decreasing=False),
    "leaky_relu_by_max": Stage(_leaky_by_max),
    "elu": Stage(_operator("Elu", alpha=0.7)),
    "sigmoid": Stage(_operator("Sigmoid")),
    "hard_sigmoid": Stage(_operator("HardSigmoid", alpha=0.3, beta=0.4)),
    "tanh": Stage(_operator("Tanh")),
    "softplus": Stage(_operator("Softplus")),
    "identity": Stage(_operator("Identity")),
    "dropout": Stage(_operator("Dropout")),
    "abs": Stage(_operator("Abs"), non_decreasing=False),
    "neg": Stage(_operator("Neg"), non_decreasing=False),
    "prelu": Stage(_with_channels("PRelu", 0.05, 0.4), per_channel=True),
    "prelu_shared": Stage(_with_scalar("PRelu", 0.2)),
    "prelu_negative": Stage(
        _with_channels("PRelu", -0.5, 0.5), non_decreasing=False, per_channel=True
    ),
    "clip": Stage(_clip(0.0, 0.6)),
    "clip_low": Stage(_clip(-0.3)),
    "clip_high": Stage(_clip(None, 0.4)),
    "hard_swish": Stage(_hard_swish, non_decreasing=False),
    "hard_swish_by_gate": Stage(_hard_swish_by_gate, non_decreasing=False),
    "hard_swish_operator": Stage(_operator("HardSwish"), non_decreasing=False, opset=14),
    "silu": Stage(_silu, non_decreasing=False),
    "mish": Stage(_mish, non_decreasing=False),
    "mish_operator": Stage(_operator("Mish"), non_decreasing=False, opset=18),
    "gelu": Stage(_gelu, non_decreasing=False),
    "gelu_operator": Stage(_operator("Gelu"), non_decreasing=False, opset=20),
    "add_scalar": Stage(_with_scalar("Add", 0.3)),
    "scalar_minus": Stage(_with_scalar("Sub", 0.3, first=True), non_decreasing=False),
    "mul_scalar": Stage(_with_scalar("Mul", 1.7, first=True)),
    "mul_negative_scalar": Stage(_with_scalar("Mul", -0.8), non_decreasing=False),
    "div_scalar": Stage(_with_scalar("Div", 1.3)),
    "add": Stage(_with_channels("Add", -0.5, 0.5), per_channel=True),
    "add_4d": Stage(_with_channels("Add", -0.5, 0.5, batch_dimension=True), per_channel=True),
    "add_first": Stage(_with_channels("Add", -0.5, 0.5, first=True), per_channel=True),
    "sub": Stage(_with_channels("Sub", -0.5, 0.5), per_channel=True),
    "mul": Stage(_with_channels("Mul", 0.5, 1.5), per_channel=True),
    "mul_4d": Stage(_with_channels("Mul", 0.5, 1.5, batch_dimension=True), per_channel=True),
    "mul_mixed": Stage(_with_channels("Mul", -1.5, 1.5), non_decreasing=False, per_channel=True),
    "div": Stage(_with_channels("Div", 0.5, 1.5), per_channel=True),
    "batch_norm": Stage(_batch_norm(0.5), per_channel=True),
    "batch_norm_mixed": Stage(_batch_norm(-1.5), non_decreasing=False, per_channel=True),
}

INSIDE = tuple(name for name, stage in STAGES.items() if not stage.per_channel)
