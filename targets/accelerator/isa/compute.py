"""What instructions of the compute unit have in common."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated

from condense_compiler.targets.accelerator.isa.areas import Area
from condense_compiler.targets.accelerator.isa.instruction import Start
from condense_compiler.targets.accelerator.isa.records import (
    NO_TABLE,
    Averaging,
    Joining,
    Limits,
    MapOperand,
    PixelWindow,
    TableOperand,
)
from condense_compiler.targets.accelerator.machine import Machine

_MOST_PADDED = 1 << 28  # elements of a padded map

LIMITS = "limits in their order"
SAME_SIZE = "an output of the input's size"
WINDOW_SIZE = "an output of the window's size"
SENSIBLE = "a padded map of sensible size"
FITTING = "padding smaller than the window"


@dataclass(frozen=True, slots=True, kw_only=True)
class Compute(Start):
    """A map from a map."""

    input: Annotated[MapOperand, "what it reads"]
    output: Annotated[MapOperand, "what it writes"]
    table: Annotated[TableOperand, "applied to the codes last"] = NO_TABLE


INPUT: Mapping[str, Callable[[Compute], Area | None]] = {"input": lambda s: s.input.area()}
TABLE: Mapping[str, Callable[[Compute], Area | None]] = {
    "table": lambda s: s.table.area(s.output.channels)
}
OUTPUT: Mapping[str, Callable[[Compute], Area]] = {"output": lambda s: s.output.area()}


def element_cycles(start: Compute, taps: int, machine: Machine) -> int:
    """Return the cycles of an instruction that reads so many codes for each that it writes."""
    channels, height, width = start.output.shape
    elements = channels * height * width
    return machine.block_overhead_cycles + -(-elements * taps // machine.rows)


def is_sensible(window: PixelWindow, source: MapOperand) -> bool:
    """Tell whether a map with its padding is one that a machine may have."""
    height, width = window.padded(source.pixels)
    return height * width * source.channels <= _MOST_PADDED


def limits_hold(*limits: Limits | Averaging | Joining) -> bool:
    """Tell whether a code lies within each limits."""
    return all(each.lower <= each.upper for each in limits)
