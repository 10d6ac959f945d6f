"""What the registers hold when a unit starts on a block of an operator."""

from collections.abc import Callable, Mapping
from typing import Any

from condense_compiler.operators.window import Window
from condense_compiler.targets.accelerator.codegen.packing import Block, Packed, is_depthwise
from condense_compiler.targets.accelerator.integer.forms import ORDERS
from condense_compiler.targets.accelerator.integer.network import (
    DIVISORS,
    JOININGS,
    Averaging,
    Binary,
    ChannelPooling,
    Convolution,
    Joining,
    Lookup,
    Operator,
    Scaling,
    SpatialPooling,
)
from condense_compiler.targets.accelerator.integer.rows import NO_PADS, Stripe, columns_of
from condense_compiler.targets.accelerator.isa.instructions import bits_of_number
from condense_compiler.targets.accelerator.isa.registers import (
    NO_TABLE,
    POOL_KINDS,
    REDUCTIONS,
    TABLE_BYTES,
    Opcode,
)

Registers = dict[str, int]

_OPCODES: Mapping[type[Operator], Opcode] = {
    Binary: Opcode.COMBINE,
    Convolution: Opcode.CONVOLVE,
    Lookup: Opcode.LOOK_UP,
    SpatialPooling: Opcode.POOL,
}


def opcode_of(operator: Operator) -> Opcode:
    """Return the instruction that starts an operator's unit."""
    return _OPCODES[type(operator)]


def registers_of(
    operator: Operator, stripe: Stripe, block: Block, packed: Packed | None, base: int
) -> Registers:
    """Return every register that the unit reads, but for addresses of maps.

    Args:
        operator: The operator.
        stripe: The rows.
        block: The channels.
        packed: What the weight buffer holds.
        base: Where it starts there.
    """
    source, output = operator.inputs[0], operator.output
    inner_table = operator.inner_table if isinstance(operator, Convolution) else None
    registers = {
        "input_channels": block.inputs[1],
        "input_height": stripe.inputs.count,
        "input_width": source.shape[2],
        "output_channels": block.outputs[1],
        "output_height": stripe.outputs.count,
        "output_width": output.shape[2],
        "outer_table": NO_TABLE,
    }
    if packed is not None:
        registers |= {
            name: offset if offset == NO_TABLE else base + offset
            for name, offset in packed.registers.items()
        }
    for table, name in ((operator.table, "outer_table"), (inner_table, "inner_table")):
        if table is not None:
            registers[f"{name}_pitch"] = TABLE_BYTES if table.per_channel else 0
    return registers | _RULES[type(operator)](operator, stripe, block)


def _scale(scaling: Scaling | Averaging | Joining | None, prefix: str = "scale") -> Registers:
    assert scaling is not None
    return {
        f"{prefix}_zero": scaling.zero,
        f"{prefix}_lower": scaling.lower,
        f"{prefix}_upper": scaling.upper,
    }


def _pads(names: str, rows: tuple[int, int], columns: tuple[int, int]) -> Registers:
    top, bottom = rows
    left, right = columns
    return {
        f"{names}_top": top,
        f"{names}_left": left,
        f"{names}_bottom": bottom,
        f"{names}_right": right,
    }


def _pool_window(window: Window, kind: str) -> Registers:
    return {
        "pool_kind": POOL_KINDS.index(kind),
        "pool_height": window.kernel_shape[0],
        "pool_width": window.kernel_shape[1],
        "pool_stride_y": window.strides[0],
        "pool_stride_x": window.strides[1],
        "pool_dilation_y": window.dilations[0],
        "pool_dilation_x": window.dilations[1],
    }


def _convolution(operator: Convolution, stripe: Stripe, block: Block) -> Registers:
    window = operator.window
    input_columns, sum_columns = columns_of(operator)
    registers = {
        "input_zero": operator.inputs[0].zero,
        "kernel_height": window.kernel_shape[0],
        "kernel_width": window.kernel_shape[1],
        "stride_y": window.strides[0],
        "stride_x": window.strides[1],
        "dilation_y": window.dilations[0],
        "dilation_x": window.dilations[1],
        "depthwise": int(is_depthwise(operator)),
        "wide_channels": block.wide[1],
        "weight_bits": operator.weight_bits,
        "pool_kind": 0,
        "reduction": 0,
    }
    registers |= _pads("pad", stripe.inputs.pads, input_columns) | _scale(operator.scaling)
    if operator.spatial is not None:
        registers |= _pool_window(operator.spatial, "max")
        registers |= _pads("pool", stripe.sums.pads, sum_columns)
    return registers | (_pooling(operator.pooling) if operator.pooling else {})


def _pooling(pooling: ChannelPooling) -> Registers:
    registers = {"reduction": REDUCTIONS.index(pooling.reduction), "group": pooling.window}
    if pooling.averaging is not None:
        registers["group_zero"] = pooling.zero
        return registers | _averaging(pooling.averaging, "group_scale")
    if pooling.scaling is None:
        return registers
    registers |= {"group_zero": pooling.zero, "factor_shift": pooling.scaling.shifts[0]}
    return registers | _scale(pooling.scaling, "group_scale")


def _spatial(operator: SpatialPooling, stripe: Stripe, _block: Block) -> Registers:
    input_columns, _ = columns_of(operator)
    registers = _pool_window(operator.window, operator.kind)
    registers |= _pads("pool", stripe.inputs.pads, input_columns)
    if operator.kind == "max":
        return registers
    registers["input_zero"] = operator.inputs[0].zero
    if operator.averaging is not None:
        return registers | _averaging(operator.averaging)
    assert operator.scaling is not None
    return registers | {
        "sum_multiplier": operator.scaling.multipliers[0],
        "sum_shift": operator.scaling.shifts[0],
        **_scale(operator.scaling),
    }


def _averaging(averaging: Averaging, prefix: str = "scale") -> Registers:
    return {
        "average_input_scale": bits_of_number(averaging.input_scale),
        "average_output_scale": bits_of_number(averaging.output_scale),
        "least_code": averaging.least,
        "average_divisor": DIVISORS.index(averaging.divisor),
        "average_order": ORDERS.index(averaging.order),
        **_scale(averaging, prefix),
    }


def _binary(operator: Binary, stripe: Stripe, _block: Block) -> Registers:
    other, joining = operator.inputs[1], operator.joining
    assert joining is not None
    first, second, third = (bits_of_number(number) for number in joining.numbers)
    return {
        "input_zero": joining.zeros[0],
        "other_height": stripe.inputs.count if other.shape[1] > 1 else 1,
        "other_width": other.shape[2],
        "other_zero": joining.zeros[1],
        "least_code": joining.least,
        "combination": JOININGS.index(joining.kind),
        "first_number": first,
        "second_number": second,
        "third_number": third,
        **_scale(joining),
    }


_RULES: Mapping[type[Operator], Callable[[Any, Stripe, Block], Registers]] = {
    Binary: _binary,
    Convolution: _convolution,
    Lookup: lambda _operator, _stripe, _block: {},
    SpatialPooling: _spatial,
}

__all__ = ["NO_PADS", "opcode_of", "registers_of"]
