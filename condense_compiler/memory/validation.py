"""The check that every plan passes before anyone sees it: simple, and independent of the planner.

It walks through time and keeps the buffers that are alive sorted by offset. A buffer that enters
must leave its two neighbours alone; then it leaves all others alone too. That takes n·log n time.
"""

from bisect import bisect_left, insort
from collections.abc import Sequence

from condense_compiler.errors import ContractError
from condense_compiler.memory.buffers import Buffer, Plan

_BLOCK = 512
"""Sorted blocks are cut in two at twice this length: moving so few entries costs nothing."""


def validate(buffers: Sequence[Buffer], plan: Plan) -> None:
    """Check that a plan places every buffer, where it is allowed to lie, and never on another.

    Args:
        buffers: What was to be placed.
        plan: Where it was placed.

    Raises:
        ContractError: The plan is wrong; the message names the buffers.
    """
    if len(plan.offsets) != len(buffers):
        raise ContractError(f"plan has {len(plan.offsets)} offsets for {len(buffers)} buffers")
    for buffer in buffers:
        _check_place(buffer, plan)
    if plan.lower_bound_bytes > plan.arena_bytes:
        raise ContractError(
            f"lower bound {plan.lower_bound_bytes} exceeds the arena of {plan.arena_bytes} bytes"
        )
    if plan.optimal and plan.lower_bound_bytes != plan.arena_bytes:
        raise ContractError(
            f"arena of {plan.arena_bytes} bytes is called optimal, but only "
            f"{plan.lower_bound_bytes} bytes are proved"
        )
    _check_collisions(buffers, plan)


def _check_place(buffer: Buffer, plan: Plan) -> None:
    offset = plan.offsets.get(buffer.id)
    if offset is None:
        raise ContractError(f"buffer {buffer.id!r} has no offset")
    if offset < 0 or offset + buffer.size > plan.arena_bytes:
        raise ContractError(
            f"buffer {buffer.id!r} of {buffer.size} bytes at offset {offset} "
            f"leaves the arena of {plan.arena_bytes} bytes"
        )
    if offset % buffer.alignment:
        raise ContractError(
            f"buffer {buffer.id!r} at offset {offset} is not aligned to {buffer.alignment} bytes"
        )
    if buffer.pinned is not None and offset != buffer.pinned:
        raise ContractError(
            f"buffer {buffer.id!r} is pinned to offset {buffer.pinned}, but placed at {offset}"
        )


def _check_collisions(buffers: Sequence[Buffer], plan: Plan) -> None:
    starts: list[tuple[int, int]] = []
    ends: list[tuple[int, int]] = []
    for number, buffer in enumerate(buffers):
        if buffer.size > 0:
            for lower, upper in buffer.active():
                starts.append((lower, number))
                ends.append((upper, number))
    starts.sort()
    ends.sort()
    places = [plan.offsets[buffer.id] for buffer in buffers]
    alive = _Alive()
    ended = 0
    for step, number in starts:
        while ends[ended][0] <= step:
            leaving = ends[ended][1]
            alive.remove((places[leaving], leaving))
            ended += 1
        below, above = alive.insert((places[number], number))
        if below is not None and places[below] + buffers[below].size > places[number]:
            raise _collision(buffers, plan, below, number)
        if above is not None and places[number] + buffers[number].size > places[above]:
            raise _collision(buffers, plan, number, above)


def _collision(buffers: Sequence[Buffer], plan: Plan, first: int, second: int) -> ContractError:
    texts = [
        f"{buffer.id!r} (bytes {plan.offsets[buffer.id]} to "
        f"{plan.offsets[buffer.id] + buffer.size}, steps {buffer.lower} to {buffer.upper})"
        for buffer in (buffers[first], buffers[second])
    ]
    return ContractError(f"buffers {texts[0]} and {texts[1]} share memory")


class _Alive:
    """Pairs of offset and buffer number, sorted, in blocks short enough to insert into."""

    def __init__(self) -> None:
        self._blocks: list[list[tuple[int, int]]] = []
        self._last: list[tuple[int, int]] = []  # the greatest entry of each block

    def insert(self, entry: tuple[int, int]) -> tuple[int | None, int | None]:
        """Add an entry; return the numbers of its neighbours below and above."""
        if not self._blocks:
            self._blocks.append([entry])
            self._last.append(entry)
            return None, None
        index = min(bisect_left(self._last, entry), len(self._blocks) - 1)
        block = self._blocks[index]
        insort(block, entry)
        position = bisect_left(block, entry)
        below = above = None
        if position > 0:
            below = block[position - 1][1]
        elif index > 0:
            below = self._last[index - 1][1]
        if position + 1 < len(block):
            above = block[position + 1][1]
        elif index + 1 < len(self._blocks):
            above = self._blocks[index + 1][0][1]
        self._last[index] = block[-1]
        if len(block) > 2 * _BLOCK:
            self._blocks.insert(index + 1, block[_BLOCK:])
            del block[_BLOCK:]
            self._last.insert(index, block[-1])
        return below, above

    def remove(self, entry: tuple[int, int]) -> None:
        """Take an entry out."""
        index = bisect_left(self._last, entry)
        block = self._blocks[index]
        del block[bisect_left(block, entry)]
        if block:
            self._last[index] = block[-1]
        else:
            del self._blocks[index], self._last[index]
