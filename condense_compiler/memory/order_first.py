"""Sharing for an order that is known: more can lie in the same place, one after the other."""

from collections.abc import Iterable

from condense_compiler.memory.lifetimes import Steps
from condense_compiler.memory.order import Order
from condense_compiler.memory.precedence import Precedence
from condense_compiler.memory.sharing import Sharing, resolve_sharing
from condense_compiler.network import Network
from condense_compiler.operators.aliasing import aliases_of


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
            for tensor in order[waiting.pop()].inputs:
                before = {number_of[id(node)] for node in tensor.inputs if id(node) in number_of}
                waiting += (before & sharing) - done - found
                found |= before & sharing
        late.extend((number,) for number in sorted(found - done))
        done.update(found)

    for step in steps:
        if sharing.isdisjoint(step):
            run_for(step)
            late.append(step)
    run_for(range(len(order)))
    late.extend((number,) for number in sorted(sharing - done))
    return late
