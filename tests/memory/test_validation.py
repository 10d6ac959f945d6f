import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from condense_compiler.errors import ContractError
from condense_compiler.memory.buffers import Buffer, Plan
from condense_compiler.memory.validation import validate


def plan_of(offsets: dict[str, int], arena_bytes: int) -> Plan:
    return Plan(offsets, arena_bytes, 0, optimal=False)


A = Buffer("a", 0, 4, 10)
B = Buffer("b", 2, 6, 10)


def test_a_good_plan_passes() -> None:
    validate([A, B], plan_of({"a": 0, "b": 10}, 20))


@pytest.mark.parametrize(
    ("buffers", "plan", "words"),
    [
        ([A, B], plan_of({"a": 0, "b": 9}, 20), ["'a'", "'b'", "share"]),
        ([A, B], plan_of({"a": 3, "b": 3}, 20), ["'a'", "'b'", "share"]),
        ([A, replace(B, size=1)], plan_of({"a": 0, "b": 4}, 20), ["'a'", "'b'", "share"]),
        ([A], plan_of({"a": -1}, 20), ["'a'", "leaves"]),
        ([A], plan_of({"a": 11}, 20), ["'a'", "leaves"]),
        ([A, B], plan_of({"a": 0}, 20), ["1 offsets", "2 buffers"]),
        ([A], plan_of({"b": 0}, 20), ["'a'", "no offset"]),
        ([replace(A, alignment=4)], plan_of({"a": 2}, 20), ["'a'", "aligned"]),
        ([replace(A, pinned=4)], plan_of({"a": 0}, 20), ["'a'", "pinned"]),
        ([A], Plan({"a": 0}, 12, 10, optimal=True), ["optimal", "10"]),
        ([A], Plan({"a": 0}, 12, 13, optimal=False), ["lower bound", "13"]),
    ],
)
def test_a_bad_plan_is_refused(buffers: list[Buffer], plan: Plan, words: list[str]) -> None:
    with pytest.raises(ContractError) as caught:
        validate(buffers, plan)
    for word in words:
        assert word in str(caught.value)


def test_a_buffer_may_lie_in_the_gap_of_another() -> None:
    lender = Buffer("lender", 0, 10, 8, gaps=((3, 6),))
    validate([lender, Buffer("guest", 3, 6, 8)], plan_of({"lender": 0, "guest": 0}, 8))
    with pytest.raises(ContractError, match="share"):
        validate([lender, Buffer("guest", 3, 7, 8)], plan_of({"lender": 0, "guest": 0}, 8))


def test_empty_buffers_collide_with_nothing() -> None:
    validate([A, Buffer("empty", 0, 4, 0)], plan_of({"a": 0, "empty": 5}, 10))


rows = st.tuples(st.integers(0, 8), st.integers(1, 5), st.integers(0, 4), st.integers(0, 12))


@given(st.lists(rows, max_size=8))
@settings(max_examples=500, deadline=None)
def test_it_finds_what_comparing_all_pairs_finds(
    drawn: list[tuple[int, int, int, int]],
) -> None:
    buffers = [Buffer(str(i), lower, lower + n, s) for i, (lower, n, s, _) in enumerate(drawn)]
    offsets = {str(i): offset for i, (_, _, _, offset) in enumerate(drawn)}
    collide = any(
        one.overlaps(other)
        and one.size > 0
        and other.size > 0
        and offsets[one.id] < offsets[other.id] + other.size
        and offsets[other.id] < offsets[one.id] + one.size
        for position, one in enumerate(buffers)
        for other in buffers[:position]
    )
    if collide:
        with pytest.raises(ContractError, match="share"):
            validate(buffers, plan_of(offsets, 100))
    else:
        validate(buffers, plan_of(offsets, 100))


def test_many_buffers_alive_at_once() -> None:
    order = random.Random(0).sample(range(5000), 5000)  # noqa: S311
    buffers = [Buffer(str(i), place % 50, 100 + place % 70, 1) for place, i in enumerate(order)]
    offsets = {str(i): i for i in range(5000)}
    validate(buffers, plan_of(offsets, 5000))
    offsets["17"] = offsets["4000"]
    with pytest.raises(ContractError, match=r"'17'.*'4000'|'4000'.*'17'"):
        validate(buffers, plan_of(offsets, 5000))
