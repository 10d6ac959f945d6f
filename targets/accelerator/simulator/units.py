"""What each unit computes."""

from collections.abc import Callable, Mapping

import numpy as np

from condense_compiler.errors import InputError
from condense_compiler.operators.window import Window
from condense_compiler.targets.accelerator.codegen.packing import unpack_bits, unpack_parameters
from condense_compiler.targets.accelerator.integer.arithmetic import (
    MAX_SHIFT,
    SIGNIFICANT_BITS,
    Array,
    look_up,
)
from condense_compiler.targets.accelerator.integer.compute import (
    accumulate,
    pool_channels,
    scale_channels,
    with_zeros,
)
from condense_compiler.targets.accelerator.integer.forms import ORDERS
from condense_compiler.targets.accelerator.integer.joined import combine
from condense_compiler.targets.accelerator.integer.network import (
    DIVISORS,
    JOININGS,
    Averaging,
    ChannelPooling,
    Joining,
    Scaling,
)
from condense_compiler.targets.accelerator.integer.pixels import (
    average_pixels,
    pool_pixels,
    sum_pixels,
)
from condense_compiler.targets.accelerator.isa.instructions import number_of_bits
from condense_compiler.targets.accelerator.isa.registers import (
    FACTOR_BYTES,
    NO_TABLE,
    PARAMETER_BYTES,
    POOL_KINDS,
    REDUCTIONS,
    TABLE_BYTES,
    Opcode,
)
from condense_compiler.targets.accelerator.simulator.memories import codes
from condense_compiler.targets.accelerator.simulator.program import Start

Compute = Callable[[Start, Array, Array], Array]


def compute(start: Start, chip: Array, weights: Array) -> None:
    """Run an instruction of the compute queue on feature-map memory and weight buffer."""
    result = _UNITS[start.opcode](start, chip, weights)
    result = _through_table(start, weights, "outer_table", result)
    if start.opcode is Opcode.CONVOLVE and start.registers["pool_kind"]:
        result = pool_pixels(result, _pool_window(start.registers))
    area = start.access.writes[0]
    codes(chip, area, start.registers["output_channels"])[...] = result


def _operand(start: Start, chip: Array, index: int = 0) -> Array:
    return codes(chip, start.access.reads[index], start.registers["input_channels"])


def _through_table(start: Start, weights: Array, register: str, result: Array) -> Array:
    address = start.registers[register]
    if address == NO_TABLE:
        return result
    tables = len(result) if start.registers[f"{register}_pitch"] else 1
    content = weights[address : address + tables * TABLE_BYTES].view(np.int8)
    return look_up(result, content.reshape(tables, TABLE_BYTES))


def _convolve(start: Start, chip: Array, weights: Array) -> Array:
    r = start.registers
    wide, channels = r["wide_channels"], r["input_channels"]
    kernel = (r["kernel_height"], r["kernel_width"])
    shape = (wide, 1 if r["depthwise"] else channels, *kernel)
    area = start.access.reads[1]
    packed = weights[area.address : area.address + area.row_bytes]
    filters = unpack_bits(packed, int(np.prod(shape)), r["weight_bits"]).reshape(shape)
    pads = (r["pad_top"], r["pad_left"], r["pad_bottom"], r["pad_right"])
    strides, dilations = (r["stride_y"], r["stride_x"]), (r["dilation_y"], r["dilation_x"])
    window = Window(kernel, strides, pads, dilations)
    group = channels if r["depthwise"] else 1
    bias, zeros, scaling = _parameters(start, weights)
    filters = with_zeros(filters, zeros)
    sums = accumulate(_operand(start, chip), r["input_zero"], filters, window, group)
    result = scale_channels(sums, bias, scaling)
    result = _through_table(start, weights, "inner_table", result)
    return pool_channels(result, _channel_pooling(r, weights)) if r["reduction"] else result


def _parameters(start: Start, weights: Array) -> tuple[Array, Array, Scaling]:
    """Return biases, zeros of the weights, and how sums are scaled."""
    r = start.registers
    address, size = r["parameter_address"], r["wide_channels"] * PARAMETER_BYTES
    rows = unpack_parameters(weights[address : address + size].tobytes())
    _check_scale(int(rows.multipliers.max()), int(rows.shifts.max()))
    limits = (r["scale_zero"], r["scale_lower"], r["scale_upper"])
    scaling = Scaling(tuple(rows.multipliers.tolist()), tuple(rows.shifts.tolist()), *limits)
    return rows.bias, rows.weight_zeros, scaling


def _check_scale(multiplier: int, shift: int) -> None:
    if shift > MAX_SHIFT:
        raise InputError("a shift of more than 62")
    if multiplier >> SIGNIFICANT_BITS:
        raise InputError("a multiplier of more than 24 bits")


def _channel_pooling(r: Mapping[str, int], weights: Array) -> ChannelPooling:
    reduction, group = REDUCTIONS[r["reduction"]], r["group"]
    if reduction in ("max", "min"):
        return ChannelPooling(reduction, group)
    if reduction == "average":
        averaging = _averaging(r, "group_scale")
        return ChannelPooling(reduction, group, r["group_zero"], averaging=averaging)
    count = group if reduction == "ranked" else 1
    address = r["factor_address"]
    factors = weights[address : address + count * FACTOR_BYTES].copy().view("<i4")
    limits = (r["group_scale_zero"], r["group_scale_lower"], r["group_scale_upper"])
    scaling = Scaling(tuple(factors.tolist()), (r["factor_shift"],), *limits)
    return ChannelPooling(reduction, group, r["group_zero"], scaling)


def _pool_window(r: Mapping[str, int]) -> Window:
    return Window(
        (r["pool_height"], r["pool_width"]),
        (r["pool_stride_y"], r["pool_stride_x"]),
        (r["pool_top"], r["pool_left"], r["pool_bottom"], r["pool_right"]),
        (r["pool_dilation_y"], r["pool_dilation_x"]),
    )


def _scaling(r: Mapping[str, int]) -> Scaling:
    limits = (r["scale_zero"], r["scale_lower"], r["scale_upper"])
    return Scaling((r["sum_multiplier"],), (r["sum_shift"],), *limits)


def _pool(start: Start, chip: Array, _weights: Array) -> Array:
    r, source = start.registers, _operand(start, chip)
    if POOL_KINDS[r["pool_kind"]] == "max":
        return pool_pixels(source, _pool_window(r))
    zero, window = r["input_zero"], _pool_window(r)
    if POOL_KINDS[r["pool_kind"]] == "average":
        return average_pixels(source, zero, window, _averaging(r, "scale"))
    _check_scale(r["sum_multiplier"], r["sum_shift"])
    return sum_pixels(source, zero, window, _scaling(r))


def _averaging(r: Mapping[str, int], prefix: str) -> Averaging:
    return Averaging(
        input_scale=number_of_bits(r["average_input_scale"]),
        output_scale=number_of_bits(r["average_output_scale"]),
        zero=r[f"{prefix}_zero"],
        least=r["least_code"],
        lower=r[f"{prefix}_lower"],
        upper=r[f"{prefix}_upper"],
        divisor=DIVISORS[r["average_divisor"]],
        order=ORDERS[r["average_order"]],
    )


def _combine(start: Start, chip: Array, _weights: Array) -> Array:
    r = start.registers
    operands = (_operand(start, chip), _operand(start, chip, 1))
    first, second, third = (number_of_bits(r[f"{n}_number"]) for n in ("first", "second", "third"))
    joining = Joining(
        kind=JOININGS[r["combination"]],
        numbers=(first, second, third),
        zeros=(r["input_zero"], r["other_zero"]),
        least=r["least_code"],
        zero=r["scale_zero"],
        lower=r["scale_lower"],
        upper=r["scale_upper"],
    )
    return combine(operands, joining)


_UNITS: Mapping[Opcode, Compute] = {
    Opcode.CONVOLVE: _convolve,
    Opcode.POOL: _pool,
    Opcode.COMBINE: _combine,
    Opcode.LOOK_UP: lambda start, chip, _weights: _operand(start, chip).copy(),
}
