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
    loads_of,
)
from condense_compiler.memory.sharing import Sharing
from condense_compiler.memory.tidying import tidied


@dataclass(frozen=True, slots=True)
class Schedule:
    """An order of the operators.

    Attributes:
        steps: Operators by their position in the order of the file; two where one accumulates
            into what the other adds it to.
        peak_bytes: Most bytes alive at a step.
        lower_bound_bytes: No order needs less, and no other choice of what shares memory.
        loads: Bytes alive at each step, where the order was tidied.
    """

    steps: Steps
    peak_bytes: int
    lower_bound_bytes: int
    loads: tuple[int, ...] = ()

    def proves(self, arena_bytes: int) -> bool:
        """Whether an arena is proved to be the smallest that any order of the operators allows."""
        return arena_bytes <= self.lower_bound_bytes


def schedule(sharing: Sharing, seconds: float | None = None, *, tidy: bool = False) -> Schedule:
    """Find the order with the smallest peak, and a bound that holds for this sharing.

    Args:
        sharing: What the network stores.
        seconds: Search no longer than this; without it the effort is fixed.
        tidy: Among orders of that peak, look for one that is easier to place.
    """
    running = [number for number in range(len(sharing.order)) if number not in sharing.idle]
    problem = order_problem(sharing, running)
    order = find_order(problem, seconds)
    loads: tuple[int, ...] = ()
    if tidy:
        order = tidied(problem, order)
        loads = tuple(loads_of(problem, order.steps))
    steps = [tuple(running[operator] for operator in step) for step in order.steps]
    return Schedule(steps, order.peak_bytes, order.lower_bound_bytes, loads)


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
    releasing = tuple(number_of[position] for position in sorted(sharing.releasing))
    return OrderProblem(
        len(running), ((),) * len(running), maps, overwrites, accumulations, releasing
    )
