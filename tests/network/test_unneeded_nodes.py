"""Nodes that no output needs are left out before anything looks at them."""

from collections.abc import Sequence

import numpy as np
import onnx
import pytest
from kit.agreement import CHANNELS, TARGETS, agree, convolved, integer, integers, operators
from kit.numerics import assert_close, random_feeds, run_onnxruntime
from kit.small_models import FUNCTION_DOMAIN, graph, node, value
from onnx import TensorProto, helper

import condense_compiler as cc

CUSTOM = "somebody.else"

BODY = graph(
    [node("Identity", ["go"], ["on"]), node("Relu", ["v"], ["v_next"])],
    [value("i", [], TensorProto.INT64), value("go", [], TensorProto.BOOL), value("v", None)],
    [value("on", [], TensorProto.BOOL), value("v_next", None)],
)

UNNEEDED: dict[str, Sequence[onnx.NodeProto]] = {
    "shape of run-time values": [node("NonZero", ["y"], ["dead"])],
    "suppression": [
        node("Reshape", ["y", "rows"], ["boxes"]),
        node("ReduceMax", ["boxes"], ["best"], axes=[2], keepdims=0),
        node("Unsqueeze", ["best", "one"], ["scores"]),
        node("NonMaxSuppression", ["boxes", "scores", "two"], ["dead"]),
    ],
    "loop": [node("Loop", ["two", "", "y"], ["dead"], body=BODY)],
    "sequence": [node("SplitToSequence", ["y"], ["dead"], axis=1)],
    "random": [node("RandomNormalLike", ["y"], ["dead"])],
    "training": [node("Dropout", ["y", "", "yes"], ["dead"])],
}
CONSTANTS = [
    integer("two", 2),
    integers("rows", 1, -1, 4),
    integers("one", 1),
    helper.make_tensor("yes", TensorProto.BOOL, [], [True]),
]
USED = [node("Relu", ["c"], ["y"])]


@pytest.mark.parametrize("kind", UNNEEDED)
def test_what_no_output_needs_is_left_out(kind: str) -> None:
    for compilation in agree(convolved([*USED, *UNNEEDED[kind]], ["y"], CONSTANTS)):
        assert operators(compilation) == ["Conv", "Relu"]


@pytest.mark.parametrize("target", TARGETS)
def test_operators_that_nobody_knows_may_be_left_over(target: str) -> None:
    """ONNX Runtime refuses them even there: the model is verified without them."""
    over = [
        node("NonZero", ["y"], ["n"]),
        node("Unheard", ["n"], ["m"], domain=CUSTOM),
        node("Of", ["m", "two"], [], domain=CUSTOM),
    ]
    source = convolved([*USED, *over], ["y"], CONSTANTS, domains=[CUSTOM])
    compilation = cc.compile(source, target)
    assert compilation.report.verification is not None
    assert compilation.report.verification.passed
    alone = convolved(USED, ["y"])
    feeds = random_feeds(alone)
    assert_close(compilation.run(feeds), run_onnxruntime(alone, feeds))


def test_what_they_are_needed_for_inside_a_branch_stays() -> None:
    """A branch reads tensors from outside without naming them as inputs."""
    kept = node("Neg", ["c"], ["kept"])
    then = helper.make_graph([node("Relu", ["kept"], ["a"])], "then", [], [value("a", None)])
    other = helper.make_graph([node("Abs", ["c"], ["b"])], "else", [], [value("b", None)])
    chosen = node("If", ["yes"], ["y"], then_branch=then, else_branch=other)
    agree(convolved([kept, chosen], ["y"], CONSTANTS))


def test_functions_that_nothing_calls_are_left_out() -> None:
    unheard = helper.make_function(
        FUNCTION_DOMAIN,
        "Unheard",
        ["a"],
        ["b"],
        [node("Of", ["a"], ["b"], domain=CUSTOM)],
        [helper.make_opsetid("", 13), helper.make_opsetid(CUSTOM, 1)],
    )
    over = node("Unheard", ["c"], ["dead"], domain=FUNCTION_DOMAIN)
    source = convolved([*USED, over], ["y"], domains=[CUSTOM, FUNCTION_DOMAIN])
    source.functions.append(unheard)
    assert operators(cc.compile(source)) == ["Conv", "Relu"]


def test_an_unread_input_stays_an_input() -> None:
    source = convolved(USED, ["y"], inputs=[value("z", [1, CHANNELS])])
    [compilation, _] = agree(source)
    feeds = random_feeds(source) | {"z": np.zeros((1, CHANNELS), np.float32)}
    assert set(compilation.run(feeds)) == {"y"}
