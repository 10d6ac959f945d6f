"""The choice of what stays on the chip, against trying everything."""

from dataclasses import dataclass
from itertools import chain, combinations, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from condense_compiler.memory.buffers import Buffer, Verdict
from condense_compiler.memory.planner import plan
from condense_compiler.targets.accelerator.codegen import residency
from condense_compiler.targets.accelerator.codegen.chip import ALIGNMENT_BYTES, Chip
from condense_compiler.targets.accelerator.codegen.residency import (
    Candidate,
    Choice,
    Conflict,
    Found,
    Option,
    Problem,
    cheapest,
)

Options = dict[tuple[int, frozenset[int]], list[Option]]


@dataclass(frozen=True)
class Drawn:
    """A problem with few maps, small enough to try everything."""

    problem: Problem
    options: Options


@st.composite
def problems(draw: st.DrawFn) -> Drawn:
    steps = draw(st.integers(1, 5))
    maps = []
    for _ in range(draw(st.integers(1, 5))):
        lower = draw(st.integers(0, steps - 1))
        upper = draw(st.integers(lower + 1, steps))
        size, cost = draw(st.integers(1, 6)) * ALIGNMENT_BYTES, draw(st.integers(0, 3))
        maps.append(Candidate(lower, upper, size, cost))
    own = [
        frozenset(i for i, m in enumerate(maps) if m.lower <= s < m.upper and draw(st.booleans()))
        for s in range(steps)
    ]
    capacity = draw(st.integers(2, 14)) * ALIGNMENT_BYTES
    options: Options = {}
    for step, mine in enumerate(own):
        for resident in subsets(mine):
            options[step, resident] = draw(ways(capacity, len(mine) - len(resident)))
    overwriting = {}
    for source, result in product(range(len(maps)), repeat=2):
        step = maps[source].upper - 1
        same = maps[source].size_bytes == maps[result].size_bytes
        if same and maps[result].lower == step > maps[source].lower and draw(st.booleans()):
            overwriting[step] = (source, result)
    problem = Problem(
        maps, own, lambda step, on_chip: options[step, on_chip], capacity, overwriting
    )
    return Drawn(problem, options)


@st.composite
def ways(draw: st.DrawFn, capacity: int, away: int) -> list[Option]:
    """Draw ways to run a step: the cheaper, the more memory; the last one fits in any case."""
    places = st.integers(0, capacity // ALIGNMENT_BYTES)
    sizes = sorted(draw(st.sets(places, min_size=1, max_size=3)), reverse=True)
    first = draw(st.integers(0, 3)) + 2 * away
    return [Option(n, size * ALIGNMENT_BYTES, first + n) for n, size in enumerate(sizes)]


def subsets(numbers: frozenset[int]) -> list[frozenset[int]]:
    every = chain.from_iterable(combinations(sorted(numbers), n) for n in range(len(numbers) + 1))
    return list(map(frozenset, every))


def least_cost(problem: Problem) -> int:
    """Try every set of maps with every way to run every step."""
    costs = []
    for resident in subsets(frozenset(range(len(problem.maps)))):
        lists = [problem.options(step, resident & own) for step, own in enumerate(problem.own)]
        for options in product(*lists):
            cost = sum(o.cost for o in options) + sum(problem.maps[n].cost for n in resident)
            if (not costs or cost < min(costs)) and can_be_placed(problem, resident, options):
                costs.append(cost)
    return min(costs)


def can_be_placed(problem: Problem, resident: frozenset[int], options: tuple[Option, ...]) -> bool:
    chains: list[list[int]] = [[number] for number in sorted(resident)]
    for source, result in problem.overwriting.values():
        if {source, result} <= resident:
            one, other = (next(c for c in chains if n in c) for n in (source, result))
            chains = [c for c in chains if c not in (one, other)] + [one + other]
    buffers = [
        Buffer(
            f"m{chain[0]}",
            min(problem.maps[n].lower for n in chain),
            max(problem.maps[n].upper for n in chain),
            problem.maps[chain[0]].size_bytes,
            ALIGNMENT_BYTES,
        )
        for chain in chains
    ]
    buffers += [
        Buffer(f"s{s}", s, s + 1, o.staging_bytes, ALIGNMENT_BYTES)
        for s, o in enumerate(options)
        if o.staging_bytes
    ]
    verdict = plan(buffers, capacity=problem.capacity_bytes).verdict(problem.capacity_bytes)
    assert verdict is not Verdict.NOT_FOUND
    return verdict is Verdict.FITS


def choose(problem: Problem) -> Found:
    chip = Chip(problem)
    found = cheapest(problem, chip.conflict)
    assert found is not None
    return found


@settings(max_examples=300, deadline=None)
@given(problems())
def test_nothing_that_can_be_placed_costs_less(drawn: Drawn) -> None:
    problem = drawn.problem
    found = choose(problem)
    choice = found.choice
    assert found.optimal
    assert can_be_placed(problem, choice.resident, choice.options)
    assert choice.cost == least_cost(problem)
    for step, (option, own) in enumerate(zip(choice.options, problem.own, strict=True)):
        assert option in problem.options(step, choice.resident & own)


# Lives and sizes of maps whose load is six everywhere, and which have no places in six.
FRAGMENTED = (
    *((2, 5, 2), (4, 5, 4), (1, 2, 3), (0, 3, 2)),
    *((0, 1, 4), (1, 4, 1), (3, 4, 3)),
)


def fragmented() -> Problem:
    """Return a problem in which every map costs its size if it is not on the chip."""
    maps = [Candidate(lower, upper, ALIGNMENT_BYTES * size) for lower, upper, size in FRAGMENTED]
    own = [frozenset(n for n, m in enumerate(maps) if m.lower == step) for step in range(5)]

    def options(step: int, on_chip: frozenset[int]) -> list[Option]:
        return [Option(0, 0, sum(maps[n].size_bytes for n in own[step] - on_chip))]

    return Problem(maps, own, options, 6 * ALIGNMENT_BYTES)


def test_sizes_that_fit_but_have_no_places_are_passed_over() -> None:
    problem = fragmented()
    free = cheapest(problem, lambda _: None)
    assert free is not None
    assert free.choice.cost == 0
    placed = choose(problem)
    assert placed.optimal
    assert placed.choice.cost == least_cost(problem) > 0


def test_conflicts_are_as_short_as_they_can_be() -> None:
    unit = ALIGNMENT_BYTES
    maps = [Candidate(0, 9, unit), Candidate(3, 5, 2 * unit), Candidate(4, 8, 2 * unit)]
    options = tuple(Option(0, 0, 0) for _ in range(9))
    chip = Chip(Problem(maps, [frozenset()] * 9, lambda *_: [], 4 * unit))
    assert chip.conflict(Choice(frozenset({0, 1, 2}), options, 0)) == Conflict(
        4, 5, frozenset({0, 1, 2}), (0,), proved=True
    )
    assert chip.conflict(Choice(frozenset({0, 1}), options, 0)) is None


def test_without_a_proof_nothing_is_called_optimal() -> None:
    problem = fragmented()
    seen: list[Choice] = []

    def placing(choice: Choice) -> Conflict | None:
        """Find no place for the first choice, and prove nothing."""
        seen.append(choice)
        if len(seen) > 1:
            return None
        staging = tuple(option.staging_bytes for option in choice.options)
        return Conflict(0, len(staging), choice.resident, staging, proved=False)

    found = cheapest(problem, placing)
    assert found is not None
    assert not found.optimal
    assert found.choice == seen[-1]
    assert seen[0].resident != seen[1].resident


@pytest.mark.parametrize(
    ("module", "name"), [(residency.states, "MOST_STATES"), (residency.search, "MOST_EXPANSIONS")]
)
def test_spent_effort_leaves_a_choice_that_can_be_placed(
    monkeypatch: pytest.MonkeyPatch, module: object, name: str
) -> None:
    monkeypatch.setattr(module, name, 1)
    unit = ALIGNMENT_BYTES
    maps = [Candidate(n, 12, (n % 3 + 1) * unit) for n in range(11)]
    own = [frozenset(n for n, m in enumerate(maps) if m.lower <= s) for s in range(12)]
    problem = Problem(
        maps,
        own,
        lambda step, on_chip: [Option(0, 0, 3 * (len(own[step]) - len(on_chip)))],
        6 * unit,
    )
    found = choose(problem)
    assert can_be_placed(problem, found.choice.resident, found.choice.options)
    assert found == choose(problem)
    assert not found.optimal


def test_where_nothing_fits_there_is_no_choice() -> None:
    maps = [Candidate(0, 1, 4 * ALIGNMENT_BYTES)]
    away = [Option(0, 3 * ALIGNMENT_BYTES, 1)]
    problem = Problem(
        maps,
        [frozenset({0})],
        lambda _, on_chip: [Option(0, 0, 0)] if on_chip else away,
        2 * ALIGNMENT_BYTES,
    )
    assert cheapest(problem, Chip(problem).conflict) is None


def test_a_result_takes_the_place_of_what_ends() -> None:
    """Three maps in a row that replace each other need the memory of one."""
    unit = ALIGNMENT_BYTES
    maps = [Candidate(n, n + 2, unit) for n in range(3)]
    own = [frozenset({0}), frozenset({0, 1}), frozenset({1, 2}), frozenset({2})]

    def options(step: int, on_chip: frozenset[int]) -> list[Option]:
        return [Option(0, 0, len(own[step]) - len(on_chip))]

    apart = Problem(maps, own, options, unit)
    together = Problem(maps, own, options, unit, {1: (0, 1), 2: (1, 2)})
    assert choose(apart).choice.cost > 0
    choice = choose(together).choice
    assert (choice.cost, choice.resident) == (0, frozenset({0, 1, 2}))
    chip = Chip(together)
    assert set(chip.places(choice, chip.plan(choice)).values()) == {0}
