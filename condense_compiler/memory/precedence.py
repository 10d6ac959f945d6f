"""Which maps are always gone before others begin, whatever the order of the operators.

An operator that shares memory with its parts or its source does nothing, and waits for nothing. Who
reads what it stands for waits for the writers of the bytes that are read: of all of them, unless
something between them takes a part out.
"""

from collections.abc import Callable, Collection, Iterator

import onnx_graphsurgeon as gs

from condense_compiler.memory.order import Order
from condense_compiler.network.tensors import tensor_bytes
from condense_compiler.operators.aliasing import accumulates, aliases_of, is_addition

# Tells whether all that reads a tensor, written by some operator, has run when another begins.
Gone = Callable[[gs.Tensor, int | None, int], bool]

# Operators between the first reader of one map and the writer of another, beyond which they are
# taken to be in no relation: looking takes time.
_FARTHEST = 1000


class Precedence:
    """What the edges of a network tell about lifetimes.

    Args:
        order: The operators, in an order in which they can run.
        outputs: What the network returns, and so is never gone.
    """

    def __init__(self, order: Order, outputs: Collection[gs.Tensor]) -> None:
        self._order = order
        self._number_of = {id(node): number for number, node in enumerate(order)}
        self._outputs = {tensor.name for tensor in outputs}
        self._needed: dict[str, frozenset[int] | None] = {}
        self._known: dict[tuple[str, int | None, int], bool] = {}

    def in_steps(self, steps: Collection[tuple[int, ...]]) -> Gone:
        """Return what tells which maps are gone before others begin in one order.

        Args:
            steps: All operators, two where they run as one.
        """
        step_of = {number: step for step, numbers in enumerate(steps) for number in numbers}

        def is_gone(tensor: gs.Tensor, writer: int | None, before: int) -> bool:
            users = self._users_of(tensor)
            if users is None or not users:
                return False
            last = max(step_of[user] for user in users)
            return max(last, -1 if writer is None else step_of[writer]) < step_of[before]

        return is_gone

    def is_gone(self, tensor: gs.Tensor, writer: int | None, before: int) -> bool:
        """Tell whether all that reads a tensor has always run when some operator begins.

        Args:
            tensor: The tensor; whatever shares its memory counts as it does.
            writer: Who writes it, by the position in the order; None for an input of the network.
            before: The operator, likewise.
        """
        key = tensor.name, writer, before
        if key not in self._known:
            self._known[key] = self._is_gone(tensor, writer, before)
        return self._known[key]

    def _is_gone(self, tensor: gs.Tensor, writer: int | None, before: int) -> bool:
        users = self._users_of(tensor)
        if users is None or self._takes_parts(users) or self._is_joining(before):
            return False
        if writer is not None:
            users |= {writer}
        if not users or max(users) >= before or before - min(users) > _FARTHEST:
            return False
        if any(self._may_join(user, before) for user in users):
            return False
        return users <= self._ancestors(before, min(users))

    def _users_of(self, tensor: gs.Tensor) -> frozenset[int] | None:
        if tensor.name not in self._needed:
            self._needed[tensor.name] = self._users(tensor)
        return self._needed[tensor.name]

    def _users(self, tensor: gs.Tensor) -> frozenset[int] | None:
        """Return who reads a tensor, also through what may share its memory; None if it is kept."""
        users: set[int] = set()
        waiting, met = [tensor], {tensor.name}
        while waiting:
            each = waiting.pop()
            if each.name in self._outputs:
                return None
            for node in each.outputs:
                users.add(self._number_of[id(node)])
                if aliases_of(node):
                    waiting += [result for result in node.outputs if result.name not in met]
                    met |= {result.name for result in node.outputs}
        return frozenset(users)

    def _takes_parts(self, users: Collection[int]) -> bool:
        """Tell whether somebody may read a part of what a concatenation joins."""
        return any(self._is_joining(user) for user in users) and any(
            _takes_part(self._order[user]) for user in users
        )

    def _is_joining(self, number: int) -> bool:
        """Tell whether an operator may be a concatenation that does not wait for all its parts."""
        node = self._order[number]
        return node.op == "Concat" and bool(aliases_of(node))

    def _may_join(self, producer: int, consumer: int) -> bool:
        """Tell whether two operators may run as one, one adding to what the other computes."""
        first, second = self._order[producer], self._order[consumer]
        if not (accumulates(first) and is_addition(second)):
            return False
        return any(result is source for result in first.outputs for source in second.inputs)

    def _ancestors(self, number: int, first: int) -> set[int]:
        """Return what must run before an operator, of those from `first` on."""
        found: set[int] = set()
        waiting = [number]
        while waiting:
            for before in self._predecessors(self._order[waiting.pop()]):
                if before >= first and before not in found:
                    found.add(before)
                    waiting.append(before)
        return found

    def _predecessors(self, node: gs.Node) -> Iterator[int]:
        takes_part = _takes_part(node)
        for tensor in node.inputs:
            # Nobody waits for a map without elements: it is not stored.
            if not tensor.inputs or not tensor_bytes(tensor):
                continue
            writer = self._number_of.get(id(tensor.inputs[0]))  # weights are computed ahead
            if writer is not None and not (takes_part and aliases_of(tensor.inputs[0])):
                yield writer


def _takes_part(node: gs.Node) -> bool:
    """Tell whether an operator may stand for some of the bytes that it reads."""
    return any(
        tensor_bytes(node.outputs[alias.output]) < tensor_bytes(node.inputs[alias.input])
        for alias in aliases_of(node)
    )
