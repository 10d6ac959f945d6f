"""What the choice of resident maps knows and returns."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Option:
    """A way to run an operator.

    Attributes:
        number: What the caller calls it.
        staging_bytes: On-chip memory that its stripes take while it runs.
        cost: What is made smallest.
    """

    number: int
    staging_bytes: int
    cost: int


@dataclass(frozen=True, slots=True)
class Candidate:
    """A map that may stay on the chip.

    Attributes:
        lower: First step of its life.
        upper: Step behind the last one.
        size_bytes: What it takes.
        cost: What it costs to bring it to the chip, or from there, beyond its operators.
    """

    lower: int
    upper: int
    size_bytes: int
    cost: int = 0


@dataclass(frozen=True, slots=True)
class Problem:
    """Everything that decides what stays on the chip.

    Attributes:
        maps: The maps.
        own: Numbers of the maps that each step reads or writes.
        options: Returns the ways to run a step, the cheapest first, given which of its own maps
            are on the chip.
        capacity_bytes: Memory on the chip.
        overwriting: Steps whose result takes the place of a map, if both are on the chip: by step,
            the map that ends there and the one that begins.
    """

    maps: Sequence[Candidate]
    own: Sequence[frozenset[int]]
    options: Callable[[int, frozenset[int]], Sequence[Option]]
    capacity_bytes: int
    overwriting: Mapping[int, tuple[int, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Choice:
    """What stays on the chip, and how each step runs.

    Attributes:
        resident: Numbers of the maps that stay.
        options: The option of each step.
        cost: Of everything together.
    """

    resident: frozenset[int]
    options: tuple[Option, ...]
    cost: int


@dataclass(frozen=True, slots=True)
class Conflict:
    """Maps and stripes that cannot be placed together, whatever else is on the chip.

    Attributes:
        lower: First step during which they collide.
        upper: Step behind the last one.
        resident: The maps.
        staging_bytes: Stripes of each of these steps; larger ones do not fit either.
        proved: There are no places; otherwise none were found.
    """

    lower: int
    upper: int
    resident: frozenset[int]
    staging_bytes: tuple[int, ...]
    proved: bool


@dataclass(frozen=True, slots=True)
class Found:
    """The best choice that was found.

    Attributes:
        choice: It can be placed.
        optimal: No other choice that can be placed costs less.
    """

    choice: Choice
    optimal: bool


# Tells why a choice cannot be placed; None if it can.
Placing = Callable[[Choice], Conflict | None]


def mask_of(numbers: Iterable[int]) -> int:
    """Return a set of numbers as bits."""
    return sum(1 << number for number in numbers)


def members(mask: int) -> frozenset[int]:
    """Return the numbers that bits stand for."""
    numbers = []
    while mask:
        lowest = mask & -mask
        numbers.append(lowest.bit_length() - 1)
        mask ^= lowest
    return frozenset(numbers)
