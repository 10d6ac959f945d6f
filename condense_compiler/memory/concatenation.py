"""Which parts of a concatenation can be produced inside it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from condense_compiler.memory.positions import Group, Positions, Stretch


@dataclass(frozen=True, slots=True)
class Slot:
    """Where a part belongs in a concatenation.

    Attributes:
        part: Name of the tensor; None for a constant.
        start: First byte, from the start of the concatenation.
        size: Bytes.
        apart: It is to be copied.
    """

    part: str | None
    start: int
    size: int
    apart: bool = False


CONSTANT = "it is a constant"
CHOSEN = "the arena is smaller that way"
ELSEWHERE = "it is needed at another place of the same memory"
NO_ROOM = "what it is a part of has no room in the concatenation"


COPIED = -1  # stands for what the concatenation writes itself

Collide = Callable[[Stretch, Stretch], bool]


def refuse_parts(positions: Positions, slots: Sequence[Slot], collide: Collide) -> list[str | None]:
    """Say for each part why it cannot lie in its slot; None where it can.

    A part brings along everything whose position to it is fixed. Nothing of that may collide with
    what lies in the slot of another part, unless it is that part.

    Args:
        positions: Where tensors lie relative to each other.
        slots: Where the parts belong.
        collide: Tells whether two stretches have a byte in common that both might need at once.
    """
    reasons: list[str | None] = [None] * len(slots)
    moved: dict[int, tuple[Group, int]] = {}
    # Parts that bring nothing along come first: they are never in the way.
    for index in sorted(range(len(slots)), key=lambda i: _brings_along(positions, slots[i])):
        reasons[index] = _settle(positions, slots[index], moved, collide)
    while (group := _in_the_way(slots, reasons, moved, collide)) is not None:
        del moved[id(group)]
        for index, slot in enumerate(slots):
            if slot.part is not None and positions.group_of(slot.part) is group:
                reasons[index] = reasons[index] or NO_ROOM
    return reasons


def _brings_along(positions: Positions, slot: Slot) -> bool:
    """Tell whether the part belongs to something that reaches beyond it."""
    if slot.part is None:
        return False
    group = positions.group_of(slot.part)
    bottom = group.tensors[slot.part]
    return any(s.bottom < bottom or s.top > bottom + slot.size for s in group.stretches)


def _settle(
    positions: Positions, slot: Slot, moved: dict[int, tuple[Group, int]], collide: Collide
) -> str | None:
    """Move a part's group so that it lies in its slot, if that is possible so far."""
    if slot.part is None:
        return CONSTANT
    if slot.apart:
        return CHOSEN
    group = positions.group_of(slot.part)
    distance = slot.start - group.tensors[slot.part]
    if id(group) in moved:
        return None if moved[id(group)][1] == distance else ELSEWHERE
    if any(collide(a, b) for a in _shifted(group, distance) for b in _all_shifted(moved)):
        return NO_ROOM
    moved[id(group)] = group, distance
    return None


def _in_the_way(
    slots: Sequence[Slot],
    reasons: Sequence[str | None],
    moved: dict[int, tuple[Group, int]],
    collide: Collide,
) -> Group | None:
    """Return a group that reaches into a slot which has to be copied into."""
    for slot, reason in zip(slots, reasons, strict=True):
        if reason is None:
            continue
        needed = Stretch(COPIED, slot.start, slot.start + slot.size)
        for group, distance in moved.values():
            if any(collide(stretch, needed) for stretch in _shifted(group, distance)):
                return group
    return None


def _shifted(group: Group, distance: int) -> list[Stretch]:
    return [stretch.shifted(distance) for stretch in group.stretches]


def _all_shifted(moved: dict[int, tuple[Group, int]]) -> list[Stretch]:
    return [stretch for group, distance in moved.values() for stretch in _shifted(group, distance)]
