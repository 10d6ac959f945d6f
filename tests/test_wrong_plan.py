"""Two maps on the same bytes: the validator sees it, and the outputs would show it."""

from collections.abc import Iterator, Sequence
from itertools import permutations

import numpy as np
import pytest
from kit.topology_writer import TopologyWriter, build

import condense_compiler as cc
from condense_compiler.errors import ContractError
from condense_compiler.memory.buffers import Buffer, Plan
from condense_compiler.memory.validation import validate
from condense_compiler.program import ScheduledProgram
from condense_compiler.targets.reference import ReferenceTarget
from condense_compiler.verification import random_feeds


def residual(graph: TopologyWriter) -> Sequence[str]:
    """Pooled layers with maps that stay alive while others are written."""
    first = graph.pooled(graph.write("Relu", graph.wide()))
    second = graph.pooled(graph.convolution(first, 4, 8), "reduce_max_strided")
    third = graph.convolution(graph.write("Sigmoid", second), 4, 4)
    return [graph.convolution(graph.write("Mul", first, third), 4, 4), second]


def compiled() -> cc.Compilation:
    return cc.compile(build(residual), verify_outputs=False)


def pairs(compilation: cc.Compilation) -> Iterator[tuple[Buffer, Buffer]]:
    """Yield maps of which the second is written while the first is needed afterwards."""
    for one, other in permutations(compilation.buffers, 2):
        if one.lower < other.lower < one.upper - 1:
            yield one, other


def names() -> list[tuple[str, str]]:
    return [(one.id, other.id) for one, other in pairs(compiled())]


def moved(compilation: cc.Compilation, one: str, other: str) -> dict[str, int]:
    """Return the plan's offsets, but with `other` where `one` lies."""
    return {**compilation.plan.offsets, other: compilation.plan.offsets[one]}


def test_there_are_maps_that_could_collide() -> None:
    assert len(names()) >= 5


@pytest.mark.parametrize(("one", "other"), names())
def test_overlap_is_rejected(one: str, other: str) -> None:
    compilation = compiled()
    plan = compilation.plan
    wrong = Plan(moved(compilation, one, other), 2 * plan.arena_bytes, 0, optimal=False)
    with pytest.raises(ContractError, match="share memory") as error:
        validate(compilation.buffers, wrong)
    assert repr(other) in str(error.value)


@pytest.mark.parametrize(("one", "other"), names())
def test_overlap_that_nobody_checked_changes_the_outputs(one: str, other: str) -> None:
    compilation = compiled()
    program = compilation.program
    feeds = random_feeds(program.network)
    expected = compilation.run(feeds)
    wrong = ScheduledProgram(
        program.network, program.steps, moved(compilation, one, other), 2 * program.arena_bytes
    )
    actual = ReferenceTarget().lower(wrong).run(feeds)
    difference = max(float(np.abs(actual[n] - expected[n]).max()) for n in expected)
    assert difference > 1e-3


def test_the_same_plan_moved_as_a_whole_changes_nothing() -> None:
    compilation = compiled()
    program = compilation.program
    feeds = random_feeds(program.network)
    offsets = {name: offset + 256 for name, offset in program.offsets.items()}
    shifted = ScheduledProgram(program.network, program.steps, offsets, program.arena_bytes + 256)
    actual = ReferenceTarget().lower(shifted).run(feeds)
    for name, values in compilation.run(feeds).items():
        np.testing.assert_array_equal(actual[name], values)
