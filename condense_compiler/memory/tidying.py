"""An order of the same peak in which operators run no earlier than somebody needs their results.

The search for an order looks at the peak alone; away from it, operators may run long before their
readers, and their results lie in the way of others. Running right in front of the first reader,
where that stores less on the whole, makes placing easier.
"""

from dataclasses import replace

from condense_compiler.errors import ContractError
from condense_compiler.memory.scheduler import Order, OrderProblem, loads_of

_MOST_OPERATORS = 500


def tidied(problem: OrderProblem, order: Order) -> Order:
    """Return an order of no larger peak that stores less over all steps, if there is one."""
    if problem.operator_count > _MOST_OPERATORS:
        return order
    readers: dict[int, set[int]] = {}
    for stored in problem.maps:
        if stored.writer is not None:
            readers.setdefault(stored.writer, set()).update(stored.readers)
    for operator, others in enumerate(problem.predecessors):
        for other in others:
            readers.setdefault(other, set()).add(operator)
    steps = list(order.steps)
    total = sum(loads_of(problem, steps))
    for step in reversed(order.steps):
        place = steps.index(step)
        waiting = {reader for operator in step for reader in readers.get(operator, ())}
        behind = (n for n in range(place + 1, len(steps)) if waiting.intersection(steps[n]))
        target = next(behind, len(steps)) - 1
        if target <= place:
            continue
        moved = [*steps[:place], *steps[place + 1 : target + 1], step, *steps[target + 1 :]]
        try:
            loads = loads_of(problem, moved)
        except ContractError:  # a pair could no longer run as one: it needs what was moved
            continue
        if max(loads) <= order.peak_bytes and sum(loads) < total:
            steps, total = moved, sum(loads)
    return replace(order, steps=tuple(steps))
