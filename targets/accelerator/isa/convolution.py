"""The instruction that convolves, pools channels, and pools pixels behind."""

from dataclasses import dataclass
from typing import Annotated

from condense_compiler.targets.accelerator.isa.areas import Area, one_row
from condense_compiler.targets.accelerator.isa.buffers import (
    FACTORS,
    PARAMETERS,
    WEIGHT_BITS,
    packed_bytes,
)
from condense_compiler.targets.accelerator.isa.compute import (
    FITTING,
    INPUT,
    LIMITS,
    OUTPUT,
    SENSIBLE,
    TABLE,
    WINDOW_SIZE,
    Compute,
    is_sensible,
    limits_hold,
)
from condense_compiler.targets.accelerator.isa.instruction import Instruction
from condense_compiler.targets.accelerator.isa.kinds import FLAG, Choice
from condense_compiler.targets.accelerator.isa.records import (
    NO_POOLING,
    NO_TABLE,
    POINT,
    Address,
    GroupPooling,
    Limits,
    PixelWindow,
    Queue,
    Size,
    TableOperand,
    Zero,
)
from condense_compiler.targets.accelerator.machine import Machine


@dataclass(frozen=True, slots=True, kw_only=True)
class Convolve(Compute):
    """A convolution: scaling, `inner_table`, `pooling`, `table`, then the pooling of pixels."""

    input_zero: Annotated[Zero, "code of the value zero of the input"]
    window: Annotated[PixelWindow, "of the filters"]
    depthwise: Annotated[bool, FLAG, "each wide channel reads one input channel, in order"]
    wide_channels: Annotated[Size, "filters"]
    weight_bits: Annotated[int, Choice(WEIGHT_BITS), "bits of a weight"]
    weight_address: Annotated[Address, "weights, in the weight buffer"]
    parameter_address: Annotated[Address, "parameters of the wide channels, likewise"]
    limits: Annotated[Limits, "of the scaled sums"]
    inner_table: Annotated[TableOperand, "applied before the pooling"] = NO_TABLE
    pooling: Annotated[GroupPooling, "of channels"] = NO_POOLING
    spatial: Annotated[PixelWindow, "of the max-pooling of pixels behind"] = POINT

    @property
    def filter_shape(self) -> tuple[int, int, int, int]:
        """Wide channels, input channels of each, height, width."""
        channels = 1 if self.depthwise else self.input.channels
        return self.wide_channels, channels, *self.window.kernel

    @property
    def products(self) -> int:
        """Products of a sum."""
        return self.filter_shape[1] * self.window.taps

    @property
    def sums(self) -> tuple[int, int]:
        """Height and width in front of the max-pooling."""
        return self.window.positions(self.input.pixels)


def _convolve_cycles(start: Convolve, machine: Machine) -> int:
    height, width = start.sums
    tiles = -(-start.wide_channels // machine.rows)
    steps = -(-start.products // machine.lanes)
    blocks = tiles * -(-height * width // (machine.accumulators // machine.rows))
    return tiles * height * width * steps + blocks * machine.block_overhead_cycles


def _factors(start: Convolve) -> Area | None:
    pooling = start.pooling
    if pooling.reduction not in ("ranked", "l2"):
        return None
    count = pooling.group if pooling.reduction == "ranked" else 1
    return one_row("weights", pooling.factor_address, count * FACTORS.itemsize)


def _weights(start: Convolve) -> Area:
    count = start.wide_channels * start.products
    return one_row("weights", start.weight_address, packed_bytes(count, start.weight_bits))


def _parameters(start: Convolve) -> Area:
    size = start.wide_channels * PARAMETERS.itemsize
    return one_row("weights", start.parameter_address, size)


CONVOLVE = Instruction(
    "convolve",
    0x20,
    Convolve,
    Queue.COMPUTE,
    reads={
        **INPUT,
        "weights": _weights,
        "parameters": _parameters,
        "inner_table": lambda s: s.inner_table.area(s.wide_channels),
        "factors": _factors,
        **TABLE,
    },
    writes=OUTPUT,
    cycles=_convolve_cycles,
    rules=(
        (
            "wide channels in whole groups",
            lambda s: s.wide_channels == s.output.channels * s.pooling.group,
        ),
        (
            "one channel where none are pooled",
            lambda s: s.pooling.reduction != "none" or s.pooling.group == 1,
        ),
        (
            "channels for each input channel",
            lambda s: not s.depthwise or s.wide_channels % s.input.channels == 0,
        ),
        (WINDOW_SIZE, lambda s: s.spatial.positions(s.sums) == s.output.pixels),
        (SENSIBLE, lambda s: is_sensible(s.window, s.input)),
        (FITTING, lambda s: s.spatial.sees_pixels()),
        (LIMITS, lambda s: limits_hold(s.limits, s.pooling.limits, s.pooling.averaging)),
    ),
    macs=lambda s: s.wide_channels * s.sums[0] * s.sums[1] * s.products,
    needs=(
        (
            "a machine with a cross-channel pooling unit",
            lambda s, machine: s.pooling.reduction == "none" or machine.pooling_unit,
        ),
    ),
)
