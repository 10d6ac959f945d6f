import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from kit.interrupting import interrupted_once
from kit.order_problems import (
    arbitrary_problem,
    chain,
    hard_problem,
    least_peak,
    network_problem,
    seeded,
    shuffled,
)

from condense_compiler.errors import ContractError, InputError
from condense_compiler.memory.buffers import Ending
from condense_compiler.memory.scheduler import (
    Accumulation,
    Order,
    OrderProblem,
    Overwrite,
    StoredMap,
    check_order,
    find_order,
)
from condense_compiler.memory.scheduling import Schedule

BLOCKS = range(8)
CASES = 400  # in each block
FOR_EVER = 1e6  # seconds


RESIDUAL = OrderProblem(
    # 0 reads the input; 1 and 2 read what it wrote; 3 adds their results.
    4,
    ((),) * 4,
    (
        StoredMap(8, None, (0,), kept=False),
        StoredMap(8, 0, (1, 2), kept=False),
        StoredMap(8, 1, (3,), kept=False),
        StoredMap(8, 2, (3,), kept=False),
        StoredMap(8, 3, (), kept=True),
    ),
    (Overwrite(3, (2,), 8), Overwrite(3, (3,), 8)),
    (Accumulation(2, 3, (2,), 8),),
)


@pytest.mark.parametrize("make", [arbitrary_problem, network_problem])
@pytest.mark.parametrize("block", BLOCKS)
def test_no_order_is_better(make: Callable[[random.Random], OrderProblem], block: int) -> None:
    for seed in range(block * CASES, (block + 1) * CASES):
        problem = make(seeded(seed))
        order = find_order(problem)
        assert order.optimal, seed
        assert order.peak_bytes == least_peak(problem), seed


@pytest.mark.parametrize("make", [arbitrary_problem, network_problem])
def test_numbering_does_not_change_the_peak(make: Callable[[random.Random], OrderProblem]) -> None:
    for seed in range(300):
        rng = seeded(seed)
        problem = make(rng)
        assert find_order(problem).peak_bytes == find_order(shuffled(problem, rng)).peak_bytes, seed


def test_same_problem_same_order() -> None:
    problem = hard_problem(120)
    assert find_order(problem) == find_order(problem)


def test_accumulation_saves_the_result_of_its_producer() -> None:
    order = find_order(RESIDUAL)
    assert order.steps == ((0,), (1,), (2, 3))
    assert order.peak_bytes == 16
    assert find_order(replace(RESIDUAL, accumulations=())).peak_bytes == 24


def test_independent_parts_run_one_after_the_other() -> None:
    one = chain(1, 10, 1)
    other = [
        replace(
            m,
            writer=None if m.writer is None else m.writer + 2,
            readers=tuple(r + 2 for r in m.readers),
        )
        for m in one.maps
    ]
    problem = OrderProblem(4, ((),) * 4, one.maps + tuple(other))
    interleaved = find_order(problem, 0.0, [0, 2, 1, 3])
    assert find_order(problem, initial=[0, 2, 1, 3]).peak_bytes == 12
    assert interleaved.peak_bytes in {12, 21}


def test_without_operators_the_inputs_are_stored() -> None:
    inputs = (StoredMap(3, None, (), kept=True), StoredMap(4, None, (), kept=False))
    order = find_order(OrderProblem(0, (), inputs))
    assert (order.steps, order.peak_bytes, order.optimal) == ((), 7, True)
    assert find_order(OrderProblem(0, (), ())).peak_bytes == 0


@pytest.mark.parametrize(
    ("bound", "arena_bytes", "proved"), [(7, 7, True), (7, 8, False), (6, 7, False)]
)
def test_only_an_arena_as_small_as_the_best_order_is_proved(
    bound: int, arena_bytes: int, proved: bool
) -> None:
    assert Schedule((), peak_bytes=7, lower_bound_bytes=bound).proves(arena_bytes) is proved


@pytest.mark.parametrize(("size", "peak"), [(40, 51), (50, 51), (60, 61)])
def test_unread_input_is_gone_when_the_first_step_begins(size: int, peak: int) -> None:
    problem = chain(1, 50, 1)
    unread = StoredMap(size, None, (), kept=False)
    assert find_order(replace(problem, maps=(*problem.maps, unread))).peak_bytes == peak


def test_an_operator_that_moves_needs_no_room_for_what_it_takes_away() -> None:
    problem = chain(10, 10, 10)
    assert find_order(problem).peak_bytes == 20
    assert find_order(replace(problem, releasing=(0, 1))).peak_bytes == 10
    with pytest.raises(InputError, match="releasing 1"):
        find_order(replace(problem, releasing=(0, 2)))


def test_best_initial_order_is_kept() -> None:
    problem = OrderProblem(3, ((),) * 3, tuple(StoredMap(1, v, (), kept=True) for v in range(3)))
    assert find_order(problem, initial=[2, 0, 1]).steps == ((2,), (0,), (1,))


def test_large_sizes_are_summed_exactly() -> None:
    order = find_order(chain(2**58, 2**58 + 1, 2**58))
    assert order.peak_bytes == 2**59 + 1


@pytest.mark.parametrize(
    ("problem", "message"),
    [
        (chain(2**60, 1), "2\\^60"),
        (chain(2**62, 2**62), "2\\^60"),
        (chain(2**70, 1), "64 bits"),
        (chain(-1, 1), "not negative"),
        (OrderProblem(2, ((1,), (0,)), ()), "wait for each other"),
        (OrderProblem(1, ((0,),), ()), "wait for each other"),
        (OrderProblem(1, ((),), (StoredMap(1, 0, (0,), kept=False),)), "wait for each other"),
        (OrderProblem(1, ((7,),), ()), "predecessor"),
        (OrderProblem(1, ((-1,),), ()), "numbered from 0"),
        (OrderProblem(2, ((),), ()), "for 2"),
        (OrderProblem(1, ((),), (StoredMap(1, 3, (), kept=False),)), "map 0"),
        (OrderProblem(1, ((),), (StoredMap(1, None, (2,), kept=False),)), "map 0"),
        (replace(chain(1, 1), overwrites=(Overwrite(0, (1,), 1),)), "that it reads"),
        (replace(chain(1, 1), overwrites=(Overwrite(0, (9,), 1),)), "names no map"),
        (replace(chain(1, 1), overwrites=(Overwrite(9, (0,), 1),)), "names no operator"),
        (replace(chain(1, 1), overwrites=(Overwrite(0, (0,), 2),)), "cannot save more"),
        (replace(chain(1, 1), overwrites=(Overwrite(0, (0, 0), 2),)), "cannot save more"),
        (replace(RESIDUAL, accumulations=(Accumulation(2, 2, (2,), 8),)), "two operators"),
        (replace(RESIDUAL, accumulations=(Accumulation(0, 1, (1,), 8),)), "neither read nor write"),
        (replace(RESIDUAL, accumulations=(Accumulation(2, 3, (1,), 8),)), "that it reads"),
        (replace(RESIDUAL, accumulations=(Accumulation(0, 3, (2,), 8),)), "nobody else"),
    ],
)
def test_unusable_problems_are_refused(problem: OrderProblem, message: str) -> None:
    with pytest.raises(InputError, match=message):
        find_order(problem)


@pytest.mark.parametrize("initial", [[0], [0, 0], [1, 0], [0, 1, 2], [0, 5]])
def test_bad_initial_order_is_refused(initial: list[int]) -> None:
    with pytest.raises(InputError, match="initial"):
        find_order(chain(1, 1, 1), initial=initial)


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), float("inf")])
def test_bad_time_limit_is_refused(seconds: float) -> None:
    with pytest.raises(InputError, match="seconds"):
        find_order(chain(1, 1), seconds)


def test_time_limit_returns_the_best_so_far() -> None:
    hurried, longer = (find_order(hard_problem(), seconds) for seconds in (0.0, 0.1))
    assert hurried.ending is longer.ending is Ending.TIME_LIMIT
    assert longer.peak_bytes <= hurried.peak_bytes


def test_progress_goes_down() -> None:
    progress: list[int] = []
    order = find_order(hard_problem(), 0.5, progress=progress.append)
    assert progress == sorted(progress, reverse=True)
    assert all(peak_bytes >= order.peak_bytes for peak_bytes in progress)


def test_interrupt_returns_the_best_so_far() -> None:
    hurried = find_order(hard_problem(), 0.0).peak_bytes
    with interrupted_once(lambda peak_bytes: peak_bytes < hurried) as progress:
        order = find_order(hard_problem(), FOR_EVER, progress=progress)
    assert order.ending is Ending.INTERRUPTED
    assert order.peak_bytes < hurried


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": ((0,), (1,), (2,))}, "every operator once"),
        ({"steps": ((0,), (1,), (3,), (2,))}, "before its predecessor"),
        ({"steps": ((1, 0), (2, 3))}, "before its predecessor"),
        ({"steps": ((0,), (2,), (1, 3))}, "cannot run as one"),
        ({"peak_bytes": 15, "lower_bound_bytes": 15}, "claims a peak"),
        ({"lower_bound_bytes": 17}, "exceeds the peak"),
        ({"lower_bound_bytes": 15}, "called optimal"),
    ],
)
def test_wrong_orders_are_caught(changes: dict[str, object], message: str) -> None:
    order = Order(((0,), (1,), (2, 3)), 16, 16, optimal=True)
    check_order(RESIDUAL, order)
    with pytest.raises(ContractError, match=message):
        check_order(RESIDUAL, replace(order, **changes))  # type: ignore[arg-type]
