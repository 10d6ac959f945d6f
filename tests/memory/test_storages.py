"""Storages: parts that come and go, placed without meeting each other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from condense_compiler.errors import ContractError
from condense_compiler.memory.buffers import Buffer, Ending, Plan
from condense_compiler.memory.planner import plan
from condense_compiler.memory.storages import (
    Part,
    Storage,
    disjoint_parts,
    largest_load,
    part_buffers,
    part_plan,
    plan_storages,
    validate_storages,
)


@st.composite
def rectangles(draw: st.DrawFn) -> Part:
    lower, bottom = draw(st.integers(0, 6)), draw(st.integers(0, 6))
    return Part(lower, lower + draw(st.integers(1, 4)), bottom, bottom + draw(st.integers(1, 5)))


def cells(parts: tuple[Part, ...] | list[Part]) -> list[tuple[int, int]]:
    return [
        (step, byte)
        for part in parts
        for step in range(part.lower, part.upper)
        for byte in range(part.bottom, part.top)
    ]


@given(st.lists(rectangles(), max_size=6))
def test_disjoint_parts_cover_the_same_bytes_once(known: list[Part]) -> None:
    covered = cells(disjoint_parts(known))
    assert len(covered) == len(set(covered))
    assert set(covered) == set(cells(known))


@st.composite
def storages(draw: st.DrawFn) -> list[Storage]:
    found = []
    for number in range(draw(st.integers(1, 7))):
        parts = disjoint_parts(draw(st.lists(rectangles(), min_size=1, max_size=3)))
        origin = min(part.bottom for part in parts)
        moved = tuple(Part(p.lower, p.upper, p.bottom - origin, p.top - origin) for p in parts)
        found.append(Storage(f"s{number}", moved, draw(st.sampled_from([1, 1, 2, 4]))))
    return found


@given(storages())
def test_placed_parts_never_meet_and_the_load_is_a_lower_bound(known: list[Storage]) -> None:
    placed = plan_storages(known)
    assert placed.lower_bound_bytes >= largest_load(known)
    occupied = [
        (step, placed.offsets[storage.id] + byte)
        for storage in known
        for step, byte in cells(storage.parts)
    ]
    assert len(occupied) == len(set(occupied))
    assert max((byte + 1 for _, byte in occupied), default=0) <= placed.arena_bytes
    assert all(placed.offsets[s.id] % s.alignment == 0 for s in known)


def test_the_unwritten_part_of_a_storage_is_used_by_others() -> None:
    growing = Storage("growing", (Part(0, 2, 0, 10), Part(2, 4, 0, 20)))
    placed = plan_storages([growing, Storage("early", (Part(0, 2, 0, 10),))])
    assert (placed.arena_bytes, placed.optimal) == (20, True)


def test_storages_of_one_part_are_planned_as_buffers() -> None:
    known = [Storage(f"s{i}", (Part(i, i + 2, 0, 3 + i),)) for i in range(5)]
    assert plan_storages(known).arena_bytes == plan([s.hull() for s in known]).arena_bytes


def test_parts_are_named_and_placed_one_by_one() -> None:
    storage = Storage("map", (Part(0, 2, 0, 30), Part(2, 5, 0, 10)))
    placed = Plan({"map": 8}, 38, 30, optimal=False, ending=Ending.EFFORT_SPENT)
    assert part_buffers([storage]) == [Buffer("map#1", 0, 2, 30), Buffer("map#2", 2, 5, 10)]
    assert part_plan([storage], placed).offsets == {"map#1": 8, "map#2": 8}


def test_parts_that_meet_are_refused() -> None:
    known = [Storage("a", (Part(0, 2, 0, 4),)), Storage("b", (Part(1, 3, 0, 4),))]
    with pytest.raises(ContractError, match=r"'a'.*'b'"):
        validate_storages(known, Plan({"a": 0, "b": 3}, 8, 8, optimal=False))


def test_the_load_counts_what_is_alive_at_each_step() -> None:
    known = [Storage("a", (Part(0, 3, 0, 5), Part(3, 4, 0, 2))), Storage("b", (Part(2, 4, 0, 7),))]
    assert largest_load(known) == 12
