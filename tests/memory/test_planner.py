import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kit.interrupting import interrupted_once

from condense_compiler.errors import InputError
from condense_compiler.memory.buffers import Buffer, Ending, Verdict
from condense_compiler.memory.planner import plan
from condense_compiler.memory.validation import validate

PINNED = Buffer("in", 0, 4, 64, alignment=32, pinned=32)


def puzzle(count: int, seed: int) -> list[Buffer]:
    """Return buffers cut from one full rectangle: to put them together again is hard."""
    generator = random.Random(seed)  # noqa: S311 - problems, not secrets
    pieces = [(0, 200, 0, 1024)]
    while len(pieces) < count:
        index = max(
            generator.sample(range(len(pieces)), min(len(pieces), 4)),
            key=lambda i: (pieces[i][1] - pieces[i][0]) * (pieces[i][3] - pieces[i][2]),
        )
        lower, upper, bottom, top = pieces.pop(index)
        if generator.random() < 0.5 and upper - lower > 1:
            cut = generator.randint(lower + 1, upper - 1)
            pieces += [(lower, cut, bottom, top), (cut, upper, bottom, top)]
        elif top - bottom > 1:
            cut = generator.randint(bottom + 1, top - 1)
            pieces += [(lower, upper, bottom, cut), (lower, upper, cut, top)]
        else:
            pieces.append((lower, upper, bottom, top))
    generator.shuffle(pieces)
    return [
        Buffer(str(index), lower, upper, 1024 * (top - bottom))
        for index, (lower, upper, bottom, top) in enumerate(pieces)
    ]


HARD = puzzle(500, 1)
FOR_EVER = 1e6  # seconds


def test_nothing() -> None:
    result = plan([])
    assert (result.offsets, result.arena_bytes, result.optimal) == ({}, 0, True)


def test_buffers_that_do_not_meet_share_memory() -> None:
    result = plan([Buffer("a", 0, 2, 100), Buffer("b", 2, 4, 80)])
    assert result.offsets == {"a": 0, "b": 0}
    assert (result.arena_bytes, result.lower_bound_bytes, result.optimal) == (100, 100, True)
    assert result.ending is Ending.PROVED


def test_more_than_the_load_can_be_proved() -> None:
    # The load is 3 bytes, but two buffers need offsets 0 and 4: shown by exhausting all plans.
    buffers = [Buffer("a", 0, 2, 1), Buffer("b", 0, 2, 1, 4), Buffer("c", 0, 2, 1, 4)]
    result = plan(buffers)
    assert (result.arena_bytes, result.lower_bound_bytes, result.optimal) == (5, 5, True)
    assert plan(buffers, capacity=4).verdict(4) is Verdict.DOES_NOT_FIT


def test_pins_alignment_and_gaps_are_respected() -> None:
    lender = Buffer("lender", 0, 10, 96, gaps=((2, 8),))
    guest = Buffer("guest", 3, 7, 96, alignment=64)
    result = plan([PINNED, lender, guest])
    assert result.offsets["in"] == 32
    assert result.offsets["guest"] % 64 == 0
    assert result.arena_bytes < 64 + 96 + 96


@pytest.mark.parametrize(
    ("buffers", "words"),
    [
        ([Buffer("a", 3, 3, 1)], ["'a'", "lower", "upper"]),
        ([Buffer("a", 0, 1, -1)], ["'a'", "size"]),
        ([Buffer("a", 0, 1, 1, alignment=0)], ["'a'", "alignment"]),
        ([Buffer("a", 0, 1, 1, alignment=2, pinned=3)], ["'a'", "pinned", "alignment"]),
        ([Buffer("a", 0, 9, 1, gaps=((5, 4),))], ["'a'", "gaps"]),
        ([Buffer("a", 0, 1, 1), Buffer("a", 2, 3, 1)], ["'a'", "id"]),
        ([Buffer("a", 0, 1, 2**70)], ["'a'", str(2**70), "64 bits"]),
        ([Buffer("a", 0, 1, 2**61)], ["2^60"]),
        ([PINNED, Buffer("b", 3, 4, 1, pinned=40)], ["'in'", "'b'", "pinned"]),
    ],
)
def test_bad_buffers_are_refused_by_name(buffers: list[Buffer], words: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        plan(buffers)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), float("inf")])
def test_bad_seconds_are_refused(seconds: float) -> None:
    with pytest.raises(InputError, match="seconds"):
        plan([Buffer("a", 0, 1, 1)], seconds=seconds)


def test_verdicts_are_told_apart() -> None:
    buffers = [Buffer("a", 0, 2, 100), Buffer("b", 1, 3, 80)]
    assert plan(buffers, capacity=180).verdict(180) is Verdict.FITS
    assert plan(buffers, capacity=179).verdict(179) is Verdict.DOES_NOT_FIT
    assert plan(buffers, capacity=-5).verdict(-5) is Verdict.DOES_NOT_FIT
    assert plan(buffers, capacity=2**80).verdict(2**80) is Verdict.FITS
    capacity = plan(HARD, seconds=0).lower_bound_bytes
    undecided = plan(HARD, capacity=capacity, seconds=0)
    assert undecided.arena_bytes > capacity
    assert undecided.verdict(capacity) is Verdict.NOT_FOUND
    assert undecided.ending is Ending.TIME_LIMIT


def test_the_answer_depends_on_the_buffers_alone() -> None:
    buffers = puzzle(60, 5)
    first = plan(buffers)
    shuffled = random.Random(1).sample(buffers, len(buffers))  # noqa: S311
    assert plan(shuffled).arena_bytes == first.arena_bytes
    assert plan(buffers) == first


def test_more_time_gives_less_memory() -> None:
    hurried = plan(HARD, seconds=0).arena_bytes
    with interrupted_once(lambda arena_bytes: arena_bytes < hurried) as progress:
        assert plan(HARD, seconds=FOR_EVER, progress=progress).arena_bytes < hurried


def test_progress_is_reported() -> None:
    seen: list[int] = []
    result = plan(HARD, seconds=1, progress=seen.append)
    assert seen == sorted(seen, reverse=True)
    assert all(arena >= result.arena_bytes for arena in seen)


def test_an_error_in_progress_stops_the_search() -> None:
    def fail(_: int) -> None:
        raise LookupError("enough")

    with pytest.raises(LookupError, match="enough"):
        plan(HARD, seconds=FOR_EVER, progress=fail)


def test_ctrl_c_returns_the_best_so_far() -> None:
    with interrupted_once(lambda _: True) as progress:
        result = plan(HARD, seconds=FOR_EVER, progress=progress)
    assert result.ending is Ending.INTERRUPTED
    validate(HARD, result)


plain = st.builds(
    lambda lower, length, size, alignment: (lower, lower + length, size, alignment),
    st.integers(0, 12),
    st.integers(1, 6),
    st.integers(0, 40),
    st.sampled_from([1, 4, 16]),
)


@given(st.lists(plain, max_size=9))
@settings(max_examples=200, deadline=None)
def test_every_plan_passes_the_validator(rows: list[tuple[int, int, int, int]]) -> None:
    buffers = [Buffer(str(i), *row) for i, row in enumerate(rows)]
    result = plan(buffers)
    validate(buffers, result)
    assert result.arena_bytes >= result.lower_bound_bytes
