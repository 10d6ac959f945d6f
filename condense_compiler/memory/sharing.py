"""What an ordered or unordered network stores: views resolved, concatenations turned around."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import partial

import onnx_graphsurgeon as gs

from condense_compiler.memory.concatenation import COPIED, Slot, refuse_parts
from condense_compiler.memory.order import Order
from condense_compiler.memory.positions import Positions, Stretch
from condense_compiler.memory.precedence import Gone, Precedence
from condense_compiler.network import Network
from condense_compiler.network.tensors import tensor_bytes
from condense_compiler.operators.aliasing import Alias, aliases_of


@dataclass(slots=True)
class Writing:
    """Bytes that one operator writes.

    Attributes:
        tensor: Name of the tensor that they are first part of.
        label: What a plan calls them: the tensor, and which part of it if that is copied there.
        writer: Position of the operator in the order; None for an input of the network.
        size: Bytes.
        readers: Positions of the operators that read them, also through views.
        kept: They are part of an output of the network.
    """

    tensor: str
    label: str
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
class Shared:
    """Memory that a tensor could also do without sharing: a view, or a part of a concatenation.

    Attributes:
        result: Name of the operator's first result.
        index: Position of the part in a concatenation; 0 for a view.
        is_part: Whether it is a part of a concatenation.
    """

    result: str
    index: int
    is_part: bool

    @property
    def label(self) -> str:
        """What a plan calls the bytes that are copied where nothing is shared."""
        return f"{self.result}#part{self.index}" if self.is_part else self.result


@dataclass(frozen=True, slots=True)
class Sharing:
    """Which feature maps share memory whatever the order.

    Attributes:
        order: The operators, in the order of the file.
        positions: Where tensors lie relative to each other.
        writings: All bytes that are written; a stretch's number is an index into this.
        idle: Positions of the operators that have nothing to do.
        copies: Parts of concatenations that are not produced in place.
        tensors: All feature maps, by name.
        shared: What shares memory, and would be copied were that chosen.
        releasing: Positions of the operators that only move what they read: they give up the old
            place while they take the new one, even where both meet.
    """

    order: Order
    positions: Positions
    writings: tuple[Writing, ...]
    idle: frozenset[int]
    copies: tuple[Copied, ...]
    tensors: dict[str, gs.Tensor]
    shared: tuple[Shared, ...] = ()
    releasing: frozenset[int] = frozenset()

    def stores(self, name: str) -> bool:
        """Tell whether a tensor is a feature map."""
        return name in self.positions


def resolve_sharing(
    network: Network,
    order: Order,
    apart: Collection[Shared] = frozenset(),
    gone: Gone | None = None,
) -> Sharing:
    """Find what shares memory: views of a tensor, and parts inside a concatenation.

    Args:
        network: The network.
        order: Its operators.
        apart: What is to have memory of its own, copied, though it could share.
        gone: Tells what may lie in the same place one after the other; without it, what does
            so in every order.
    """
    gone = gone or Precedence(order, network.graph.outputs).is_gone
    builder = _Builder(order, apart, gone)
    for tensor in network.graph.inputs:
        builder.store(tensor, None)
    for number, node in enumerate(order):
        builder.visit(number, node)
    builder.cut(network.graph.outputs)
    builder.read_all()
    builder.keep(network.graph.outputs)
    return builder.sharing()


class _Builder:
    """Collects what is stored while walking over the operators in order."""

    def __init__(self, order: Order, apart: Collection[Shared], gone: Gone) -> None:
        self._order = order
        self._apart = apart
        self._gone = gone
        self._shared: list[Shared] = []
        self._releasing: set[int] = set()
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
        self._write(tensor.name, tensor.name, tensor, writer, 0)

    def visit(self, number: int, node: gs.Node) -> None:
        """Note what an operator writes and reads, or that its results are views."""
        known = [tensor for tensor in node.inputs if tensor.name in self._tensors]
        outputs = [tensor for tensor in node.outputs if not tensor.is_empty()]
        aliases = aliases_of(node)
        if node.op == "Concat" and aliases:
            self._concatenate(number, node, aliases)
            return
        sources = {node.inputs[alias.input].name for alias in aliases}
        view = Shared(outputs[0].name, 0, is_part=False) if outputs else None
        viewed = aliases and len(aliases) == len(outputs) and sources <= self._tensors.keys()
        if viewed and view is not None and view not in self._apart:
            self._shared.append(view)
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
        self._positions.contain(result.name, source.name)
        self._positions.join(*self._positions.distance(source.name, result.name, alias.shift))

    def _concatenate(self, number: int, node: gs.Node, aliases: Sequence[Alias]) -> None:
        """Produce as many parts as possible inside the result; the operator copies the others."""
        result = node.outputs[0]
        parts = [node.inputs[alias.input] for alias in aliases]
        keys = [Shared(result.name, index, is_part=True) for index in range(len(parts))]
        slots = [
            Slot(
                part.name if part.name in self._tensors else None,
                start=-alias.shift,
                size=tensor_bytes(part),
                apart=key in self._apart,
            )
            for part, alias, key in zip(parts, aliases, keys, strict=True)
        ]
        reasons = refuse_parts(self._positions, slots, partial(self._collide, number, result))
        self._introduce(result)
        copied: list[gs.Tensor] = []
        for part, slot, reason, key in zip(parts, slots, reasons, keys, strict=True):
            if reason is not None:
                self._write(result.name, key.label, part, number, slot.start)
            if slot.part is None:
                continue
            if reason is None:
                self._join(result, part, slot.start)
                self._shared.append(key)
            else:
                copied.append(part)
                self._copies.append(Copied(node.name, part.name, reason))
        self._reads[number] = copied
        if all(reason is None for reason in reasons):
            self._idle.add(number)
        elif copied:
            self._releasing.add(number)

    def _collide(self, number: int, result: gs.Tensor, one: Stretch, other: Stretch) -> bool:
        """Tell whether two stretches meet, one of which need not be gone before the other begins.

        Args:
            number: A concatenation.
            result: Its result.
            one: A stretch, of the concatenation's own if its number is `COPIED`.
            other: Likewise.
        """
        if not one.meets(other):
            return False

        def is_gone(old: Stretch, new: Stretch) -> bool:
            tensor, writer = self._origin(old, number, result)
            _, before = self._origin(new, number, result)
            return before is not None and self._gone(tensor, writer, before)

        return not (is_gone(one, other) or is_gone(other, one))

    def _origin(
        self, stretch: Stretch, number: int, result: gs.Tensor
    ) -> tuple[gs.Tensor, int | None]:
        """Return what a stretch is first part of, and who writes it."""
        if stretch.number == COPIED:
            return result, number
        writing = self._writings[stretch.number]
        return self._tensors[writing.tensor], writing.writer

    def _join(self, result: gs.Tensor, part: gs.Tensor, start: int) -> None:
        self._positions.contain(result.name, part.name)
        one, two, distance = self._positions.distance(result.name, part.name, start)
        if one is not two:
            self._positions.join(one, two, distance)

    def _introduce(self, tensor: gs.Tensor) -> None:
        self._tensors[tensor.name] = tensor
        self._positions.add(tensor.name)

    def _write(
        self, name: str, label: str, part: gs.Tensor, writer: int | None, offset: int
    ) -> None:
        size = tensor_bytes(part)
        self._positions.write(name, len(self._writings), offset, size)
        self._writings.append(Writing(name, label, writer, size))

    def cut(self, outputs: Sequence[gs.Tensor]) -> None:
        """Divide what is written where it is read in parts, so that each ends with its readers."""
        read = [tensor for tensors in self._reads for tensor in tensors]
        for tensor in (*read, *(tensor for tensor in outputs if tensor.name in self._tensors)):
            group = self._positions.group_of(tensor.name)
            bottom = group.tensors[tensor.name]
            for edge in (bottom, bottom + tensor_bytes(tensor)):
                group.stretches = [
                    part for stretch in group.stretches for part in self._divided(stretch, edge)
                ]

    def _divided(self, stretch: Stretch, edge: int) -> list[Stretch]:
        if not stretch.bottom < edge < stretch.top:
            return [stretch]
        writing = self._writings[stretch.number]
        writing.size = edge - stretch.bottom
        size = stretch.top - edge
        self._writings.append(Writing(writing.tensor, writing.label, writing.writer, size))
        return self._positions.divide(stretch, edge, len(self._writings) - 1)

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
            tuple(self._shared),
            frozenset(self._releasing),
        )
