"""Instructions that make a map of one or two maps, without weights."""

from dataclasses import dataclass
from typing import Annotated

from condense_compiler.targets.accelerator.isa.compute import (
    FITTING,
    INPUT,
    LIMITS,
    OUTPUT,
    SAME_SIZE,
    SENSIBLE,
    TABLE,
    WINDOW_SIZE,
    Compute,
    element_cycles,
    is_sensible,
    limits_hold,
)
from condense_compiler.targets.accelerator.isa.instruction import Instruction
from condense_compiler.targets.accelerator.isa.kinds import Choice, Whole
from condense_compiler.targets.accelerator.isa.records import (
    DIVIDING,
    EVERY_CODE,
    LARGEST_NUMBER,
    NO_AVERAGE,
    Averaging,
    Joining,
    Limits,
    MapOperand,
    PixelWindow,
    Queue,
    Shift,
    Zero,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool(Compute):
    """The largest code, the average, or the scaled sum of each window."""

    input_zero: Annotated[Zero, "code of the value zero of the input"] = 0
    kind: Annotated[str, Choice(("max", "average", "sum")), "what of each window"]
    window: Annotated[PixelWindow, "of pixels"]
    multiplier: Annotated[int, Whole(24), "of sums"] = 0
    shift: Annotated[Shift, "what sums are divided by, as a power of two"] = 0
    limits: Annotated[Limits, "of sums"] = EVERY_CODE
    averaging: Annotated[Averaging, "of averages"] = NO_AVERAGE


@dataclass(frozen=True, slots=True, kw_only=True)
class Combine(Compute):
    """Two maps, element by element; the second may have one pixel."""

    other: Annotated[MapOperand, "the second map"]
    joining: Annotated[Joining, "what is done to two codes"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LookUp(Compute):
    """A copy of a map, through the table."""


def _can_divide(joining: Joining) -> bool:
    return joining.kind not in DIVIDING or joining.numbers[2] >= 1 / LARGEST_NUMBER


POOL = Instruction(
    "pool",
    0x21,
    Pool,
    Queue.COMPUTE,
    reads={**INPUT, **TABLE},
    writes=OUTPUT,
    cycles=lambda s, machine: element_cycles(s, s.window.taps, machine),
    rules=(
        ("as many output as input channels", lambda s: s.input.channels == s.output.channels),
        (WINDOW_SIZE, lambda s: s.window.positions(s.input.pixels) == s.output.pixels),
        (SENSIBLE, lambda s: is_sensible(s.window, s.input)),
        (FITTING, lambda s: s.window.sees_pixels()),
        (LIMITS, lambda s: limits_hold(s.limits, s.averaging)),
    ),
)
COMBINE = Instruction(
    "combine",
    0x22,
    Combine,
    Queue.COMPUTE,
    reads={**INPUT, "other": lambda s: s.other.area(), **TABLE},
    writes=OUTPUT,
    cycles=lambda s, machine: element_cycles(s, 1, machine),
    rules=(
        (SAME_SIZE, lambda s: s.input.shape == s.output.shape),
        ("as many channels in both maps", lambda s: s.other.channels == s.input.channels),
        (
            "a second map of one pixel or as many as the first",
            lambda s: s.other.pixels in (s.input.pixels, (1, 1)),
        ),
        ("a scale to divide by", lambda s: _can_divide(s.joining)),
        (LIMITS, lambda s: limits_hold(s.joining)),
    ),
    in_place=True,
)
LOOK_UP = Instruction(
    "look_up",
    0x23,
    LookUp,
    Queue.COMPUTE,
    reads={**INPUT, **TABLE},
    writes=OUTPUT,
    cycles=lambda s, machine: element_cycles(s, 1, machine),
    rules=((SAME_SIZE, lambda s: s.input.shape == s.output.shape),),
    in_place=True,
)

MAPS = (POOL, COMBINE, LOOK_UP)
