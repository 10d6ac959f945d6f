"""Memory that tensors share: parts come and go, their positions to each other are fixed."""

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from condense_compiler import _native
from condense_compiler.memory.buffers import Buffer, Ending, Plan
from condense_compiler.memory.planner import plan
from condense_compiler.memory.validation import validate


@dataclass(frozen=True, slots=True, order=True)
class Part:
    """Bytes `[bottom, top)` of a storage, needed over the steps `[lower, upper)`."""

    lower: int
    upper: int
    bottom: int
    top: int


@dataclass(frozen=True, slots=True)
class Storage:
    """Memory of tensors that lie in, around or in the place of each other.

    Attributes:
        id: Name of the tensor that the others gather around.
        parts: What is needed when; parts do not overlap. The lowest starts at byte 0.
        alignment: The offset of the storage is a multiple of this many bytes.
    """

    id: str
    parts: tuple[Part, ...]
    alignment: int = 1

    @property
    def is_buffer(self) -> bool:
        """Whether it is one part from its start."""
        return len(self.parts) == 1

    def hull(self) -> Buffer:
        """Return the buffer that surrounds all parts."""
        return Buffer(
            self.id,
            lower=min(part.lower for part in self.parts),
            upper=max(part.upper for part in self.parts),
            size=max(part.top for part in self.parts),
            alignment=self.alignment,
        )


def disjoint_parts(rectangles: Iterable[Part]) -> tuple[Part, ...]:
    """Return parts that cover what the rectangles cover, without overlap."""
    beginning: dict[int, list[Part]] = {}
    ending: dict[int, list[Part]] = {}
    for part in rectangles:
        beginning.setdefault(part.lower, []).append(part)
        ending.setdefault(part.upper, []).append(part)
    alive: Counter[Part] = Counter()
    open_since: dict[tuple[int, int], int] = {}
    parts: list[Part] = []
    for step in sorted(beginning.keys() | ending.keys()):
        alive.update(beginning.get(step, ()))
        alive -= Counter(ending.get(step, ()))
        needed = set(_merged((part.bottom, part.top) for part in alive))
        ended = open_since.keys() - needed
        parts += [Part(open_since.pop(span), step, *span) for span in ended]
        for span in needed - open_since.keys():
            open_since[span] = step
    return tuple(sorted(parts))


def _merged(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for bottom, top in sorted(spans):
        if merged and bottom <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], top))
        else:
            merged.append((bottom, top))
    return merged


# Plans that are tried for each storage: at first, and where that is not enough.
QUICK, THOROUGH = 4, 200


def plan_storages(
    storages: Sequence[Storage], *, tries: int = THOROUGH, seconds: float | None = None
) -> Plan:
    """Place storages in the smallest arena that can be found.

    Args:
        storages: What to place.
        tries: Plans to try for each storage; the answer depends on nothing else.
        seconds: Search until the question is answered, but no longer than this.

    Returns:
        Offsets by storage id, checked by the validator.
    """
    # Around every storage its hull: a plan for the hulls is one for the storages, and the
    # planner for plain buffers is exact.
    hulls = plan([storage.hull() for storage in storages], seconds=seconds)
    if all(storage.is_buffer for storage in storages):
        return hulls
    shaped = _plan_shapes(storages, tries, seconds)
    best = min(shaped, hulls, key=lambda candidate: candidate.arena_bytes)
    bound = shaped.lower_bound_bytes
    ending = Ending.PROVED if best.arena_bytes == bound else shaped.ending
    result = Plan(best.offsets, best.arena_bytes, bound, best.arena_bytes == bound, ending)
    validate_storages(storages, result)
    return result


def _plan_shapes(storages: Sequence[Storage], tries: int, seconds: float | None) -> Plan:
    offsets, arena_bytes, bound, ending = _native.plan_shapes(
        [[(p.lower, p.upper, p.bottom, p.top) for p in storage.parts] for storage in storages],
        [storage.alignment for storage in storages],
        tries,
        seconds=seconds,
    )
    names = [storage.id for storage in storages]
    placed = dict(zip(names, offsets, strict=True))
    return Plan(placed, arena_bytes, bound, arena_bytes == bound, Ending(ending))


def largest_load(storages: Iterable[Storage]) -> int:
    """Return the most bytes alive at one step: no arena can be smaller."""
    changes: dict[int, int] = {}
    for part in (part for storage in storages for part in storage.parts):
        changes[part.lower] = changes.get(part.lower, 0) + part.top - part.bottom
        changes[part.upper] = changes.get(part.upper, 0) - (part.top - part.bottom)
    return max(itertools.accumulate(changes[step] for step in sorted(changes)), default=0)


def part_buffers(storages: Iterable[Storage]) -> list[Buffer]:
    """Return the parts as buffers: `id`, or `id#1`, `id#2`, ... where there are several."""
    return [
        Buffer(
            storage.id if storage.is_buffer else f"{storage.id}#{number}",
            lower=part.lower,
            upper=part.upper,
            size=part.top - part.bottom,
        )
        for storage in storages
        for number, part in enumerate(storage.parts, start=1)
    ]


def part_plan(storages: Iterable[Storage], placed: Plan) -> Plan:
    """Return a plan of storages as one of the buffers that `part_buffers` returns."""
    known = list(storages)
    bottoms = [placed.offsets[s.id] + part.bottom for s in known for part in s.parts]
    names = [buffer.id for buffer in part_buffers(known)]
    return Plan(
        dict(zip(names, bottoms, strict=True)),
        placed.arena_bytes,
        placed.lower_bound_bytes,
        placed.optimal,
        placed.ending,
    )


def validate_storages(storages: Sequence[Storage], placed: Plan) -> None:
    """Check that no two parts share memory, and that offsets are aligned.

    Raises:
        ContractError: The plan is wrong.
    """
    validate(part_buffers(storages), part_plan(storages, placed))
    starts = [Buffer(s.id, 0, 1, 0, s.alignment) for s in storages]
    validate(starts, placed)
