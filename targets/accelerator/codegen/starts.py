"""Which instruction an operator becomes, and what its fields hold for a block of a stripe."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from condense_compiler.operators.window import Window
from condense_compiler.targets.accelerator.codegen.packing import Block, Packed, is_depthwise
from condense_compiler.targets.accelerator.integer.network import (
    Binary,
    ChannelPooling,
    Convolution,
    Lookup,
    Operator,
    Scaling,
    SpatialPooling,
    Table,
)
from condense_compiler.targets.accelerator.integer.rows import Stripe, columns_of
from condense_compiler.targets.accelerator.isa.compute import Compute
from condense_compiler.targets.accelerator.isa.convolution import Convolve
from condense_compiler.targets.accelerator.isa.maps import Combine, LookUp, Pool
from condense_compiler.targets.accelerator.isa.records import (
    GroupPooling,
    Limits,
    MapOperand,
    PixelWindow,
    TableOperand,
)


@dataclass(frozen=True, slots=True)
class Part:
    """A block of a stripe, and where it lies.

    Attributes:
        stripe: The rows.
        block: The channels.
        inputs: What is read.
        output: What is written.
        packed: What the weight buffer holds, with addresses in it.
    """

    stripe: Stripe
    block: Block
    inputs: Sequence[MapOperand]
    output: MapOperand
    packed: Packed


def start_of(operator: Operator, part: Part) -> Compute:
    """Return the instruction that computes a part of an operator."""
    return _RULES[type(operator)](operator, part)


def _table(table: Table | None, address: int) -> TableOperand:
    if table is None:
        return TableOperand()
    return TableOperand(kind="channels" if table.per_channel else "shared", address=address)


def _limits(scaling: Scaling) -> Limits:
    return Limits(zero=scaling.zero, lower=scaling.lower, upper=scaling.upper)


def _window(window: Window, rows: tuple[int, int], columns: tuple[int, int]) -> PixelWindow:
    """Return a window with the padding that a stripe sees."""
    height, width = window.kernel_shape
    stride_y, stride_x = window.strides
    dilation_y, dilation_x = window.dilations
    return PixelWindow(
        kernel=(height, width),
        strides=(stride_y, stride_x),
        dilations=(dilation_y, dilation_x),
        pads=(rows[0], columns[0], rows[1], columns[1]),
    )


def _convolution(operator: Convolution, part: Part) -> Convolve:
    assert operator.scaling is not None
    stripe, packed, spatial = part.stripe, part.packed, PixelWindow()
    input_columns, sum_columns = columns_of(operator)
    if operator.spatial is not None:
        spatial = _window(operator.spatial, stripe.sums.pads, sum_columns)
    return Convolve(
        input=part.inputs[0],
        output=part.output,
        table=_table(operator.table, packed.table),
        input_zero=operator.inputs[0].zero,
        window=_window(operator.window, stripe.inputs.pads, input_columns),
        depthwise=is_depthwise(operator),
        wide_channels=part.block.wide[1],
        weight_bits=operator.weight_bits,
        weight_address=packed.weights,
        parameter_address=packed.parameters,
        limits=_limits(operator.scaling),
        inner_table=_table(operator.inner_table, packed.inner_table),
        pooling=_group_pooling(operator.pooling, packed.factors),
        spatial=spatial,
    )


def _group_pooling(pooling: ChannelPooling | None, factors: int) -> GroupPooling:
    if pooling is None:
        return GroupPooling()
    reduction, group, zero = pooling.reduction, pooling.window, pooling.zero
    if pooling.averaging is not None:
        return GroupPooling(
            reduction=reduction, group=group, zero=zero, averaging=pooling.averaging
        )
    if pooling.scaling is None:
        return GroupPooling(reduction=reduction, group=group)
    return GroupPooling(
        reduction=reduction,
        group=group,
        zero=zero,
        factor_address=factors,
        factor_shift=pooling.scaling.shifts[0],
        limits=_limits(pooling.scaling),
    )


def _pooling(operator: SpatialPooling, part: Part) -> Pool:
    columns, _ = columns_of(operator)
    start = Pool(
        input=part.inputs[0],
        output=part.output,
        table=_table(operator.table, part.packed.table),
        kind=operator.kind,
        window=_window(operator.window, part.stripe.inputs.pads, columns),
    )
    if operator.kind == "max":
        return start
    start = replace(start, input_zero=operator.inputs[0].zero)
    if operator.averaging is not None:
        return replace(start, averaging=operator.averaging)
    assert operator.scaling is not None
    return replace(
        start,
        multiplier=operator.scaling.multipliers[0],
        shift=operator.scaling.shifts[0],
        limits=_limits(operator.scaling),
    )


def _binary(operator: Binary, part: Part) -> Combine:
    assert operator.joining is not None
    return Combine(
        input=part.inputs[0],
        other=part.inputs[1],
        output=part.output,
        table=_table(operator.table, part.packed.table),
        joining=operator.joining,
    )


def _lookup(operator: Lookup, part: Part) -> LookUp:
    table = _table(operator.table, part.packed.table)
    return LookUp(input=part.inputs[0], output=part.output, table=table)


_RULES: Mapping[type[Operator], Callable[[Any, Part], Compute]] = {
    Binary: _binary,
    Convolution: _convolution,
    Lookup: _lookup,
    SpatialPooling: _pooling,
}
