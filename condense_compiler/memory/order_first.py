"""Sharing for an order that is known: more can lie in the same place, one after the other."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from heapq import heappop, heappush

import onnx_graphsurgeon as gs

from condense_compiler.memory.lifetimes import Steps
from condense_compiler.memory.order import Order
from condense_compiler.memory.precedence import Precedence
from condense_compiler.memory.scheduler import Order as FoundOrder
from condense_compiler.memory.scheduler import OrderProblem, find_order
from condense_compiler.memory.sharing import Sharing, resolve_sharing
from condense_compiler.memory.tidying import tidied
from condense_compiler.network import Network
from condense_compiler.operators.aliasing import aliases_of


@dataclass(frozen=True, slots=True)
class Relaxed:
    """A network whose sharing costs nothing.

    Attributes:
        problem: What is to be ordered.
        found: The best order of all operators that was found for it.
    """

    problem: OrderProblem
    found: FoundOrder


def best_orders(relaxed: Relaxed, order: Order, seconds: float | None) -> Iterator[Steps]:
    """Yield orders that need little where sharing costs nothing, as different as they come.

    Args:
        relaxed: The network.
        order: Its operators, in the order of the file.
        seconds: Search for each no longer than this; without it the effort is fixed.
    """
    yield tidied(relaxed.problem, relaxed.found).steps
    if relaxed.found.optimal:  # the search is short
        late = find_order(relaxed.problem, seconds, _latest_order(order))
        yield tidied(relaxed.problem, late).steps


def sharing_in_order(network: Network, order: Order, steps: Steps) -> tuple[Sharing, Steps]:
    """Find what can share memory in one order.

    Args:
        network: The network.
        order: Its operators, in the order of the file.
        steps: An order of all of them, also of those that do nothing where memory is shared.

    Returns:
        What shares memory, and the steps at which something is done.
    """
    steps = _joined_late(order, steps)
    gone = Precedence(order, network.graph.outputs).in_steps(steps)
    sharing = resolve_sharing(network, order, gone=gone)
    busy = (tuple(number for number in step if number not in sharing.idle) for step in steps)
    return sharing, [step for step in busy if step]


def _latest_order(order: Order) -> list[int]:
    """Return an order in which operators that stand first in the file run as late as they can."""
    number_of = {id(node): number for number, node in enumerate(order)}
    before = [{number_of[id(n)] for n in _writers(node) if id(n) in number_of} for node in order]
    waiting = [0] * len(order)
    for numbers in before:
        for number in numbers:
            waiting[number] += 1
    ready = [number for number, readers in enumerate(waiting) if not readers]
    latest: list[int] = []
    while ready:
        latest.append(heappop(ready))
        for number in before[latest[-1]]:
            waiting[number] -= 1
            if not waiting[number]:
                heappush(ready, number)
    return latest[::-1]


def _writers(node: gs.Node) -> Iterator[gs.Node]:
    """Yield the operators that write what an operator reads."""
    return (writer for tensor in node.inputs for writer in tensor.inputs)


def _joined_late(order: Order, steps: Steps) -> Steps:
    """Return steps in which what may only join or show others stands right before its readers."""
    number_of = {id(node): number for number, node in enumerate(order)}
    sharing = {number for number, node in enumerate(order) if aliases_of(node)}
    late: list[tuple[int, ...]] = []
    done: set[int] = set()

    def run_for(numbers: Iterable[int]) -> None:
        """Run what stands between operators and those that wrote what they read."""
        waiting = list(numbers)
        found: set[int] = set()
        while waiting:
            writers = (number_of.get(id(node)) for node in _writers(order[waiting.pop()]))
            new = sharing.intersection(writers) - done - found
            waiting += new
            found |= new
        late.extend((number,) for number in sorted(found))
        done.update(found)

    for step in steps:
        if sharing.isdisjoint(step):
            run_for(step)
            late.append(step)
    run_for(range(len(order)))
    late.extend((number,) for number in sorted(sharing - done))
    return late
