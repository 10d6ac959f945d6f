"""Cutting a network at any tensor, and fixing inputs."""

from collections.abc import Mapping

import numpy as np
import onnx
import pytest
from kit.agreement import TARGETS, convolved, integer, operators
from kit.detector import OUTPUTS, detector
from kit.numerics import assert_close, random_feeds, run_onnxruntime
from kit.small_models import FLOAT, FUNCTION_DOMAIN, node, value
from onnx import TensorProto, helper

import condense_compiler as cc
from condense_compiler.driver import plan_request
from condense_compiler.network import load_network
from condense_compiler.network.fixed_values import read_value
from condense_compiler.request import Request


def as_run(training: bool) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return feeds, and what ONNX Runtime makes of them at the tensors where it is cut."""
    whole = detector()
    whole.graph.output.extend(value(name, None) for name in OUTPUTS)
    feeds = {"x": np.random.default_rng(4).normal(size=(1, 3, 7, 6)).astype(np.float32)}
    more = {"training": np.array(training), "count": np.array([5])}
    found = run_onnxruntime(whole, feeds | more)
    return feeds, {name: found[name] for name in OUTPUTS}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("target", TARGETS)
def test_a_detector_is_cut_before_its_suppression(target: str, training: bool) -> None:
    compilation = cc.compile(detector(), target, outputs=OUTPUTS, values={"training": training})
    report = compilation.report
    assert report.verification is not None
    assert report.verification.passed
    assert report.request.outputs == tuple(OUTPUTS)
    assert report.request.values == {"training": str(training).lower()}
    feeds, expected = as_run(training)
    assert_close(compilation.run(feeds), expected)
    assert ("Relu" in operators(compilation)) == training


def test_what_is_planned_is_what_is_compiled() -> None:
    asked = {"outputs": OUTPUTS, "values": {"training": True}}
    planned = plan_request(Request.of(detector(), **asked))
    compiled = cc.compile(detector(), **asked)
    assert planned.placement.plan.arena_bytes == compiled.plan.arena_bytes


def test_the_accelerator_quantises_the_part_that_is_asked_for() -> None:
    with pytest.warns(UserWarning, match="no calibration"):
        compilation = cc.compile(
            detector(), "accelerator", outputs=["r"], values={"training": True}
        )
    assert compilation.report.verification is not None
    assert compilation.report.verification.passed
    assert list(compilation.run(as_run(True)[0])) == ["r"]


def test_inputs_of_what_is_cut_off_go_and_unread_ones_stay() -> None:
    source = detector()
    source.graph.input.append(value("unread", [2]))
    network = load_network(source, outputs=["c"], dims={"many": 3})
    assert [tensor.name for tensor in network.graph.inputs] == ["x", "unread"]


@pytest.mark.parametrize("names", [["c"], ["best", "c"], ["x", "c"], ["w", "c"], ["c", "c"]])
def test_any_tensor_may_be_an_output(names: list[str]) -> None:
    network = load_network(detector(), outputs=names, values={"training": 0})
    assert [tensor.name for tensor in network.graph.outputs] == list(dict.fromkeys(names))


def test_a_tensor_in_a_function_may_be_an_output() -> None:
    body = [node("Relu", ["a"], ["inner"]), node("Neg", ["inner"], ["b"])]
    block = helper.make_function(
        FUNCTION_DOMAIN, "Block", ["a"], ["b"], body, [helper.make_opsetid("", 13)]
    )
    call = node("Block", ["c"], ["y"], domain=FUNCTION_DOMAIN, name="call")
    source = convolved([call], ["y"], domains=[FUNCTION_DOMAIN])
    source.functions.append(block)
    inner = next(
        made.output[0]
        for made in onnx.inliner.inline_local_functions(source).graph.node
        if made.op_type == "Relu"
    )
    assert operators(cc.compile(source, outputs=[inner])) == ["Conv", "Relu"]


REFUSED: Mapping[str, tuple[dict[str, object], str]] = {
    "unknown tensor": ({"outputs": ["boxs"]}, "no tensor 'boxs'; did you mean 'boxes'"),
    "no tensor": ({"outputs": []}, "no outputs are asked for"),
    "unknown input": (
        {"values": {"trainin": True}},
        "no input 'trainin'; did you mean 'training'?",
    ),
    "tensor that is no input": ({"values": {"c": 1}}, "no input 'c'"),
    "wrong kind": ({"values": {"training": 2}}, "holds truth values (bool), which 2 is not"),
    "fraction": ({"values": {"count": [1.5]}}, "holds integers (int64), which [1.5] is not"),
    "truth value": ({"values": {"x": True}}, "holds numbers (float), which True is not"),
    "wrong rank": ({"values": {"training": [True]}}, "is one number; the value given has shape"),
    "wrong size": ({"values": {"x": [[1, 2]]}}, "is 1x3x7x6; the value given has shape (1, 2)"),
    "ragged": ({"values": {"count": [[1], [2, 3]]}}, "is not a value"),
    "text": ({"values": {"training": "yes"}}, "'yes' is not a value"),
    "nothing": ({"values": {"training": None}}, "None is not a value"),
    "too large a number": ({"values": {"count": [2**70]}}, "is not a value"),
    "against --dim": (
        {"values": {"count": [1, 2]}, "dims": {"many": 1}},
        "is 1; the value given has shape (2,)",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_asked_for(kind: str) -> None:
    asked, message = REFUSED[kind]
    with pytest.raises(cc.InputError) as caught:
        cc.compile(detector(), **asked)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


LIMITS = [
    (TensorProto.INT8, 128, "does not fit its type int8"),
    (TensorProto.UINT8, -1, "does not fit its type uint8"),
    (TensorProto.FLOAT16, 1e6, "does not fit its type float16"),
    (TensorProto.FLOAT, np.inf, ""),
    (TensorProto.FLOAT16, 0.1, ""),
    (TensorProto.INT8, -128, ""),
]


@pytest.mark.parametrize(("data_type", "number", "message"), LIMITS)
def test_values_have_the_type_of_their_input(data_type: int, number: float, message: str) -> None:
    source = convolved(
        [node("Cast", ["k"], ["f"], to=FLOAT), node("Add", ["c", "f"], ["y"])],
        ["y"],
        inputs=[value("k", [1, 2, 1, 1][:1], data_type)],
    )
    if not message:
        network = load_network(source, values={"k": number})
        assert [tensor.name for tensor in network.graph.inputs] == ["x"]
        return
    with pytest.raises(cc.InputError, match=message):
        load_network(source, values={"k": number})


def test_a_value_gives_a_symbolic_dimension_its_size() -> None:
    source = convolved([node("Mul", ["c", "k"], ["y"])], ["y"], inputs=[value("k", ["n", 1, 1])])
    given = np.arange(8, dtype=np.float32).reshape(8, 1, 1)
    compilation = cc.compile(source, values={"k": given})
    feeds = random_feeds(convolved([], ["c"]))
    assert_close(compilation.run(feeds), run_onnxruntime(source, feeds | {"k": given}))


def test_an_initial_value_of_an_input_is_replaced() -> None:
    source = convolved(
        [node("Gather", ["c", "k"], ["y"], axis=1)],
        ["y"],
        [integer("k", 0)],
        inputs=[value("k", [], TensorProto.INT64)],
    )
    feeds = random_feeds(convolved([], ["c"]))
    found = cc.compile(source, values={"k": 3}).run(feeds)
    assert_close(found, run_onnxruntime(source, feeds | {"k": np.array(3)}))


TEXTS = [
    ("3", 3),
    ("-1.5e3", -1500.0),
    ("true", True),
    ("False", False),
    ("1,2,3", [1, 2, 3]),
    ("[[1, 2], [3, 4]]", [[1, 2], [3, 4]]),
    ("true,False", [True, False]),
    ("-inf", -np.inf),
    ("", []),
]


@pytest.mark.parametrize(("text", "expected"), TEXTS)
def test_values_as_text(text: str, expected: object) -> None:
    found = read_value(text)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize("text", ["maybe", '"1"', "{}", "null", "1 2", "[1", "1;2", "infinite"])
def test_text_that_is_no_value(text: str) -> None:
    with pytest.raises(ValueError, match="is not a value"):
        read_value(text)
