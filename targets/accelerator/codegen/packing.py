"""Blocks of a convolution that the weight buffer holds, and their bytes."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from condense_compiler.targets.accelerator.integer.network import (
    Convolution,
    Operator,
    Table,
)
from condense_compiler.targets.accelerator.integer.refusals import OperatorError
from condense_compiler.targets.accelerator.isa.buffers import (
    BIAS_FRACTION_BITS,
    FACTORS,
    PARAMETERS,
    pack_bits,
)
from condense_compiler.targets.accelerator.isa.records import TABLE_BYTES


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
        parameters: Address of the parameters of its wide channels.
        weights: Of the weights.
        factors: Of the factors of ranks.
        inner_table: Of the tables in front of the pooling.
        table: Of those that are applied last.
    """

    content: bytes
    parameters: int = 0
    weights: int = 0
    factors: int = 0
    inner_table: int = 0
    table: int = 0

    def moved(self, base: int) -> "Packed":
        """Return the same at another address."""
        return Packed(
            self.content,
            self.parameters + base,
            self.weights + base,
            self.factors + base,
            self.inner_table + base,
            self.table + base,
        )


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
    free = slot_bytes - 2 * TABLE_BYTES - window * FACTORS.itemsize - 16
    # Tables for each channel behind the pooling are as many as groups.
    tables = _bytes_per_channel(operator.inner_table) + -(
        -_bytes_per_channel(operator.table) // window
    )
    most = free * 8 // (depth * bits + (PARAMETERS.itemsize + tables) * 8 + 8)
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


def pack(operator: Operator, block: Block) -> Packed:
    """Return what the weight buffer holds for a block."""
    parts: dict[str, bytes] = {}
    if isinstance(operator, Convolution):
        parts["parameters"] = _parameters(operator, block)
        if operator.inner_table is not None:
            parts["inner_table"] = _rows(operator.inner_table, block.wide)
        if operator.pooling is not None and operator.pooling.scaling is not None:
            factors = operator.pooling.scaling.multipliers
            parts["factors"] = np.array(factors, FACTORS).tobytes()
    if operator.table is not None:
        parts["table"] = _rows(operator.table, block.outputs)
    if isinstance(operator, Convolution):
        first, count = block.wide
        weights = operator.weights[first : first + count]
        parts["weights"] = pack_bits(weights, operator.weight_bits)
    addresses, content = {}, b""
    for name, part in parts.items():
        addresses[name] = len(content)
        content += part
    return Packed(content, **addresses)


def _rows(table: Table, channels: tuple[int, int]) -> bytes:
    """Return the tables of some channels, or the one that serves all."""
    first, count = channels if table.per_channel else (0, 1)
    return table.content[first * TABLE_BYTES : (first + count) * TABLE_BYTES]


def _parameters(operator: Convolution, block: Block) -> bytes:
    assert operator.scaling is not None
    first, count = block.wide
    chosen = slice(first, first + count)
    rows = np.empty(count, PARAMETERS)
    rows["bias"] = operator.bias[chosen] >> BIAS_FRACTION_BITS
    rows["fraction"] = operator.bias[chosen] & ((1 << BIAS_FRACTION_BITS) - 1)
    rows["multiplier"] = operator.scaling.multipliers[chosen]
    rows["shift"] = operator.scaling.shifts[chosen]
    rows["weight_zero"] = operator.weight_zeros[chosen]
    return rows.tobytes()
