"""The check that every placement passes: does any byte still needed get written over?

It knows nothing of storages or plans. It walks through the steps, keeps who owns which bytes, and
allows two things only: a result may start where an input of the same operator starts, if the
operator can compute in place and the input is not needed afterwards; and a concatenation may move
its parts over what it has moved already.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from condense_compiler.errors import ContractError
from condense_compiler.memory.lifetimes import Steps
from condense_compiler.memory.overwriting import find_accumulatings, find_overwritings
from condense_compiler.memory.sharing import Sharing
from condense_compiler.network.tensors import tensor_bytes, type_alignment
from condense_compiler.operators.byte_moves import moves_of, order_of_moves


@dataclass(frozen=True, slots=True)
class _Owned:
    """Bytes that hold a writing over some steps, both ends included."""

    number: int
    bottom: int
    top: int
    first: int
    last: int


def check_placement(
    sharing: Sharing, steps: Steps, offsets: Mapping[str, int], arena_bytes: int
) -> None:
    """Check a placement of an ordered network.

    Args:
        sharing: What the network stores.
        steps: The order, as in `Placement`.
        offsets: Offset of each feature map, in bytes.
        arena_bytes: Size of the arena.

    Raises:
        ContractError: Something is out of place; the message names the tensors.
    """
    accumulated = {step[0] for step in steps if len(step) > 1}
    _check_views(sharing, offsets, accumulated)
    owned = _owned(sharing, steps, offsets, accumulated)
    for bytes_ in owned:
        if bytes_.bottom < 0 or bytes_.top > arena_bytes:
            raise ContractError(f"{_name(sharing, bytes_)!r} lies outside the arena")
    _check_order(sharing, steps)
    _check_alignment(sharing, offsets)
    allowed = _handovers(sharing, offsets, accumulated)
    allowed |= _moved(sharing, offsets)
    alive: list[_Owned] = []
    for new in sorted(owned, key=lambda o: (o.first, o.bottom)):
        alive = [old for old in alive if old.last >= new.first]
        for old in alive:
            meets = old.bottom < new.top and new.bottom < old.top
            taken_over = (old.number, new.number) in allowed and old.last == new.first
            if meets and not taken_over:
                raise ContractError(
                    f"{_name(sharing, new)!r} is written over {_name(sharing, old)!r} at step "
                    f"{new.first}, which is needed until step {old.last}"
                )
        alive.append(new)


def _owned(
    sharing: Sharing, steps: Steps, offsets: Mapping[str, int], accumulated: set[int]
) -> list[_Owned]:
    step_of = {operator: step for step, operators in enumerate(steps) for operator in operators}
    owned: list[_Owned] = []
    for group in sharing.positions.groups():
        for stretch in group.stretches:
            writing = sharing.writings[stretch.number]
            if writing.writer in accumulated or stretch.top == stretch.bottom:
                continue
            bottom = offsets[writing.tensor] + stretch.bottom - group.tensors[writing.tensor]
            # What is given is there before the first step, whose result may take its place.
            first = -1 if writing.writer is None else step_of[writing.writer]
            last = max([first, *(step_of[reader] for reader in writing.readers)])
            last = len(steps) - 1 if writing.kept else last
            size = stretch.top - stretch.bottom
            owned.append(_Owned(stretch.number, bottom, bottom + size, first, last))
    return owned


def _check_order(sharing: Sharing, steps: Steps) -> None:
    """Check that everything is written before it is read."""
    step_of = {operator: step for step, operators in enumerate(steps) for operator in operators}
    pairs = {step for step in steps if len(step) > 1}
    for writing in sharing.writings:
        writer = writing.writer
        if writer is None:
            continue
        for reader in writing.readers:
            if step_of[writer] >= step_of[reader] and (writer, reader) not in pairs:
                raise ContractError(f"{writing.tensor!r} is read before it is written")


def _check_alignment(sharing: Sharing, offsets: Mapping[str, int]) -> None:
    for name, offset in offsets.items():
        alignment = type_alignment(sharing.tensors[name])
        if offset % alignment:
            raise ContractError(f"{name!r} is not aligned to {alignment} bytes")


def _check_views(sharing: Sharing, offsets: Mapping[str, int], accumulated: set[int]) -> None:
    """Check that tensors which share memory keep their distances."""
    for group in sharing.positions.groups():
        stored = [
            s for s in group.stretches if sharing.writings[s.number].writer not in accumulated
        ]
        if not stored:
            continue
        missing = [name for name in group.tensors if name not in offsets]
        if missing:
            raise ContractError(f"{missing[0]!r} has no place")
        origins = {offsets[name] - position for name, position in group.tensors.items()}
        if len(origins) > 1:
            raise ContractError(f"{next(iter(group.tensors))!r} and its views lie apart")


def _handovers(
    sharing: Sharing, offsets: Mapping[str, int], accumulated: set[int]
) -> set[tuple[int, int]]:
    """Return pairs of writings of which the second may take the first one's bytes."""
    options = find_overwritings(sharing)
    options += [a.overwriting for a in find_accumulatings(sharing) if a.producer in accumulated]
    pairs: set[tuple[int, int]] = set()
    for option in options:
        if offsets.get(option.source) != offsets.get(option.result, -1):
            continue
        result = sharing.tensors[option.result]
        written = sharing.positions.stretches_of(option.result, tensor_bytes(result))
        pairs |= {(old, new.number) for old in option.stretches for new in written}
    return pairs


def _moved(sharing: Sharing, offsets: Mapping[str, int]) -> set[tuple[int, int]]:
    """Return pairs of writings of which a concatenation moves the first into the second's place.

    All of them may meet, since there is an order in which none is lost.
    """
    pairs: set[tuple[int, int]] = set()
    for operator in sharing.releasing:
        node = sharing.order[operator]
        if order_of_moves(moves_of(node, offsets)) is None:
            raise ContractError(f"the parts of {node.outputs[0].name!r} cannot be moved one by one")
        read = (n for n, writing in enumerate(sharing.writings) if operator in writing.readers)
        written = [n for n, writing in enumerate(sharing.writings) if writing.writer == operator]
        pairs |= {(old, new) for old in read for new in written}
    return pairs


def _name(sharing: Sharing, owned: _Owned) -> str:
    return sharing.writings[owned.number].tensor
