"""The filters of a pooled convolution, with the channels of each group put side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_graphsurgeon as gs

from condense_compiler.operators.convolution import FILTERS_INPUT
from condense_compiler.operators.quantising import constant_values
from condense_compiler.passes.tracing.expressions import (
    ChannelKey,
    Expression,
    Literal,
    Operand,
    peel_affine,
)
from condense_compiler.passes.tracing.regions import Region
from condense_compiler.passes.tracing.views import CHANNELS_PER_CONVOLUTION

Array = npt.NDArray[np.floating]


@dataclass(frozen=True, slots=True, eq=False)
class MergedFilters:
    """Filters of all convolutions of a region as those of one.

    Attributes:
        weights: (wide channels, channels / group, kernel...).
        bias: (wide channels).
        keys: Channel key of each row.
        members: Row of each slot of the groups; empty where that is simply the next row.
        before: What is left to do at each wide channel.
    """

    weights: Array
    bias: Array
    keys: list[ChannelKey]
    members: tuple[int, ...]
    before: Expression


def merge_filters(region: Region) -> MergedFilters:
    """Return the filters of a region, permuted at compile time so that groups are consecutive.

    A grouped convolution sees other inputs in each of its groups, so its filters may only move
    within them; where that is not enough the result lists the members of each group.
    Multiplications and additions that follow the convolution directly go into the filters.
    """
    keys, members = filter_order(region)
    weights, bias = _all_filters(region, keys)
    steps, before = peel_affine(region.view.before)
    dtype = weights.dtype
    for op, known in steps:
        values = _row_values(known, keys)
        bias = bias * values if op == "Mul" else bias + values
        if op == "Mul":
            weights = weights * values.reshape(-1, *(1,) * (weights.ndim - 1))
    return MergedFilters(
        weights.astype(dtype, copy=False), bias.astype(dtype), keys, members, before
    )


def filter_order(region: Region) -> tuple[list[ChannelKey], tuple[int, ...]]:
    """Return the channel key of each row of the merged filters, and the members of the groups.

    Members are the row of each slot; empty where that is simply the next row.
    """
    slots = [int(key) for key in region.view.channels.reshape(-1)]
    groups = {key: _convolution_group(region, key) for key in slots}
    if [groups[key] for key in slots] == sorted(groups.values()):
        return slots, ()
    keys = sorted(slots, key=lambda key: groups[key])
    rows = {key: row for row, key in enumerate(keys)}
    return keys, tuple(rows[key] for key in slots)


def _convolution_group(region: Region, key: ChannelKey) -> int:
    number, channel = divmod(key, CHANNELS_PER_CONVOLUTION)
    node = region.convolutions[number]
    filters: int = node.inputs[FILTERS_INPUT[node.op]].shape[0]
    return channel * region.view.geometry.group // filters


def _all_filters(region: Region, keys: Sequence[ChannelKey]) -> tuple[Array, Array]:
    """Return weights and bias of all convolutions, rows in the order of the keys."""
    nodes = region.convolutions.values()
    weights = [_constant(node.inputs[1]) for node in nodes]
    return stacked(region, keys, weights), stacked(region, keys, [_bias(node) for node in nodes])


def stacked(
    region: Region, keys: Sequence[ChannelKey], parts: Sequence[npt.NDArray[Any]]
) -> npt.NDArray[Any]:
    """Return rows that belong to wide channels, one array for each convolution, in another order.

    Args:
        region: Whose convolutions they are.
        keys: The order asked for.
        parts: For each convolution, one row for each of its channels.
    """
    starts = np.cumsum([0, *(len(part) for part in parts)])
    first_row = dict(zip(region.convolutions, starts[:-1].tolist(), strict=True))
    numbers_and_channels = [divmod(key, CHANNELS_PER_CONVOLUTION) for key in keys]
    rows = [first_row[number] + channel for number, channel in numbers_and_channels]
    whole = np.concatenate(parts) if len(parts) > 1 else parts[0]
    return whole if rows == list(range(len(rows))) else whole[rows]


def _bias(node: gs.Node) -> Array:
    if len(node.inputs) < 3 or node.inputs[2].is_empty():
        return np.zeros(node.inputs[1].shape[0])
    return _constant(node.inputs[2]).astype(np.float64)


def _constant(tensor: gs.Tensor) -> Array:
    """Return filters or a bias, dequantised where they are stored as codes."""
    values = constant_values(tensor)
    assert values is not None  # regions whose weights are computed are not offered
    return values


def _row_values(known: Expression, keys: Sequence[ChannelKey]) -> npt.NDArray[np.float64]:
    if isinstance(known, Literal):
        return np.full(len(keys), known.value)
    assert isinstance(known, Operand)
    return known.gather(keys)
