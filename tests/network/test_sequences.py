"""Sequences whose parts are known are plain tensors."""

from collections.abc import Sequence

import numpy as np
import onnx
import pytest
from kit.agreement import CHANNELS, agree, convolved, integer, integers, operators
from kit.small_models import FLOAT, FUNCTION_DOMAIN, constant, node, value
from onnx import helper

from condense_compiler.errors import UnsupportedError
from condense_compiler.network import load_network

CONSTANTS = [
    *(integer(f"i{number}", number) for number in range(5)),
    integer("last", -1),
    integers("sizes", 2, 2, 4),
    integers("halves", 4, 4),
    constant("narrow", 4, np.int32),
]
MAXIMUM = node("Max", ["p", "q"], ["y"])


def at(sequence: str, position: str, result: str) -> onnx.NodeProto:
    return node("SequenceAt", [sequence, position], [result])


def split(*size: str, axis: int = 1, **attributes: int) -> onnx.NodeProto:
    return node("SplitToSequence", ["c", *size], ["s"], axis=axis, **attributes)


PAIRS = {
    "equal size": [split("i4"), at("s", "i0", "p"), at("s", "i1", "q"), MAXIMUM],
    "sizes": [split("halves"), at("s", "i0", "p"), at("s", "i1", "q"), MAXIMUM],
    "narrow integer": [split("narrow"), at("s", "i0", "p"), at("s", "i1", "q"), MAXIMUM],
    "negative axis": [split("i4", axis=-3), at("s", "i0", "p"), at("s", "last", "q"), MAXIMUM],
    "constructed": [
        split("i4"),
        at("s", "i0", "a"),
        at("s", "i1", "b"),
        node("SequenceConstruct", ["b", "a"], ["t"]),
        at("t", "i1", "p"),
        at("t", "i0", "q"),
        MAXIMUM,
    ],
}


PAIRS |= {
    "position found in two steps": [
        split("i4"),
        node("SequenceLength", ["s"], ["n"]),
        node("Sub", ["n", "i1"], ["k"]),
        at("s", "k", "p"),
        at("s", "i0", "q"),
        MAXIMUM,
    ],
    "stacked": [
        split("i4"),
        node("ConcatFromSequence", ["s"], ["t"], axis=1, new_axis=1),
        node("ReduceMax", ["t"], ["y"], axes=[1], keepdims=0),
    ],
    "stacked in front": [
        split("i4"),
        node("ConcatFromSequence", ["s"], ["t"], axis=0, new_axis=1),
        node("ReduceMax", ["t"], ["y"], axes=[0], keepdims=0),
    ],
    "four parts": [
        split("i2"),
        *(at("s", f"i{i}", f"p{i}") for i in range(4)),
        node("Max", ["p0", "p1"], ["m"]),
        node("Max", ["p2", "m", "p3"], ["y"]),
    ],
}


@pytest.mark.parametrize("opset", [11, 13])
@pytest.mark.parametrize("spelling", PAIRS)
def test_max_feature_map_behind_a_sequence_is_fused(spelling: str, opset: int) -> None:
    for compilation in agree(convolved(PAIRS[spelling], ["y"], CONSTANTS, opset=opset)):
        assert operators(compilation) == ["ConvPool"]


def joined(name: str, **attributes: int) -> onnx.NodeProto:
    return node("ConcatFromSequence", [name], ["y"], **attributes)


OTHERS: dict[str, Sequence[onnx.NodeProto]] = {
    "uneven": [split("i3"), at("s", "last", "y")],
    "one by one": [split(), at("s", "i0", "p"), at("s", "i4", "q"), MAXIMUM],
    "without the axis": [split(keepdims=0), at("s", "i0", "p"), at("s", "i4", "q"), MAXIMUM],
    "of one, without the axis": [split("i1", keepdims=0), at("s", "i0", "y")],
    "joined": [split("sizes"), joined("s", axis=1)],
    "joined along another axis": [split("i4"), joined("s", axis=-1)],
    "stacked": [split("i4"), joined("s", axis=1, new_axis=1)],
    "stacked at the end": [split("i4"), joined("s", axis=-1, new_axis=1)],
    "length": [
        split("sizes"),
        node("SequenceLength", ["s"], ["n"]),
        node("Cast", ["n"], ["f"], to=1),
        node("Mul", ["c", "f"], ["y"]),
    ],
    "inserted": [
        node("Relu", ["c"], ["r"]),
        node("SequenceEmpty", [], ["e"]),
        node("SequenceInsert", ["e", "c"], ["one"]),
        node("SequenceInsert", ["one", "r", "i0"], ["two"]),
        joined("two", axis=1),
    ],
    "erased": [split("sizes"), node("SequenceErase", ["s", "i0"], ["t"]), joined("t", axis=1)],
    "erased at the end": [split("sizes"), node("SequenceErase", ["s"], ["t"]), joined("t", axis=1)],
    "of a part": [
        split("i4"),
        at("s", "i0", "p"),
        node("SplitToSequence", ["p", "i2"], ["t"], axis=1),
        at("t", "last", "y"),
    ],
    "computed position": [
        split("i4"),
        node("Sub", ["i3", "i2"], ["k"]),
        at("s", "k", "y"),
    ],
    "unread": [split("i4"), node("Relu", ["c"], ["y"])],
}


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("kind", OTHERS)
def test_sequences_compute_the_same(kind: str, batch: int) -> None:
    agree(convolved(OTHERS[kind], ["y"], CONSTANTS, batch=batch))


def test_weights_in_a_sequence() -> None:
    nodes = [
        node("SplitToSequence", ["f", "i4"], ["s"], axis=0),
        at("s", "last", "g"),
        node("Conv", ["c", "g"], ["y"]),
    ]
    filters = constant("f", np.random.default_rng(0).normal(size=(CHANNELS, CHANNELS, 1, 1)))
    agree(convolved(nodes, ["y"], [*CONSTANTS, filters]))


@pytest.mark.parametrize("condition", [True, False])
def test_sequences_that_a_branch_returns(condition: bool) -> None:
    def made(result: str, size: str) -> onnx.GraphProto:
        parts = node("SplitToSequence", ["c", size], [result], axis=1)
        kind = helper.make_tensor_sequence_value_info(result, FLOAT, None)
        return helper.make_graph([parts], "branch", [], [kind])

    nodes = [
        node("If", ["yes"], ["s"], then_branch=made("a", "i4"), else_branch=made("b", "i2")),
        at("s", "i0", "p"),
        at("s", "i1", "q"),
        MAXIMUM,
    ]
    agree(convolved(nodes, ["y"], [*CONSTANTS, constant("yes", condition, np.bool_)]))


def test_sequences_in_a_function() -> None:
    numbers = {"size": 4, "first": 0, "second": 1}
    stored = [node("Constant", [], [name], value_int=number) for name, number in numbers.items()]
    body = [
        *stored,
        node("SplitToSequence", ["a", "size"], ["s"], axis=1),
        at("s", "first", "p"),
        at("s", "second", "q"),
        node("Max", ["p", "q"], ["b"]),
    ]
    function = helper.make_function(
        FUNCTION_DOMAIN, "Block", ["a"], ["b"], body, [helper.make_opsetid("", 13)]
    )
    call = node("Block", ["c"], ["y"], domain=FUNCTION_DOMAIN)
    source = convolved([call], ["y"], domains=[FUNCTION_DOMAIN])
    source.functions.append(function)
    for compilation in agree(source):
        assert operators(compilation) == ["ConvPool"]


def test_a_position_of_run_time_is_refused_with_the_place_to_cut() -> None:
    position = value("k", [], onnx.TensorProto.INT64)
    source = convolved([split("i4"), at("s", "k", "y")], ["y"], CONSTANTS, inputs=[position])
    with pytest.raises(UnsupportedError, match=r"'s'.*is a sequence.*--outputs c$"):
        load_network(source)
