"""Results on inputs: every rule that allows it gives what it gives elsewhere."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kit.in_place import both, lower_single, single
from onnx import helper

from condense_compiler.operators.aliasing import OVERWRITABLE, overwritable_inputs
from condense_compiler.operators.elementwise import UNARY
from condense_compiler.operators.standardising import STANDARDISING

# Larger than a block of elements, and not a multiple of anything.
LARGE = (1, 5, 61, 67)

NEWER = {"Gelu": 20, "Mish": 18, "Swish": 24}


def draw(shape, dtype=np.float32, seed=0):
    return np.asarray(np.random.default_rng(seed).uniform(-2, 2, shape), dtype)


def assert_same(graph, feeds, over="x"):
    index = [tensor.name for tensor in graph.nodes[0].inputs].index(over)
    assert index in overwritable_inputs(graph.nodes[0])
    apart, in_place = both(graph, feeds, over)
    np.testing.assert_array_equal(in_place, apart)


@pytest.mark.parametrize("op", UNARY)
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_operators_of_one_tensor(op, dtype):
    graph = single(helper.make_node(op, ["x"], ["y"]), {"x": draw(LARGE, dtype)}, opset=24)
    assert_same(
        graph,
        {"x": np.abs(draw(LARGE, dtype)) if op in ("Log", "Sqrt") else draw(LARGE).astype(dtype)},
    )


@pytest.mark.parametrize(
    "attributes", [{"alpha": -0.5}, {"alpha": 2.0}, {"alpha": 0.1}], ids=["less", "more", "some"]
)
def test_leaky_relu_of_any_slope(attributes):
    feeds = {"x": draw(LARGE)}
    assert_same(single(helper.make_node("LeakyRelu", ["x"], ["y"], **attributes), feeds), feeds)


BINARY = ("Add", "Div", "Max", "Mean", "Min", "Mul", "Pow", "PRelu", "Sub", "Sum")


@pytest.mark.parametrize("op", BINARY)
@pytest.mark.parametrize("over", ["x", "z"])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_operators_of_two_tensors_on_either(op, over, dtype):
    feeds = {"x": np.abs(draw(LARGE, dtype)), "z": draw(LARGE, dtype, seed=1)}
    graph = single(helper.make_node(op, ["x", "z"], ["y"]), feeds)
    assert_same(graph, feeds, over)


@pytest.mark.parametrize("op", ["Max", "Mean", "Min", "Sum"])
@pytest.mark.parametrize("over", ["x", "z", "t"])
def test_operators_of_many_tensors_on_any(op, over):
    feeds = {name: draw(LARGE, seed=seed) for seed, name in enumerate("xzt")}
    assert_same(single(helper.make_node(op, list("xzt"), ["y"]), feeds), feeds, over)


@pytest.mark.parametrize("op", ["Add", "Div", "Mul", "Sub"])
@pytest.mark.parametrize("shape", [(1, 5, 1, 1), (1, 1, 61, 67), (67,), ()])
def test_operands_that_are_spread_are_read_from_elsewhere(op, shape):
    feeds = {"z": np.abs(draw(shape, seed=1)) + 1, "x": draw(LARGE)}
    assert_same(single(helper.make_node(op, ["z", "x"], ["y"]), feeds), feeds)


def test_both_operands_the_same():
    feeds = {"x": draw(LARGE)}
    for op in ("Add", "Mul", "Sub"):
        assert_same(single(helper.make_node(op, ["x", "x"], ["y"]), feeds), feeds)


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_operators_that_onnx_computes(dtype):
    feeds = {"x": draw((2, 3, 4), dtype), "z": draw((2, 3, 4), dtype, seed=1)}
    for over in feeds:
        assert_same(single(helper.make_node("Sub", ["x", "z"], ["y"]), feeds), feeds, over)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_batch_normalization(dtype):
    feeds = {"x": draw(LARGE, dtype)}
    names = ("scale", "bias", "mean", "variance")
    constants = {n: np.abs(draw(5, dtype, seed=i)) + dtype(0.5) for i, n in enumerate(names)}
    node = helper.make_node("BatchNormalization", ["x", *names], ["y"])
    assert_same(single(node, feeds, constants), feeds)


def test_clip():
    feeds = {"x": draw(LARGE)}
    constants = {"low": np.float32(-0.5), "high": np.float32(0.7)}
    assert_same(single(helper.make_node("Clip", ["x", *constants], ["y"]), feeds, constants), feeds)


@pytest.mark.parametrize("op", ["Hardmax", "LogSoftmax", "Softmax"])
@pytest.mark.parametrize("opset", [11, 18])
@pytest.mark.parametrize("axis", [1, 2, 3])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_softmax(op, opset, axis, dtype):
    feeds = {"x": draw((2, 3, 31, 33), dtype)}
    graph = single(helper.make_node(op, ["x"], ["y"], axis=axis), feeds, opset=opset)
    assert_same(graph, feeds)


@pytest.mark.parametrize("shape", [(1, 7, 5, 3), (2, 64, 31, 33), (3, 1, 1, 1)])
@pytest.mark.parametrize("size", [1, 3, 5])
def test_response_normalization(shape, size):
    feeds = {"x": draw(shape)}
    assert_same(single(helper.make_node("LRN", ["x"], ["y"], size=size), feeds), feeds)


@st.composite
def pools(draw_from):
    """Return a pooling operator and its input's shape."""
    rank = draw_from(st.integers(1, 3))
    sizes = st.integers(1, 12 if rank < 3 else 6)
    kernel = [draw_from(st.integers(1, 4)) for _ in range(rank)]
    attributes = {
        "kernel_shape": kernel,
        "strides": [draw_from(st.integers(1, 3)) for _ in range(rank)],
        "pads": [draw_from(st.integers(0, size - 1)) for _ in range(2) for size in kernel],
        "ceil_mode": draw_from(st.integers(0, 1)),
    }
    op = draw_from(st.sampled_from(["AveragePool", "LpPool", "MaxPool"]))
    shape = (draw_from(st.integers(1, 3)), draw_from(st.integers(1, 9)))
    pixels = tuple(max(draw_from(sizes), k) for k in kernel)
    return helper.make_node(op, ["x"], ["y"], **attributes), (*shape, *pixels)


@settings(max_examples=60, deadline=None)
@given(pools(), st.sampled_from([np.float32, np.float16]), st.sampled_from([1, 1 << 18]))
def test_pooling(case, dtype, limit_bytes):
    node, shape = case
    feeds = {"x": draw(shape, dtype)}
    graph = single(node, feeds, opset=22)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("condense_compiler.targets.reference.pooling._TEMPORARY_BYTES", limit_bytes)
        if overwritable_inputs(graph.nodes[0]):
            assert_same(graph, feeds)


def test_pooling_of_whole_numbers():
    feeds = {"x": draw((2, 5, 9, 8), np.int8)}
    node = helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[3, 1], pads=[1, 0, 1, 0])
    assert_same(single(node, feeds), feeds)


def test_every_rule_has_a_test():
    pooled = {"AveragePool", "LpPool", "MaxPool"}
    looking = {"Hardmax", "LogSoftmax", "LRN", "Softmax"}
    tested = {*UNARY, *BINARY, *pooled, *looking, "BatchNormalization", "Clip", "Conv"}
    elsewhere = {*STANDARDISING, "LpNormalization"}  # test_standardisation.py
    assert OVERWRITABLE.keys() == tested | elsewhere


@pytest.mark.parametrize("op", ["Gelu", "HardSwish", "Softmax", "MaxPool", "LRN"])
def test_scratch_in_place_is_bounded(op):
    attributes = {"LRN": {"size": 5}, "MaxPool": {"kernel_shape": [1, 3]}}.get(op, {})
    feeds = {"x": draw((1, 64, 112, 112))}
    graph = single(helper.make_node(op, ["x"], ["y"], **attributes), feeds, opset=20)
    assert lower_single(graph, "x").scratch_bytes <= 1 << 20
