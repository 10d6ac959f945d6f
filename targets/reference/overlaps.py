"""Where a step's results lie on its inputs, and whether it can compute that way."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import onnx_graphsurgeon as gs

from condense_compiler.errors import ContractError
from condense_compiler.network.tensors import tensor_bytes
from condense_compiler.operators.aliasing import Alias, aliases_of, overwritable_inputs
from condense_compiler.operators.byte_moves import Move, order_of_moves
from condense_compiler.operators.epilogue import producer_of
from condense_compiler.program import Step


class Bytes(Protocol):
    """Bytes of the arena."""

    @property
    def offset(self) -> int:
        """The first of them."""

    @property
    def size_bytes(self) -> int:
        """How many."""


Places = Mapping[str, Bytes]


@dataclass(frozen=True, slots=True)
class _Piece:
    """Bytes of one tensor that an operator reads or writes."""

    tensor: str
    offset: int
    size_bytes: int


def overwritten_inputs(step: Step, places: Places) -> frozenset[int]:
    """Return the indices of the inputs in whose place a step writes its first result.

    Args:
        step: What is computed.
        places: Every feature map of the step.

    Raises:
        ContractError: A result lies on an input in a way that the operator cannot compute.
    """
    if step.addition is not None:
        _check_accumulation(step.node, step.addition, places)
        return frozenset()
    aliases = aliases_of(step.node)
    if aliases:
        _check_moves(step.node, aliases, places)
        return frozenset()
    found = set()
    allowed = overwritable_inputs(step.node)
    for number, result in enumerate(step.node.outputs):
        for index in _overlapped(step.node, result, places):
            source = step.node.inputs[index]
            same_start = places[source.name].offset == places[result.name].offset
            if number > 0 or index not in allowed or not same_start:
                raise _error(step.node, result.name, source.name)
            found.add(index)
    return frozenset(found)


def accumulated_operand(step: Step) -> gs.Tensor:
    """Return what the result of a step is added to.

    Raises:
        ContractError: The addition does not add the result to anything.
    """
    assert step.addition is not None
    result = step.node.outputs[0]
    added = producer_of(step.addition).inputs
    others = [tensor for tensor in added if tensor.name != result.name]
    if len(others) != 1:
        raise ContractError(
            f"node {step.addition.name!r} does not add {result.name!r} to another feature map"
        )
    return others[0]


def _check_accumulation(node: gs.Node, addition: gs.Node, places: Places) -> None:
    """Check that the sum takes exactly the place of the operand, away from what is read."""
    result, operand = addition.outputs[0], accumulated_operand(Step(node, addition))
    shapes = {tuple(tensor.shape) for tensor in (result, operand, node.outputs[0])}
    known = operand.name in places and len(shapes) == 1
    if not known or places[operand.name].offset != places[result.name].offset:
        raise ContractError(
            f"node {addition.name!r}: the result of {node.name!r} can only be added in place, "
            f"but {result.name!r} does not lie where {operand.name!r} lies"
        )
    for index in _overlapped(node, result, places):
        raise _error(node, result.name, node.inputs[index].name)


def _check_moves(node: gs.Node, aliases: list[Alias], places: Places) -> None:
    """Check that what is copied, unless it is in its place already, is not written over."""
    if node.op == "Concat":
        _check_concatenation(node, aliases, places)
        return
    moves = list(_moves(node, aliases, places))
    aliased = {alias.input for alias in aliases}
    read = [source for source, _ in moves if source is not None] + [
        _whole(tensor, places)
        for index, tensor in enumerate(node.inputs)
        if index not in aliased and tensor.name in places
    ]
    targets = {alias.output for alias in aliases}
    written = [
        target for source, target in moves if source is None or source.offset != target.offset
    ] + [
        _whole(tensor, places)
        for index, tensor in enumerate(node.outputs)
        if index not in targets and tensor.name in places
    ]
    for target in written:
        for source in read:
            if _meet(source, target):
                raise _error(node, target.tensor, source.tensor)


def _check_concatenation(node: gs.Node, aliases: list[Alias], places: Places) -> None:
    """Check that parts can be moved to their slots one by one, constants coming last."""
    moves = list(_moves(node, aliases, places))
    moved = [
        Move(source.offset, target.offset, target.size_bytes)
        for source, target in moves
        if source is not None
    ]
    if order_of_moves(moved) is None:
        first = next(source for source, _ in moves if source is not None)
        raise _error(node, node.outputs[0].name, first.tensor)


def _moves(
    node: gs.Node, aliases: list[Alias], places: Places
) -> Iterator[tuple[_Piece | None, _Piece]]:
    """Yield what is copied from where, None for a constant, to where."""
    for alias in aliases:
        source, target = node.inputs[alias.input], node.outputs[alias.output]
        result = _whole(target, places)
        if source.name not in places:
            size = min(tensor_bytes(source), result.size_bytes)
            yield None, _Piece(target.name, result.offset - alias.shift, size)
            continue
        data = _whole(source, places)
        if data.size_bytes <= result.size_bytes:
            place = result.offset - alias.shift
            yield data, _Piece(target.name, place, data.size_bytes)
        else:
            place = data.offset + alias.shift
            yield _Piece(source.name, place, result.size_bytes), result


def _overlapped(node: gs.Node, result: gs.Tensor, places: Places) -> Iterator[int]:
    if result.name not in places:
        return
    for index, tensor in enumerate(node.inputs):
        if tensor.name in places and _meet(places[tensor.name], places[result.name]):
            yield index


def _whole(tensor: gs.Tensor, places: Places) -> _Piece:
    place = places[tensor.name]
    return _Piece(tensor.name, place.offset, place.size_bytes)


def _meet(one: Bytes, other: Bytes) -> bool:
    """Tell whether two have a byte in common."""
    return max(one.offset, other.offset) < min(
        one.offset + one.size_bytes, other.offset + other.size_bytes
    )


def _error(node: gs.Node, result: str, source: str) -> ContractError:
    return ContractError(
        f"node {node.name!r}: {node.op} cannot write {result!r} over {source!r}, "
        "which it still reads, the way the plan places them"
    )
