"""From what a network stores to the order in which its operators run."""

from dataclasses import dataclass

from condense_compiler.memory.lifetimes import Steps
from condense_compiler.memory.overwriting import find_accumulatings, find_overwritings
from condense_compiler.memory.scheduler import (
    Accumulation,
    OrderProblem,
    Overwrite,
    StoredMap,
    find_order,
)
from condense_compiler.memory.sharing import Sharing


@dataclass(frozen=True, slots=True)
class Schedule:
    """An order of the operators.

    Attributes:
        steps: Operators by their position in the order of the file; two where one accumulates
            into what the other adds it to.
        peak_bytes: Most bytes alive at a step.
        optimal: No order is proved to need less.
    """

    steps: Steps
    peak_bytes: int
    optimal: bool

    def proves(self, arena_bytes: int) -> bool:
        """Whether an arena is proved to be the smallest that any order of the operators allows."""
        return self.optimal and arena_bytes == self.peak_bytes


def schedule(sharing: Sharing, seconds: float | None = None) -> Schedule:
    """Find the order with the smallest peak.

    Args:
        sharing: What the network stores.
        seconds: Search no longer than this; without it the effort is fixed.
    """
    running = [number for number in range(len(sharing.order)) if number not in sharing.idle]
    order = find_order(order_problem(sharing, running), seconds)
    steps = [tuple(running[operator] for operator in step) for step in order.steps]
    return Schedule(steps, order.peak_bytes, order.optimal)


def order_problem(sharing: Sharing, running: list[int]) -> OrderProblem:
    """Return what the search for an order needs to know: records, no graph.

    Args:
        sharing: What the network stores.
        running: Positions of the operators that have something to do; the problem knows them by
            their position in this list.
    """
    number_of = {position: number for number, position in enumerate(running)}
    maps = tuple(
        StoredMap(
            size=writing.size,
            writer=None if writing.writer is None else number_of[writing.writer],
            readers=tuple(number_of[reader] for reader in writing.readers),
            kept=writing.kept,
        )
        for writing in sharing.writings
    )
    overwrites = tuple(
        Overwrite(number_of[option.operator], option.stretches, option.saved_bytes)
        for option in find_overwritings(sharing)
    )
    accumulations = tuple(
        Accumulation(
            number_of[pair.producer],
            number_of[pair.overwriting.operator],
            pair.overwriting.stretches,
            pair.overwriting.saved_bytes,
        )
        for pair in find_accumulatings(sharing)
    )
    return OrderProblem(len(running), ((),) * len(running), maps, overwrites, accumulations)
