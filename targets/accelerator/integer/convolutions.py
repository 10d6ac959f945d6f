"""Convolutions, fused or not, and fully connected layers, as integer operators."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import onnx_graphsurgeon as gs

from condense_compiler.errors import UnsupportedError
from condense_compiler.operators import convolution
from condense_compiler.operators.elementwise import INPUT, Program
from condense_compiler.operators.fused import ConvPool, operands_of
from condense_compiler.operators.registry import parse_as
from condense_compiler.operators.window import Window
from condense_compiler.targets.accelerator.integer.arithmetic import Array
from condense_compiler.targets.accelerator.integer.building import (
    NOWHERE,
    Builder,
    quantised,
    table_of,
)
from condense_compiler.targets.accelerator.integer.functions import TENSOR, apply
from condense_compiler.targets.accelerator.integer.network import (
    ChannelPooling,
    Convolution,
    Map,
)
from condense_compiler.targets.accelerator.integer.values import Coded, Raw, Value
from condense_compiler.targets.accelerator.integer.weights import (
    merge_groups,
    split_scales,
    split_zeros,
)
from condense_compiler.targets.accelerator.integer.windows import check_window, over_two_axes

_MOST_SUM = (1 << 31) // 255  # of the magnitudes of a filter: sums have 32 bits
_POOLED_AS = {"l2": "l2", "mean": "average", "ordinal": "ranked", "sum": "average"}


def convolve(source: Map, node: gs.Node, window: Window, group: int) -> Raw:
    """Return the sums of a Conv or ConvPool."""
    weights, bias = _constants(node)
    return sums(source, weights, bias, window, group, node.name)


def sums(
    source: Map, weights: Array, bias: Array | None, window: Window, group: int, name: str
) -> Raw:
    """Return the sums of a convolution.

    Raises:
        UnsupportedError: More than two spatial axes, weights that are not quantised, or sums that
            take more than 32 bits.
    """
    window = over_two_axes(window, name)
    weights = weights.reshape(*weights.shape[:2], *window.kernel_shape)
    integers, scales = split_scales(weights, name)
    if np.abs(integers.astype(np.int64)).reshape(len(integers), -1).sum(axis=1).max() > _MOST_SUM:
        raise UnsupportedError(f"{name}: sums that take more than 32 bits")
    filters, zeros = split_zeros(integers, name)
    operator = Convolution(name, (source,), NOWHERE, weights=filters, window=window, group=group)
    operator.weight_zeros = zeros
    units = np.float32(source.scale) * scales.astype(np.float32)
    check_window(window, source.shape[1:], name)
    height, width = window.output_shape(source.shape[1:])
    raw = Raw(operator, (len(weights), height, width), units)
    return raw if bias is None else replace(raw, bias=bias.astype(np.float64) / units)


def conv(source: Map, node: gs.Node) -> Raw:
    """Return the sums of a Conv."""
    operator = parse_as(convolution.Convolution, node)
    return convolve(source, node, operator.window, operator.group)


def dense(source: Map, node: gs.Node) -> Raw:
    """Return the sums of a Gemm or of a MatMul by a constant: one window over the whole map."""
    weights, bias = _constants(node)
    attributes = {"alpha": 1.0, "beta": 1.0, "transA": 0, "transB": 0} | dict(node.attrs)
    if attributes["transA"] or (attributes["alpha"], attributes["beta"]) != (1.0, 1.0):
        raise UnsupportedError(f"{node.name}: Gemm with alpha, beta or transA")
    filters = weights if attributes["transB"] else weights.T
    if weights.ndim != 2 or filters.shape[1] != source.size_bytes:
        raise UnsupportedError(f"{node.name}: {node.op} of more than one row")
    filters = filters.reshape(len(filters), *source.shape)
    if bias is not None:
        bias = np.broadcast_to(bias.reshape(-1), len(filters))
    window = Window(source.shape[1:], (1, 1), (0, 0, 0, 0), (1, 1))
    return sums(source, filters, bias, window, 1, node.name)


def conv_pool(builder: Builder, source: Map, node: gs.Node) -> Value:
    """Return the result of a ConvPool: sums or codes, whatever its programs end with."""
    recipe = ConvPool.from_attributes(node.attrs)
    weights, bias = _constants(node)
    group = recipe.group
    if recipe.members:
        weights, group = merge_groups(weights, group, group)
        weights = weights[list(recipe.members)]
        bias = None if bias is None else bias[list(recipe.members)]
    elif weights.shape[1] > 1:  # of depthwise ones, any filters may stand in a block
        of_group = len(weights) // group
        merged = math.lcm(recipe.window, of_group) // of_group
        weights, group = merge_groups(weights, group, merged)
    raw = sums(source, weights, bias, recipe.convolution, group, node.name)
    before, after = operands_of(node, recipe)
    if recipe.members:
        wide = node.inputs[1].shape[0]
        before = [_of_members(operand, recipe.members, wide) for operand in before]
    value = _run(builder, raw, recipe.before, before, node.name)
    value = _reduce(value, recipe, node.name)
    value = _run(builder, value, recipe.after, after, node.name)
    return value if recipe.spatial is None else pool_behind(value, recipe.spatial, node.name)


def _of_members(operand: Array, members: Sequence[int], wide: int) -> Array:
    """Return a constant of a program, if it has a value for each channel, in members' order."""
    values = np.asarray(operand)
    return values.reshape(-1)[list(members)] if values.size == wide else values


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


def _reduce(value: Value, recipe: ConvPool, name: str) -> Value:
    if recipe.window == 1 and recipe.reduction in ("max", "min", "mean", "sum"):
        return value
    channels, height, width = value.shape
    shape = (channels // recipe.window, height, width)
    if isinstance(value, Raw):
        if recipe.reduction not in ("max", "min"):
            raise UnsupportedError(
                f"{name}: pooling by {recipe.reduction} of sums that are not quantised first"
            )
        assert isinstance(value.operator, Convolution)
        value.operator.pooling = ChannelPooling(recipe.reduction, recipe.window)
        return _with_shape(value, shape)
    chooses = recipe.reduction in ("max", "min")
    if chooses and isinstance(value, Coded) and value.is_increasing() and not value.per_channel:
        assert isinstance(value.base, Convolution)
        value.base.pooling = ChannelPooling(recipe.reduction, recipe.window)
        return value.with_shape(shape)  # the function may as well come behind
    coded = quantised(value, name)
    assert isinstance(coded.base, Convolution)
    assert coded.grid is not None
    coded.base.inner_table, zero = table_of(coded)
    scale = coded.grid.scale
    if chooses:
        coded.base.pooling = ChannelPooling(recipe.reduction, recipe.window)
        steps = np.arange(-128, 128, dtype=np.float32) - np.float32(zero)
        return Coded(coded.base, shape, zero, steps * np.float32(scale), coded.grid)
    reduction = _POOLED_AS[recipe.reduction]
    coded.base.pooling = ChannelPooling(reduction, recipe.window, zero)
    weights = np.array(recipe.rank_weights if reduction == "ranked" else [1.0], np.float64)
    raw = Raw(coded.base, shape, np.float64(scale) * weights)
    return replace(raw, averaged="window" if recipe.reduction == "mean" else "one")


def _run(
    builder: Builder, value: Value, program: Program, operands: Sequence[Array], name: str
) -> Value:
    results: list[Value] = []
    for index, instruction in enumerate(program.instructions):
        tensors = [a for a in instruction.arguments if a == INPUT or a.startswith("%")]
        latest = INPUT if index == 0 else f"%{index - 1}"
        if tensors != [latest]:
            raise UnsupportedError(f"{name}: {instruction.op} between convolution and pooling")
        arguments: list[Any] = [
            TENSOR if a == latest else _constant(a, operands) for a in instruction.arguments
        ]
        op = instruction.op
        if op == "Mul" and _is_reciprocal(arguments[1]):
            op, arguments[1] = "Div", np.float32(1.0 / arguments[1])
        value = apply(builder, value, op, arguments, dict(instruction.attributes), name)
        results.append(value)
    return value


def _constant(argument: str, operands: Sequence[Array]) -> Any:
    """Return a constant of a program: one value, or one for each channel."""
    if not argument.startswith("$"):
        return float(argument)
    values = operands[int(argument[1:])]
    return values.flat[0] if np.all(values == values.flat[0]) else values.reshape(-1)


def _is_reciprocal(factor: Any) -> bool:
    """Tell whether a factor was a divisor, which programs do not have.

    Constants are in float32; a reciprocal of one is not, but for those of powers of two.
    """
    return isinstance(factor, float) and float(np.float32(factor)) != factor


def check_weights(node: gs.Node) -> None:
    """Refuse a layer whose weights or bias the network computes.

    Raises:
        UnsupportedError: They are no constants.
    """
    if not all(tensor.is_empty() or isinstance(tensor, gs.Constant) for tensor in node.inputs[1:3]):
        raise UnsupportedError(f"{node.name}: {node.op} with weights that the network computes")


def _constants(node: gs.Node) -> tuple[Array, Array | None]:
    """Return weights and bias of a node.

    Raises:
        UnsupportedError: They are computed by the network.
    """
    check_weights(node)
    values = [None if t.is_empty() else np.asarray(t.values) for t in node.inputs[1:3]]
    weights, bias = (*values, None)[:2]
    assert weights is not None
    return weights, bias
