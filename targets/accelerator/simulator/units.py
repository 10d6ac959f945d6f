"""What each instruction of the compute queue computes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from condense_compiler.operators.window import Window
from condense_compiler.targets.accelerator.integer.arithmetic import Array, look_up
from condense_compiler.targets.accelerator.integer.compute import (
    accumulate,
    pool_channels,
    scale_channels,
    with_zeros,
)
from condense_compiler.targets.accelerator.integer.joined import combine
from condense_compiler.targets.accelerator.integer.network import ChannelPooling, Scaling
from condense_compiler.targets.accelerator.integer.pixels import (
    average_pixels,
    pool_pixels,
    sum_pixels,
)
from condense_compiler.targets.accelerator.isa.buffers import (
    BIAS_FRACTION_BITS,
    FACTORS,
    unpack_bits,
    unpack_parameters,
)
from condense_compiler.targets.accelerator.isa.compute import Compute
from condense_compiler.targets.accelerator.isa.convolution import Convolve
from condense_compiler.targets.accelerator.isa.maps import Combine, LookUp, Pool
from condense_compiler.targets.accelerator.isa.records import (
    TABLE_BYTES,
    Limits,
    MapOperand,
    PixelWindow,
)
from condense_compiler.targets.accelerator.simulator.memories import codes
from condense_compiler.targets.accelerator.simulator.program import Issue


@dataclass(frozen=True, slots=True)
class Operands:
    """What an instruction reads: maps on the chip, and parts of the weight buffer by name."""

    issue: Issue
    chip: Array
    weights: Array

    def map(self, operand: MapOperand) -> Array:
        """Return a map, (channels, height, width)."""
        return codes(self.chip, operand.area(), operand.channels)

    def buffer(self, name: str) -> Array:
        """Return the bytes of an operand in the weight buffer."""
        area = self.issue.access.reads[name]
        return self.weights[area.address : area.end]

    def through_table(self, name: str, result: Array) -> Array:
        """Return codes through a table, if there is one."""
        if name not in self.issue.access.reads:
            return result
        return look_up(result, self.buffer(name).view(np.int8).reshape(-1, TABLE_BYTES))


def compute(issue: Issue, chip: Array, weights: Array) -> None:
    """Run an instruction of the compute queue on feature-map memory and weight buffer."""
    start, operands = issue.start, Operands(issue, chip, weights)
    assert isinstance(start, Compute)
    result = operands.through_table("table", _UNITS[type(start)](start, operands))
    if isinstance(start, Convolve):
        result = pool_pixels(result, _window(start.spatial))
    operands.map(start.output)[...] = result


def _window(window: PixelWindow) -> Window:
    return Window(window.kernel, window.strides, window.pads, window.dilations)


def _scaling(multipliers: Array | list[int], shifts: Array | list[int], by: Limits) -> Scaling:
    factors, powers = (tuple(np.asarray(each).tolist()) for each in (multipliers, shifts))
    return Scaling(factors, powers, by.zero, by.lower, by.upper)


def _convolve(start: Convolve, operands: Operands) -> Array:
    shape, rows = start.filter_shape, unpack_parameters(operands.buffer("parameters"))
    packed = operands.buffer("weights")
    filters = unpack_bits(packed, int(np.prod(shape)), start.weight_bits).reshape(shape)
    filters = with_zeros(filters, rows["weight_zero"])
    group = start.input.channels if start.depthwise else 1
    source, zero = operands.map(start.input), start.input_zero
    sums = accumulate(source, zero, filters, _window(start.window), group)
    bias = (rows["bias"].astype(np.int64) << BIAS_FRACTION_BITS) | rows["fraction"]
    result = scale_channels(sums, bias, _scaling(rows["multiplier"], rows["shift"], start.limits))
    result = operands.through_table("inner_table", result)
    if start.pooling.reduction == "none":
        return result
    return pool_channels(result, _channel_pooling(start, operands))


def _channel_pooling(start: Convolve, operands: Operands) -> ChannelPooling:
    by = start.pooling
    if by.reduction == "average":
        return ChannelPooling(by.reduction, by.group, by.zero, averaging=by.averaging)
    if by.reduction in ("max", "min"):
        return ChannelPooling(by.reduction, by.group)
    factors = operands.buffer("factors").copy().view(FACTORS)
    scaling = _scaling(factors, [by.factor_shift], by.limits)
    return ChannelPooling(by.reduction, by.group, by.zero, scaling)


def _pool(start: Pool, operands: Operands) -> Array:
    source, zero, window = operands.map(start.input), start.input_zero, _window(start.window)
    if start.kind == "max":
        return pool_pixels(source, window)
    if start.kind == "average":
        return average_pixels(source, zero, window, start.averaging)
    return sum_pixels(
        source, zero, window, _scaling([start.multiplier], [start.shift], start.limits)
    )


def _combine(start: Combine, operands: Operands) -> Array:
    return combine((operands.map(start.input), operands.map(start.other)), start.joining)


def _look_up(start: LookUp, operands: Operands) -> Array:
    return operands.map(start.input).copy()


_UNITS: Mapping[type[Compute], Callable[[Any, Operands], Array]] = {
    Combine: _combine,
    Convolve: _convolve,
    LookUp: _look_up,
    Pool: _pool,
}
