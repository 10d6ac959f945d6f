"""What a network stores and moves, before and after compilation."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MemoryFigures:
    """How much memory feature maps take, in bytes.

    Attributes:
        arena_bytes: Size of the arena of the plan.
        lower_bound_bytes: No plan for the same order can have a smaller one.
        sum_bytes: All feature maps together.
    """

    arena_bytes: int
    lower_bound_bytes: int
    sum_bytes: int


@dataclass(frozen=True, slots=True)
class PlannedFigures(MemoryFigures):
    """The same after compilation.

    Attributes:
        optimal: The arena is proved to be the smallest for the order.
        order_optimal: The arena is proved to be the smallest for any order of the operators.
    """

    optimal: bool
    order_optimal: bool


@dataclass(frozen=True, slots=True)
class Residency:
    """Which feature maps stay on the chip, on a machine that has two memories.

    Attributes:
        on_chip: Feature maps that stay there.
        in_dram: Those that do not.
        dram_bytes: DRAM used for feature maps, inputs and outputs included.
        traffic_optimal: No other choice is proved to have less traffic.
    """

    on_chip: int
    in_dram: int
    dram_bytes: int
    traffic_optimal: bool


@dataclass(frozen=True, slots=True)
class Footprint:
    """What is stored and moved.

    Attributes:
        before: Memory of the network as given: every feature map stored, in its own order.
        after: Memory of the compiled network; with two memories, that of the chip.
        traffic_before: Bytes read and written by the network as given, weights included.
        traffic_after: The same for the compiled network; with two memories, bytes moved between
            them.
        residency: What stays on the chip; None where there is one memory.
        in_codes: Feature maps, which the compiled network writes in float32, are stored as 8-bit
            quantised values.
    """

    before: MemoryFigures
    after: PlannedFigures
    traffic_before: int
    traffic_after: int
    residency: Residency | None = None
    in_codes: bool = False
