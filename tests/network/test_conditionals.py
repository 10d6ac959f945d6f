"""Conditionals whose branch is known are replaced by it."""

from collections.abc import Sequence

import numpy as np
import onnx
import pytest
from kit.agreement import CHANNELS, agree, branch, convolved, integer, operators
from kit.small_models import constant, node, value
from onnx import TensorProto

from condense_compiler.errors import UnsupportedError
from condense_compiler.network import load_network

YES_NO = [constant("yes", True, np.bool_), constant("no", False, np.bool_), integer("one", 1)]


def choose(
    condition: str,
    then: onnx.GraphProto,
    other: onnx.GraphProto,
    results: Sequence[str] = ("r",),
) -> onnx.NodeProto:
    return node("If", [condition], list(results), then_branch=then, else_branch=other)


def copy(result: str = "o", source: str = "c") -> onnx.GraphProto:
    return branch([node("Identity", [source], [result])], [result])


def relu(result: str = "o", source: str = "c") -> onnx.GraphProto:
    return branch([node("Relu", [source], [result])], [result])


BRANCHES = {
    "copy or copy": (copy(), copy()),
    "copy or copy of another name": (copy("a"), copy("b")),
    "copy or relu": (copy(), relu()),
    "relu or relu": (relu(), relu()),
    "input or map": (
        branch([node("Conv", ["x", "w"], ["p"], pads=[1] * 4)], ["p"]),
        copy(),
    ),
    "constant or map": (
        branch([], ["k"], [constant("k", np.ones((1, CHANNELS, 1, 1)))]),
        relu("k2"),
    ),
}
BEHIND = [[], [node("Neg", ["r"], ["y"])], [node("Add", ["r", "c"], ["y"])]]


@pytest.mark.parametrize("condition", ["yes", "no"])
@pytest.mark.parametrize("behind", range(len(BEHIND)))
@pytest.mark.parametrize("kind", BRANCHES)
def test_known_branch(kind: str, behind: int, condition: str) -> None:
    nodes = BEHIND[behind]
    chosen = choose(condition, *BRANCHES[kind], results=["r" if nodes else "y"])
    agree(convolved([chosen, *nodes], ["y"], YES_NO))


def test_conditionals_inside_each_other() -> None:
    inner = branch(
        [node("Not", ["yes"], ["never"]), choose("never", relu("i"), copy("i"), ["o"])], ["o"]
    )
    agree(convolved([choose("yes", inner, relu()), node("Neg", ["r"], ["y"])], ["y"], YES_NO))


def test_conditionals_behind_each_other_with_the_same_names() -> None:
    nodes = [
        choose("yes", copy(), relu()),
        choose("no", copy(source="r"), relu(source="r"), ["r2"]),
        choose("yes", copy(source="r2"), relu(source="r2"), ["y"]),
    ]
    agree(convolved(nodes, ["y"], YES_NO))


def test_results_of_which_some_are_read() -> None:
    two = branch([node("Identity", ["c"], ["o"]), node("Neg", ["c"], ["p"])], ["o", "p"])
    other = branch([node("Abs", ["c"], ["o"]), node("Relu", ["c"], ["p"])], ["o", "p"])
    chosen = choose("no", two, other, ["unread", "r"])
    agree(convolved([chosen, node("Neg", ["r"], ["y"])], ["y"], YES_NO))


def test_a_branch_that_is_not_taken_may_hold_anything() -> None:
    other = branch(
        [node("NonZero", ["c"], ["n"]), node("Cast", ["n"], ["o"], to=TensorProto.FLOAT)], ["o"]
    )
    source = convolved([choose("yes", relu(), other), node("Neg", ["r"], ["y"])], ["y"], YES_NO)
    for compilation in agree(source):
        assert operators(compilation) == ["Conv", "Relu", "Neg"]


def test_an_unknown_branch_is_refused_with_the_input_to_fix() -> None:
    nodes = [node("Not", ["training"], ["t"]), choose("t", copy(), relu(), ["y"])]
    source = convolved(nodes, ["y"], inputs=[value("training", [], TensorProto.BOOL)])
    with pytest.raises(UnsupportedError, match=r"run time; fix .*: --set training=VALUE$"):
        load_network(source)
