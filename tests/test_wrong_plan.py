"""Two maps on the same bytes: the validator sees it, and the outputs would show it."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from kit.topology_writer import TopologyWriter, build

import condense_compiler as cc
from condense_compiler.errors import ContractError
from condense_compiler.memory.placement_check import check_placement
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


def colliding(program: ScheduledProgram) -> list[tuple[str, str]]:
    """Return maps of which the second is written while the first is needed afterwards."""
    last_step = len(program.steps)
    written = {tensor.name: -1 for tensor in program.network.graph.inputs}
    read: dict[str, int] = {}
    for number, step in enumerate(program.steps):
        for node in filter(None, (step.node, step.addition)):
            read |= {tensor.name: number for tensor in node.inputs}
            written |= {tensor.name: number for tensor in node.outputs}
    read |= {tensor.name: last_step for tensor in program.network.graph.outputs}
    maps = [name for name in written if name in program.offsets]
    return [(a, b) for a, b in permutations(maps, 2) if written[a] < written[b] < read[a]]


def names() -> list[tuple[str, str]]:
    return colliding(compiled().program)


def on_top(program: ScheduledProgram, one: str, other: str) -> ScheduledProgram:
    """Return the program, but with one map where another lies."""
    offsets = {**program.offsets, other: program.offsets[one]}
    return replace(program, offsets=offsets, arena_bytes=2 * program.arena_bytes)


def test_there_are_maps_that_could_collide() -> None:
    assert len(names()) >= 5


@pytest.mark.parametrize(("one", "other"), names())
def test_overlap_is_rejected(one: str, other: str) -> None:
    compilation = compiled()
    wrong = on_top(compilation.program, one, other)
    steps = compilation.placement.steps
    with pytest.raises(ContractError, match="is written over") as error:
        check_placement(compilation.sharing, steps, wrong.offsets, wrong.arena_bytes)
    assert repr(one) in str(error.value) or repr(other) in str(error.value)


@pytest.mark.parametrize(("one", "other"), names())
def test_overlap_that_nobody_checked_changes_the_outputs(one: str, other: str) -> None:
    compilation = compiled()
    feeds = random_feeds(compilation.program.network)
    expected = compilation.run(feeds)
    wrong = on_top(compilation.program, one, other)
    actual = ReferenceTarget().lower(wrong).run(feeds)
    assert max(float(np.abs(actual[n] - expected[n]).max()) for n in expected) > 1e-3


def test_the_same_plan_moved_as_a_whole_changes_nothing() -> None:
    compilation = compiled()
    program = compilation.program
    feeds = random_feeds(program.network)
    offsets = {name: offset + 256 for name, offset in program.offsets.items()}
    shifted = replace(program, offsets=offsets, arena_bytes=program.arena_bytes + 256)
    actual = ReferenceTarget().lower(shifted).run(feeds)
    for name, values in compilation.run(feeds).items():
        np.testing.assert_array_equal(actual[name], values)
