"""Moving stretches of memory that may overlap: in which order nothing is lost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import onnx_graphsurgeon as gs

from condense_compiler.network.tensors import tensor_bytes
from condense_compiler.operators.aliasing import aliases_of


@dataclass(frozen=True, slots=True)
class Move:
    """A stretch of bytes that is copied to another place, as `memmove` does.

    Attributes:
        source: Its first byte.
        target: First byte of its new place.
        size: Bytes.
    """

    source: int
    target: int
    size: int

    def spoils(self, other: "Move") -> bool:
        """Tell whether it writes over what the other one has to read."""
        return (
            self.target < other.source + other.size and other.source < self.target + self.size
        ) and self.source != self.target


def order_of_moves(moves: Sequence[Move]) -> list[int] | None:
    """Return an order in which no move writes over what a later one reads; None if there is none.

    Moves that stay where they are come along; no two targets may overlap.
    """
    waiting = list(range(len(moves)))
    order: list[int] = []
    while waiting:
        free = next(
            (
                index
                for index in waiting
                if not any(moves[index].spoils(moves[o]) for o in waiting if o != index)
            ),
            None,
        )
        if free is None:
            return None
        waiting.remove(free)
        order.append(free)
    return order


def moves_of(node: gs.Node, offsets: Mapping[str, int]) -> list[Move]:
    """Return what a concatenation moves, if its parts and its result lie at these offsets.

    Parts without an offset are constants: they are written once all others have been moved.
    """
    place = offsets[node.outputs[0].name]
    return [
        Move(offsets[tensor.name], place - alias.shift, tensor_bytes(tensor))
        for alias in aliases_of(node)
        for tensor in (node.inputs[alias.input],)
        if tensor.name in offsets
    ]
