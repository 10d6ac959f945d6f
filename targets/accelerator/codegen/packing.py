"""Blocks of a convolution that the weight buffer holds, and their bytes."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from condense_compiler.targets.accelerator.integer.arithmetic import Array
from condense_compiler.targets.accelerator.integer.network import (
    BIAS_FRACTION_BITS,
    Convolution,
    Operator,
    Table,
)
from condense_compiler.targets.accelerator.integer.refusals import OperatorError
from condense_compiler.targets.accelerator.isa.registers import (
    FACTOR_BYTES,
    NO_TABLE,
    PARAMETER_BYTES,
    TABLE_BYTES,
)

_PARAMETERS = struct.Struct("<iIbBH")
_FRACTION = (1 << BIAS_FRACTION_BITS) - 1


@dataclass(frozen=True, slots=True)
class Block:
    """Channels of an operator that are computed with one load of the weight buffer.

    Attributes:
        inputs: First input channel, and how many.
        wide: First wide channel, and how many.
        outputs: First output channel, and how many.
    """

    inputs: tuple[int, int]
    wide: tuple[int, int]
    outputs: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Packed:
    """What the weight buffer holds for one block.

    Attributes:
        content: The bytes.
        registers: Offsets into them, by register; `NO_TABLE` where there is none.
    """

    content: bytes
    registers: dict[str, int]


def is_depthwise(operator: Convolution) -> bool:
    """Tell whether each wide channel reads one input channel."""
    return operator.weights.shape[1] == 1 and operator.group > 1


def blocks_of(operator: Operator, slot_bytes: int, rows: int) -> list[Block]:
    """Cut an operator into blocks that a part of the weight buffer holds.

    Args:
        operator: The operator.
        slot_bytes: Size of the part.
        rows: Channels that the machine computes at once; blocks are multiples where they can be.

    Raises:
        OperatorError: Not even the smallest block fits.
    """
    channels, outputs = operator.inputs[0].shape[0], operator.output.shape[0]
    if not isinstance(operator, Convolution):
        if operator.table is None or not operator.table.per_channel:
            return [Block((0, channels), (0, outputs), (0, outputs))]
        return list(_table_blocks(channels, slot_bytes, rows))
    blocks = list(_convolution_blocks(operator, slot_bytes, rows))
    if not blocks:
        raise OperatorError(
            operator.name, "one group of its filters takes more than the weight buffer"
        )
    return blocks


def _table_blocks(channels: int, slot_bytes: int, rows: int) -> Iterator[Block]:
    """Cut a copy through a table for each channel."""
    most = slot_bytes // TABLE_BYTES
    size = most // rows * rows or most
    for first in range(0, channels, size):
        part = (first, min(size, channels - first))
        yield Block(part, part, part)


def _convolution_blocks(operator: Convolution, slot_bytes: int, rows: int) -> Iterator[Block]:
    window = operator.pooling.window if operator.pooling else 1
    wide, depth = len(operator.weights), int(np.prod(operator.weights.shape[1:]))
    group_wide = wide // operator.group
    group_inputs = operator.weights.shape[1]
    bits = operator.weight_bits
    free = slot_bytes - 2 * TABLE_BYTES - window * FACTOR_BYTES - 16
    # Tables for each channel behind the pooling are as many as groups.
    tables = _bytes_per_channel(operator.inner_table) + -(
        -_bytes_per_channel(operator.table) // window
    )
    most = free * 8 // (depth * bits + (PARAMETER_BYTES + tables) * 8 + 8)
    depthwise = is_depthwise(operator)
    # Channels that cannot be parted: those pooled together, and all of an input channel.
    unit = int(np.lcm(window, group_wide)) if depthwise else window
    span = wide if depthwise else group_wide
    full = int(np.lcm(unit, rows))
    size = most // full * full or most // unit * unit
    if size < unit or span % unit:
        return
    for start in range(0, wide, span):
        for first in range(start, start + span, size):
            count = min(size, start + span - first)
            if depthwise:
                inputs = (first // group_wide, count // group_wide)
            else:
                inputs = (first // group_wide * group_inputs, group_inputs)
            yield Block(inputs, (first, count), (first // window, count // window))


def _bytes_per_channel(table: Table | None) -> int:
    return TABLE_BYTES if table is not None and table.per_channel else 0


def pack(operator: Operator, block: Block) -> Packed | None:
    """Return what the weight buffer holds for a block; None if that is nothing."""
    parts: dict[str, bytes] = {}
    if isinstance(operator, Convolution):
        parts["parameter_address"] = _parameters(operator, block)
        if operator.inner_table is not None:
            parts["inner_table"] = _rows(operator.inner_table, block.wide)
        if operator.pooling is not None and operator.pooling.scaling is not None:
            factors = operator.pooling.scaling.multipliers
            parts["factor_address"] = np.array(factors, "<i4").tobytes()
    if operator.table is not None:
        parts["outer_table"] = _rows(operator.table, block.outputs)
    if isinstance(operator, Convolution):
        first, count = block.wide
        weights = operator.weights[first : first + count]
        parts["weight_address"] = pack_bits(weights, operator.weight_bits)
    registers = {"inner_table": NO_TABLE, "outer_table": NO_TABLE}
    content = b""
    for register, part in parts.items():
        registers[register] = len(content)
        content += part
    return Packed(content, registers) if content else None


def _rows(table: Table, channels: tuple[int, int]) -> bytes:
    """Return the tables of some channels, or the one that serves all."""
    first, count = channels if table.per_channel else (0, 1)
    return table.content[first * TABLE_BYTES : (first + count) * TABLE_BYTES]


def _parameters(operator: Convolution, block: Block) -> bytes:
    assert operator.scaling is not None
    first, count = block.wide
    scaling, biases = operator.scaling, operator.bias.tolist()
    return b"".join(
        _PARAMETERS.pack(
            biases[c] >> BIAS_FRACTION_BITS,
            scaling.multipliers[c],
            operator.weight_zeros[c],
            scaling.shifts[c],
            biases[c] & _FRACTION,
        )
        for c in range(first, first + count)
    )


@dataclass(frozen=True, slots=True)
class Parameters:
    """What belongs to each wide channel, in their order; arrays of whole numbers.

    Attributes:
        bias: Added to the sums, in units of `2 ** -BIAS_FRACTION_BITS`.
        multipliers: What the sums are multiplied by.
        weight_zeros: What weights of the value zero are.
        shifts: What the products are divided by, as a power of two.
    """

    bias: Array
    multipliers: Array
    weight_zeros: Array
    shifts: Array


def unpack_parameters(content: bytes) -> Parameters:
    """Return the parameters from what the weight buffer holds."""
    rows = np.array(list(_PARAMETERS.iter_unpack(content)), np.int64).reshape(-1, 5)
    whole, multipliers, weight_zeros, shifts, fractions = rows.T
    bias = (whole << BIAS_FRACTION_BITS) | fractions
    return Parameters(bias, multipliers, weight_zeros, shifts)


def pack_bits(weights: Array, bits: int) -> bytes:
    """Return weights with 8, 4, 2 or 1 bit each, the first in the lowest bits of a byte."""
    flat = weights.reshape(-1)
    if bits == 8:
        return flat.astype(np.int8).tobytes()
    codes = (flat > 0) if bits == 1 else flat.astype(np.int16) & ((1 << bits) - 1)
    planes = (codes[:, None].astype(np.uint8) >> np.arange(bits, dtype=np.uint8)) & 1
    return np.packbits(planes.reshape(-1), bitorder="little").tobytes()


def unpack_bits(content: Array, count: int, bits: int) -> Array:
    """Return weights from what `pack_bits` made of them."""
    if bits == 8:
        return np.asarray(content[:count].view(np.int8))
    planes = np.unpackbits(content, bitorder="little")[: count * bits].reshape(count, bits)
    codes = (planes.astype(np.int16) << np.arange(bits)).sum(axis=1)
    if bits == 1:
        return np.asarray(2 * codes - 1, np.int8)
    return np.asarray(np.where(codes >= 1 << (bits - 1), codes - (1 << bits), codes), np.int8)


def packed_bytes(count: int, bits: int) -> int:
    """Return the size of packed weights."""
    return -(-count * bits // 8)
