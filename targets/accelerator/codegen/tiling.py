"""How an operator is cut so that what it moves fits on the chip: stripes of rows, and blocks."""

from dataclasses import dataclass

import numpy as np

from condense_compiler.targets.accelerator.codegen.packing import (
    Block,
    blocks_of,
    pack,
)
from condense_compiler.targets.accelerator.integer.network import Convolution, Operator
from condense_compiler.targets.accelerator.integer.rows import (
    Stripe,
    reads_pixels,
    stripes_of,
    sums_shape,
)
from condense_compiler.targets.accelerator.machine import Machine


@dataclass(frozen=True, slots=True)
class Away:
    """Which maps of an operator are in DRAM.

    Attributes:
        inputs: For each input.
        output: For the output.
    """

    inputs: tuple[bool, ...]
    output: bool


@dataclass(frozen=True, slots=True)
class Tiling:
    """A way to run an operator.

    Attributes:
        rows: Rows of the output in a stripe.
        blocks_first: Run all stripes of a block, then the next block; else the other way round.
        input_slots: Places for stripes of the inputs: 2 load one while the other is read.
        output_slots: Places for stripes of the output.
        input_bytes: Size of each place, for each input; 0 where the input is on the chip.
        output_bytes: Size of each place for the output.
        traffic_bytes: Bytes to and from DRAM.
        cycles: About how long it takes; decides where traffic is equal.
    """

    rows: int
    blocks_first: bool
    input_slots: int
    output_slots: int
    input_bytes: tuple[int, ...]
    output_bytes: int
    traffic_bytes: int
    cycles: int

    @property
    def staging_bytes(self) -> int:
        """On-chip memory that the stripes take."""
        return self.input_slots * sum(self.input_bytes) + self.output_slots * self.output_bytes


@dataclass(frozen=True, slots=True)
class Work:
    """What is known about an operator before it is cut into stripes.

    Attributes:
        operator: The operator.
        blocks: Its blocks.
        weight_bytes: What all its blocks take of the weight section.
        compute_cycles: What computing takes.
    """

    operator: Operator
    blocks: tuple[Block, ...]
    weight_bytes: int
    compute_cycles: int


def work_of(operator: Operator, machine: Machine) -> Work:
    """Cut an operator into blocks; half of the weight buffer each, so that two alternate."""
    blocks = blocks_of(operator, machine.weight_buffer_bytes // 2, machine.rows)
    sizes = [len(pack(operator, block).content) for block in blocks]
    aligned = sum(align(size, machine.burst_bytes) for size in sizes)
    return Work(operator, tuple(blocks), aligned, _compute_cycles(operator, blocks, machine))


def align(size: int, step: int) -> int:
    """Round up to a multiple."""
    return -(-size // step) * step


def _compute_cycles(operator: Operator, blocks: list[Block], machine: Machine) -> int:
    height, width = sums_shape(operator)
    pixels = height * width
    if not isinstance(operator, Convolution):
        return -(-operator.output.size_bytes // machine.rows)
    depth = int(np.prod(operator.weights.shape[1:]))
    return sum(pixels * -(-b.wide[1] // machine.rows) * -(-depth // machine.lanes) for b in blocks)


def tilings(work: Work, away: Away, machine: Machine) -> list[Tiling]:
    """Return the ways to run an operator that are worth considering, least traffic first.

    Each has a smaller staging memory than the one before it.
    """
    height = work.operator.output.shape[1]
    # One number of rows for each number of stripes: the smallest that gives it.
    counts = {-(-height // stripes) for stripes in range(1, height + 1)}
    if not any(away.inputs) and not away.output:
        counts = {height}
    found = [
        _tiling(work, away, machine, rows, blocks_first)
        for rows in counts
        if rows == height or all(map(reads_pixels, stripes_of(work.operator, rows)))
        for blocks_first in ((False, True) if len(work.blocks) > 1 else (False,))
    ]
    found.sort(key=lambda tiling: (tiling.traffic_bytes, tiling.cycles, tiling.staging_bytes))
    smallest = [found[0]]
    for tiling in found:
        if tiling.staging_bytes < smallest[-1].staging_bytes:
            smallest.append(tiling)
    return smallest


def _tiling(work: Work, away: Away, machine: Machine, rows: int, blocks_first: bool) -> Tiling:
    stripes = stripes_of(work.operator, rows)
    inputs = _input_bytes(work, away, stripes, blocks_first)
    channels, _, width = work.operator.output.shape
    widest = max(block.outputs[1] for block in work.blocks)
    output = rows * (widest if blocks_first else channels) * width if away.output else 0
    several, parts = len(stripes) > 1, len(work.blocks)
    traffic = _traffic(work, away, stripes, blocks_first)
    dma = traffic / machine.dram_bytes_per_cycle
    exposed = 0.0 if several else (sum(inputs) + output) / machine.dram_bytes_per_cycle
    cycles = (
        max(dma, work.compute_cycles) + exposed + 2.0 * machine.dram_latency_cycles * len(stripes)
    )
    return Tiling(
        rows=rows,
        blocks_first=blocks_first,
        input_slots=2 if several or (blocks_first and _own_channels(work)) else 1,
        output_slots=2 if several or (blocks_first and parts > 1) else 1,
        input_bytes=inputs,
        output_bytes=output,
        traffic_bytes=traffic,
        cycles=round(cycles),
    )


def _own_channels(work: Work) -> bool:
    """Tell whether blocks read channels of their own."""
    return len({block.inputs for block in work.blocks}) > 1


def _input_bytes(
    work: Work, away: Away, stripes: list[Stripe], blocks_first: bool
) -> tuple[int, ...]:
    sizes = []
    for index, (source, is_away) in enumerate(zip(work.operator.inputs, away.inputs, strict=True)):
        channels, height, width = source.shape
        if blocks_first and index == 0:
            channels = max(block.inputs[1] for block in work.blocks)
        rows = max(stripe.inputs.count for stripe in stripes) if height > 1 or index == 0 else 1
        sizes.append(rows * channels * width if is_away else 0)
    return tuple(sizes)


def _traffic(work: Work, away: Away, stripes: list[Stripe], blocks_first: bool) -> int:
    operator, several = work.operator, len(stripes) > 1
    repeated = several and len(work.blocks) > 1
    total = work.weight_bytes * (len(stripes) if repeated and not blocks_first else 1)
    for index, (source, is_away) in enumerate(zip(operator.inputs, away.inputs, strict=True)):
        channels, height, width = source.shape
        if is_away and (height > 1 or index == 0):
            if repeated and blocks_first:
                channels = sum(block.inputs[1] for block in work.blocks)
            total += sum(stripe.inputs.count for stripe in stripes) * channels * width
        elif is_away:
            total += channels * width
    return total + (operator.output.size_bytes if away.output else 0)
