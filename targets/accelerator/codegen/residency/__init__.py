"""Which feature maps stay on the chip so that least is moved: plain records, no networks.

What an operator costs depends on two things alone: which of its own maps are on the chip, and how
many bytes are left for its stripes. So a choice is a path through the steps, on which only the
maps that are alive and on the chip need to be known. Walking backwards gives each such state the
least cost of everything that is still to come, exactly. Walking forwards along the cheapest paths
then yields whole choices, the cheapest first, until one can be placed: that one is the best.

Sizes that fit together may still have no places, each map being one stretch of bytes for all its
life. Whoever places a choice answers with a conflict: steps, and maps and stripes during them, for
which there are no places. Every choice that contains a conflict is passed over.
"""

from condense_compiler.targets.accelerator.codegen.residency.problem import (
    Candidate,
    Choice,
    Conflict,
    Found,
    Option,
    Placing,
    Problem,
)
from condense_compiler.targets.accelerator.codegen.residency.search import Search
from condense_compiler.targets.accelerator.codegen.residency.states import States

_SLACKS = 16  # shares of the memory that are left free, one after the other


def cheapest(problem: Problem, placing: Placing) -> Found | None:
    """Return the cheapest choice that can be placed; None if there is none, or none was found.

    The effort is bounded by counts, so that the answer depends on the problem alone. When it is
    spent, the answer is the cheapest choice that leaves some of the memory free and can be placed,
    or nothing on the chip.

    Args:
        problem: What may stay.
        placing: Tells why a choice cannot be placed.
    """
    states = States(problem, problem.capacity_bytes)
    search = Search(states, placing)
    found = search.run()
    if found is not None:
        return Found(found, optimal=states.complete and search.proved)
    for slack in range(1, _SLACKS):
        capacity = problem.capacity_bytes - slack * problem.capacity_bytes // _SLACKS
        choice = States(problem, capacity).cheapest()
        if choice is not None and placing(choice) is None:
            return Found(choice, optimal=False)
    nothing = cheapest_with(problem, frozenset())
    return None if nothing is None else Found(nothing, optimal=False)


def cheapest_with(problem: Problem, resident: frozenset[int]) -> Choice | None:
    """Return the cheapest choice that keeps some maps on the chip.

    Only stripes are looked at, not whether there are places for these maps. None if the memory is
    too small for the stripes of an operator.
    """
    options: list[Option] = []
    for step, own in enumerate(problem.own):
        ways = problem.options(step, resident & own)
        fitting = [way for way in ways if way.staging_bytes <= problem.capacity_bytes]
        if not fitting:
            return None
        options.append(fitting[0])
    cost = sum(problem.maps[number].cost for number in resident)
    return Choice(resident, tuple(options), cost + sum(option.cost for option in options))


__all__ = [
    "Candidate",
    "Choice",
    "Conflict",
    "Found",
    "Option",
    "Problem",
    "cheapest",
    "cheapest_with",
]
