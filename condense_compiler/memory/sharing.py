"""What an ordered or unordered network stores: views resolved, concatenations turned around."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import onnx_graphsurgeon as gs

from condense_compiler.memory.concatenation import Slot, refuse_parts
from condense_compiler.memory.order import Order
from condense_compiler.memory.positions import Positions
from condense_compiler.network import Network
from condense_compiler.network.tensors import tensor_bytes
from condense_compiler.operators.aliasing import Alias, aliases_of


@dataclass(slots=True)
class Writing:
    """Bytes that one operator writes.

    Attributes:
        tensor: Name of the tensor that they are first part of.
        writer: Position of the operator in the order; None for an input of the network.
        size: Bytes.
        readers: Positions of the operators that read them, also through views.
        kept: They are part of an output of the network.
    """

    tensor: str
    writer: int | None
    size: int
    readers: list[int] = field(default_factory=list)
    kept: bool = False


@dataclass(frozen=True, slots=True)
class Copied:
    """A part of a concatenation that has to be copied, and why."""

    node: str
    tensor: str
    reason: str


@dataclass(frozen=True, slots=True)
class Sharing:
    """Which feature maps share memory whatever the order.

    Attributes:
        order: The operators, in the order of the file.
        positions: Where tensors lie relative to each other.
        writings: All bytes that are written; a stretch's number is an index into this.
        idle: Positions of the operators that have nothing to do.
        copies: Parts of concatenations that could not be produced in place.
        tensors: All feature maps, by name.
    """

    order: Order
    positions: Positions
    writings: tuple[Writing, ...]
    idle: frozenset[int]
    copies: tuple[Copied, ...]
    tensors: dict[str, gs.Tensor]

    def stores(self, name: str) -> bool:
        """Tell whether a tensor is a feature map."""
        return name in self.positions


def resolve_sharing(network: Network, order: Order) -> Sharing:
    """Find what shares memory: views of a tensor, and parts inside a concatenation."""
    builder = _Builder(order)
    for tensor in network.graph.inputs:
        builder.store(tensor, None)
    for number, node in enumerate(order):
        builder.visit(number, node)
    builder.read_all()
    builder.keep(network.graph.outputs)
    return builder.sharing()


class _Builder:
    """Collects what is stored while walking over the operators in order."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._positions = Positions()
        self._tensors: dict[str, gs.Tensor] = {}
        self._writings: list[Writing] = []
        self._idle: set[int] = set()
        self._copies: list[Copied] = []
        # What each operator really reads: a concatenation in place reads nothing.
        self._reads: list[list[gs.Tensor]] = [[] for _ in order]

    def store(self, tensor: gs.Tensor, writer: int | None) -> None:
        """Note a tensor that an operator writes as a whole."""
        self._introduce(tensor)
        self._write(tensor.name, tensor, writer, 0)

    def visit(self, number: int, node: gs.Node) -> None:
        """Note what an operator writes and reads, or that its results are views."""
        known = [tensor for tensor in node.inputs if tensor.name in self._tensors]
        outputs = [tensor for tensor in node.outputs if not tensor.is_empty()]
        aliases = aliases_of(node)
        if node.op == "Concat" and aliases:
            self._concatenate(number, node, aliases)
            return
        sources = {node.inputs[alias.input].name for alias in aliases}
        if aliases and len(aliases) == len(outputs) and sources <= self._tensors.keys():
            for alias in aliases:
                self._view(node, alias)
            self._idle.add(number)
            return
        for tensor in outputs:
            self.store(tensor, number)
        self._reads[number] = known

    def _view(self, node: gs.Node, alias: Alias) -> None:
        source, result = node.inputs[alias.input], node.outputs[alias.output]
        self._introduce(result)
        self._positions.join(*self._positions.distance(source.name, result.name, alias.shift))

    def _concatenate(self, number: int, node: gs.Node, aliases: Sequence[Alias]) -> None:
        """Produce as many parts as possible inside the result; the operator copies the others."""
        result = node.outputs[0]
        parts = [node.inputs[alias.input] for alias in aliases]
        slots = [
            Slot(
                part.name if part.name in self._tensors else None,
                start=-alias.shift,
                size=tensor_bytes(part),
            )
            for part, alias in zip(parts, aliases, strict=True)
        ]
        reasons = refuse_parts(self._positions, slots)
        self._introduce(result)
        copied: list[gs.Tensor] = []
        for part, slot, reason in zip(parts, slots, reasons, strict=True):
            if reason is not None:
                self._write(result.name, part, number, slot.start)
            if slot.part is None:
                continue
            if reason is None:
                self._join(result, part, slot.start)
            else:
                copied.append(part)
                self._copies.append(Copied(node.name, part.name, reason))
        self._reads[number] = copied
        if all(reason is None for reason in reasons):
            self._idle.add(number)

    def _join(self, result: gs.Tensor, part: gs.Tensor, start: int) -> None:
        one, two, distance = self._positions.distance(result.name, part.name, start)
        if one is not two:
            self._positions.join(one, two, distance)

    def _introduce(self, tensor: gs.Tensor) -> None:
        self._tensors[tensor.name] = tensor
        self._positions.add(tensor.name)

    def _write(self, name: str, part: gs.Tensor, writer: int | None, offset: int) -> None:
        size = tensor_bytes(part)
        self._positions.write(name, len(self._writings), offset, size)
        self._writings.append(Writing(name, writer, size))

    def read_all(self) -> None:
        """Note the readers of everything that is written."""
        for number, tensors in enumerate(self._reads):
            for tensor in tensors:
                for stretch in self._positions.stretches_of(tensor.name, tensor_bytes(tensor)):
                    readers = self._writings[stretch.number].readers
                    if not readers or readers[-1] != number:
                        readers.append(number)

    def keep(self, outputs: Sequence[gs.Tensor]) -> None:
        """Note what is part of an output of the network."""
        for tensor in outputs:
            if tensor.name in self._tensors:
                for stretch in self._positions.stretches_of(tensor.name, tensor_bytes(tensor)):
                    self._writings[stretch.number].kept = True

    def sharing(self) -> Sharing:
        """Return what was collected."""
        return Sharing(
            self._order,
            self._positions,
            tuple(self._writings),
            frozenset(self._idle),
            tuple(self._copies),
            self._tensors,
        )
