"""What a network stores at least, whatever is shared, copied or written over: for lower bounds.

Sharing is a choice: a part of a concatenation may be produced inside it, or be copied. Here it
costs nothing: every value is stored once from its writer to its last reader, wherever its readers
find it, and an operator that may write over an input writes over whatever dies of its first bytes,
as many as the result has. A copy would store a value twice to have it die in one place, which is no
less. So no order needs less in any
sharing than the best order needs here.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import onnx_graphsurgeon as gs

from condense_compiler.memory.order import Order
from condense_compiler.memory.scheduler import Accumulation, OrderProblem, Overwrite, StoredMap
from condense_compiler.network import Network
from condense_compiler.network.tensors import tensor_bytes
from condense_compiler.operators.aliasing import (
    accumulates,
    aliases_of,
    is_addition,
    overwritable_inputs,
)

# Sets of readers behind which different bytes of one input are dead, at most.
_MOST_SETS = 256


@dataclass(slots=True)
class _Value:
    """Bytes that one operator computes; `edges` are where readers see them begin or end."""

    writer: int | None
    size: int
    edges: set[int] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class _Piece:
    """Bytes `[start, end)` of a value."""

    value: int
    start: int
    end: int


class _TooManyWaysError(Exception):
    """An input dies in more ways than are looked at."""


def relaxed_problem(network: Network, order: Order) -> OrderProblem | None:
    """Return the problem whose lower bound holds for every sharing; None where none is known.

    Its operators are those of `order`, all of them.
    """
    contents = _Contents(network, order)
    try:
        return contents.problem()
    except _TooManyWaysError:
        return None


class _Contents:
    """Which values each tensor holds."""

    def __init__(self, network: Network, order: Order) -> None:
        self._order = order
        self._values: list[_Value] = []
        self._pieces: dict[str, list[_Piece]] = {}
        self._before: list[tuple[int, ...]] = [()] * len(order)
        self._reads: list[list[gs.Tensor]] = [[] for _ in order]
        for tensor in network.graph.inputs:
            self._compute(tensor, None)
        for number, node in enumerate(order):
            self._visit(number, node)
        self._kept = [t for t in network.graph.outputs if t.name in self._pieces]
        self._cut()

    def _compute(self, tensor: gs.Tensor, writer: int | None) -> list[_Piece]:
        size = tensor_bytes(tensor)
        self._values.append(_Value(writer, size))
        self._pieces[tensor.name] = [_Piece(len(self._values) - 1, 0, size)]
        return self._pieces[tensor.name]

    def _visit(self, number: int, node: gs.Node) -> None:
        aliases = aliases_of(node)
        outputs = [tensor for tensor in node.outputs if not tensor.is_empty()]
        if node.op == "Concat" and aliases:
            self._concatenate(number, node)
            return
        sources = {node.inputs[alias.input].name for alias in aliases}
        if aliases and len(aliases) == len(outputs) and sources <= self._pieces.keys():
            for alias in aliases:
                source, result = node.inputs[alias.input], node.outputs[alias.output]
                end = alias.shift + tensor_bytes(result)
                self._pieces[result.name] = list(
                    _section(self._pieces[source.name], alias.shift, end)
                )
            return
        self._reads[number] = [t for t in node.inputs if t.name in self._pieces]
        for tensor in outputs:
            self._compute(tensor, number)

    def _concatenate(self, number: int, node: gs.Node) -> None:
        """Note what the result holds; constants are all that anybody writes."""
        pieces: list[_Piece] = []
        for tensor in node.inputs:
            known = self._pieces.get(tensor.name)
            pieces += known if known is not None else self._compute(tensor, number)
            if known is None:
                del self._pieces[tensor.name]
        writers = (self._values[piece.value].writer for piece in pieces)
        self._before[number] = tuple({w for w in writers if w is not None and w != number})
        self._pieces[node.outputs[0].name] = pieces

    def _cut(self) -> None:
        """Divide values where they are read in parts."""
        for tensor in (*(t for read in self._reads for t in read), *self._kept):
            for piece in self._pieces[tensor.name]:
                self._values[piece.value].edges |= {piece.start, piece.end}
        self._atoms: list[_Piece] = []
        self._atoms_of: list[list[int]] = []
        for number, value in enumerate(self._values):
            edges = sorted({0, value.size, *value.edges})
            spans = list(pairwise(edges)) or [(0, 0)]
            self._atoms_of.append(list(range(len(self._atoms), len(self._atoms) + len(spans))))
            self._atoms += [_Piece(number, start, end) for start, end in spans]

    def _held(self, tensor: gs.Tensor) -> list[int]:
        """Return the atoms that a tensor holds."""
        return [
            atom
            for piece in self._pieces[tensor.name]
            for atom in self._atoms_of[piece.value]
            if piece.start < self._atoms[atom].end and self._atoms[atom].start < piece.end
        ]

    def problem(self) -> OrderProblem:
        """Return what the search for an order needs to know."""
        readers: list[set[int]] = [set() for _ in self._atoms]
        for number, tensors in enumerate(self._reads):
            for tensor in tensors:
                for atom in self._held(tensor):
                    readers[atom].add(number)
        kept = {atom for tensor in self._kept for atom in self._held(tensor)}
        self._readers, self._lasting = readers, kept
        maps = tuple(
            StoredMap(
                piece.end - piece.start,
                self._values[piece.value].writer,
                tuple(sorted(readers[atom])),
                atom in kept,
            )
            for atom, piece in enumerate(self._atoms)
        )
        return OrderProblem(
            len(self._order),
            tuple(self._before),
            maps,
            tuple(self._overwrites()),
            tuple(self._accumulations()),
        )

    def _overwrites(self) -> Iterator[Overwrite]:
        for number, node in enumerate(self._order):
            for index in overwritable_inputs(node) if self._reads[number] else ():
                if node.inputs[index].name not in self._pieces:
                    continue
                for maps, saved in self._ways(number, node, index, number):
                    if maps:
                        yield Overwrite(number, maps, saved)

    def _accumulations(self) -> Iterator[Accumulation]:
        producers = {
            node.outputs[0].name: number
            for number, node in enumerate(self._order)
            if accumulates(node)
        }
        for number, node in enumerate(self._order):
            if not (is_addition(node) and self._reads[number]):
                continue
            able = overwritable_inputs(node)
            for index, tensor in enumerate(node.inputs):
                producer = producers.get(tensor.name)
                if producer is None or index not in able or not self._is_private(tensor, number):
                    continue
                for other in able:
                    source = node.inputs[other]
                    if source.name == tensor.name or source.name not in self._pieces:
                        continue
                    for maps, saved in self._ways(number, node, other, producer):
                        if maps or len(self._held(source)) > 1:
                            yield Accumulation(producer, number, maps, saved)

    def _is_private(self, tensor: gs.Tensor, reader: int) -> bool:
        held = self._held(tensor)
        alone = all(self._readers[atom] == {reader} for atom in held)
        return alone and len(tensor.outputs) == 1 and not self._lasting.intersection(held)

    def _ways(
        self, number: int, node: gs.Node, index: int, never: int
    ) -> Iterator[tuple[tuple[int, ...], int]]:
        """Yield maps of an input that may die together, and the bytes that are then saved.

        Args:
            number: The operator.
            node: The same.
            index: Which input.
            never: A reader behind which nothing dies for this purpose.
        """
        others = {
            atom
            for tensor in node.inputs
            if tensor.name in self._pieces and tensor.name != node.inputs[index].name
            for atom in self._held(tensor)
        }
        sets: dict[frozenset[int], list[int]] = {}
        covered = self._first_bytes(node.inputs[index], tensor_bytes(node.outputs[0]))
        for atom in covered:
            rest = frozenset(self._readers[atom] - {number})
            if atom in self._lasting or atom in others or (never != number and never in rest):
                continue
            sets.setdefault(rest, []).append(atom)
        always = sets.pop(frozenset(), [])
        for done in _unions(sets):
            dead = (atom for rest, atoms in sets.items() if rest <= done for atom in atoms)
            maps = (*always, *dead)
            yield maps, sum(covered[atom] for atom in maps)

    def _first_bytes(self, tensor: gs.Tensor, room: int) -> dict[int, int]:
        """Return how many of the first bytes of a tensor each atom holds."""
        covered: dict[int, int] = {}
        for atom in self._held(tensor):
            size = self._atoms[atom].end - self._atoms[atom].start
            if room > 0 or not size:
                covered.setdefault(atom, min(size, room))
            room -= size
        return covered


def _unions(sets: Iterable[frozenset[int]]) -> set[frozenset[int]]:
    """Return all unions of some of the sets, the empty one included."""
    unions = {frozenset[int]()}
    for each in sets:
        unions |= {known | each for known in unions}
        if len(unions) > _MOST_SETS:
            raise _TooManyWaysError
    return unions


def _section(pieces: Sequence[_Piece], start: int, end: int) -> Iterator[_Piece]:
    """Yield bytes `[start, end)` of what some pieces hold one behind the other."""
    position = 0
    for piece in pieces:
        size = piece.end - piece.start
        low, high = max(start - position, 0), min(end - position, size)
        if low < high:
            yield _Piece(piece.value, piece.start + low, piece.start + high)
        position += size
