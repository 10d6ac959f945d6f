"""Convolutions and fully connected layers as integer operators."""

from dataclasses import dataclass, replace

import numpy as np
import onnx_graphsurgeon as gs

from condense_compiler.errors import UnsupportedError
from condense_compiler.operators import convolution
from condense_compiler.operators.registry import parse_as
from condense_compiler.operators.window import Window
from condense_compiler.targets.accelerator.integer.arithmetic import Array
from condense_compiler.targets.accelerator.integer.building import NOWHERE
from condense_compiler.targets.accelerator.integer.constants import (
    Codes,
    constant,
    is_constant,
    source_of,
)
from condense_compiler.targets.accelerator.integer.network import Convolution, Map
from condense_compiler.targets.accelerator.integer.values import Coded, Raw, Value
from condense_compiler.targets.accelerator.integer.weights import split_scales, split_zeros
from condense_compiler.targets.accelerator.integer.windows import check_window, over_two_axes

_MOST_SUM = (1 << 31) // 255  # of the magnitudes of a filter: sums have 32 bits
_LARGEST_STEP = 255  # codes without sign whose zero is one of them
_BIAS_TOLERANCE = 1e-5  # relative, between the scale of a bias and that of the sums


@dataclass(frozen=True, slots=True)
class Filters:
    """Filters of a layer.

    Attributes:
        steps: Whole numbers, one filter behind the other.
        scales: Value of a step of each filter, in float32.
        bias: Added to the sums, in units of them; None without one.
    """

    steps: Array
    scales: Array
    bias: Array | None


def filters_of(node: gs.Node, source: Map, axis: int = 0) -> Filters:
    """Return the filters of a layer.

    Args:
        node: The layer.
        source: What it reads.
        axis: Axis of the weights along which filters lie.

    Raises:
        UnsupportedError: They are computed by the network, or not quantised.
    """
    check_weights(node)
    weights, *others = (constant(t) for t in node.inputs[1:3] if not t.is_empty())
    steps, scales = _whole(weights, axis, node.name)
    units = np.float32(source.scale) * scales
    return Filters(steps, scales, _bias(others[0], units) if others else None)


def _whole(weights: Array | Codes, axis: int, name: str) -> tuple[Array, Array]:
    """Return weights as whole numbers, filters first, and the scale of each filter."""
    if isinstance(weights, Codes):
        steps, scale = np.moveaxis(weights.steps, axis, 0), weights.scale.reshape(-1)
        by_filter = scale.size == 1 or weights.axis == axis
        if by_filter and np.abs(steps).max(initial=0) <= _LARGEST_STEP:
            return steps, np.broadcast_to(scale, len(steps))
    integers, scales = split_scales(np.moveaxis(source_of(weights), axis, 0), name)
    return integers, scales.astype(np.float32)


def _bias(bias: Array | Codes, units: Array) -> Array:
    """Return a bias in units of the sums.

    Whole numbers, if its scale is that of the sums, or if it is not quantised: then it is here.
    """
    if isinstance(bias, Codes):
        if np.allclose(bias.scale.reshape(-1), units, rtol=_BIAS_TOLERANCE, atol=0.0):
            return np.broadcast_to(bias.steps.reshape(-1), len(units)).astype(np.float64)
        values = bias.steps.reshape(-1) * bias.scale.reshape(-1).astype(np.float64)
    else:
        values = bias.reshape(-1).astype(np.float64)
    wide, steps = units.astype(np.float64), np.zeros(len(units))
    np.divide(values, wide, out=steps, where=wide > 0)
    return steps if isinstance(bias, Codes) else np.rint(steps)


def sums(source: Map, filters: Filters, window: Window, group: int, name: str) -> Raw:
    """Return the sums of a convolution.

    Raises:
        UnsupportedError: More than two spatial axes, or sums that take more than 32 bits.
    """
    window, integers = over_two_axes(window, name), filters.steps
    integers = integers.reshape(*integers.shape[:2], *window.kernel_shape)
    if np.abs(integers.astype(np.int64)).reshape(len(integers), -1).sum(axis=1).max() > _MOST_SUM:
        raise UnsupportedError(f"{name}: sums that take more than 32 bits")
    weights, zeros = split_zeros(integers, name)
    operator = Convolution(name, (source,), NOWHERE, weights=weights, window=window, group=group)
    operator.weight_zeros = zeros
    check_window(window, source.shape[1:], name)
    height, width = window.output_shape(source.shape[1:])
    raw = Raw(operator, (len(weights), height, width), np.float32(source.scale) * filters.scales)
    return raw if filters.bias is None else replace(raw, bias=filters.bias)


def conv(source: Map, node: gs.Node) -> Raw:
    """Return the sums of a Conv."""
    operator = parse_as(convolution.Convolution, node)
    filters = filters_of(node, source)
    return sums(source, filters, operator.window, operator.group, node.name)


def dense(source: Map, node: gs.Node) -> Raw:
    """Return the sums of a Gemm or of a MatMul by a constant: one window over the whole map."""
    attributes = {"alpha": 1.0, "beta": 1.0, "transA": 0, "transB": 0} | dict(node.attrs)
    if attributes["transA"] or (attributes["alpha"], attributes["beta"]) != (1.0, 1.0):
        raise UnsupportedError(f"{node.name}: Gemm with alpha, beta or transA")
    shape = node.inputs[1].shape
    axis = 0 if attributes["transB"] else 1
    if len(shape) != 2 or shape[1 - axis] != source.size_bytes:
        raise UnsupportedError(f"{node.name}: {node.op} of more than one row")
    filters = filters_of(node, source, axis)
    by_pixel = filters.steps.reshape(len(filters.steps), *source.shape)
    window = Window(source.shape[1:], (1, 1), (0, 0, 0, 0), (1, 1))
    return sums(source, replace(filters, steps=by_pixel), window, 1, node.name)


def pool_behind(value: Value, window: Window, name: str) -> Value:
    """Append a max-pooling to a convolution.

    Raises:
        UnsupportedError: A function that is not increasing stands between.
    """
    operator = value.operator if isinstance(value, Raw) else getattr(value, "base", None)
    assert isinstance(operator, Convolution)
    if isinstance(value, Coded) and not value.is_increasing():
        raise UnsupportedError(f"{name}: max-pooling behind a function that is not increasing")
    window = over_two_axes(window, name)
    operator.spatial = window
    channels, *pixels = value.shape
    height, width = window.output_shape(tuple(pixels))
    return _with_shape(value, (channels, height, width))


def _with_shape(value: Value, shape: tuple[int, int, int]) -> Value:
    assert isinstance(value, Raw | Coded)
    return replace(value, shape=shape)


def check_weights(node: gs.Node) -> None:
    """Refuse a layer whose weights or bias the network computes.

    Raises:
        UnsupportedError: They are no constants.
    """
    if not all(tensor.is_empty() or is_constant(tensor) for tensor in node.inputs[1:3]):
        raise UnsupportedError(f"{node.name}: {node.op} with weights that the network computes")
