"""Convolutions and spatial pooling against ONNX Runtime."""

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper
from onnx.reference import ReferenceEvaluator

HALF = {"strides": [2, 2]}
CONVOLUTIONS = {
    "3x3": ((2, 5, 13, 11), (7, 5, 3, 3), {"pads": [1, 1, 1, 1]}),
    "stride": ((1, 5, 13, 12), (7, 5, 3, 3), {"strides": [2, 3], "pads": [0, 1, 2, 0]}),
    "dilation": ((1, 4, 15, 14), (6, 4, 3, 2), {"dilations": [2, 3], "pads": [2, 1, 0, 3]}),
    "pointwise": ((2, 9, 7, 6), (5, 9, 1, 1), {}),
    "strided pointwise": ((1, 9, 7, 6), (5, 9, 1, 1), {"strides": [2, 2]}),
    "groups": ((2, 12, 9, 8), (15, 4, 3, 3), {"group": 3, "pads": [1, 1, 1, 1]}),
    "depthwise": ((2, 12, 9, 8), (12, 1, 3, 3), {"group": 12, "pads": [1, 1, 1, 1]}),
    "depthwise, strided": ((1, 8, 11, 12), (8, 1, 5, 5), {"group": 8, "pads": [2] * 4} | HALF),
    "depthwise, several filters": ((1, 6, 9, 8), (18, 1, 3, 3), {"group": 6}),
    "1-D": ((2, 5, 50), (7, 5, 4), {"pads": [3, 1], "strides": [2]}),
    "3-D": ((1, 3, 7, 6, 8), (4, 3, 3, 2, 3), {"pads": [1, 0, 1, 1, 1, 1]}),
    "1x1 output": ((1, 3, 3, 3), (4, 3, 3, 3), {}),
    "same upper": ((1, 3, 10, 11), (4, 3, 3, 4), {"auto_pad": "SAME_UPPER", "strides": [2, 2]}),
    "same lower": ((1, 3, 10, 11), (4, 3, 3, 4), {"auto_pad": "SAME_LOWER", "strides": [2, 2]}),
    "valid": ((1, 3, 10, 11), (4, 3, 3, 4), {"auto_pad": "VALID"}),
    "padding beyond the map": ((1, 2, 2, 2), (3, 2, 3, 3), {"pads": [4, 4, 4, 4]}),
    "many channels": ((1, 300, 13, 13), (70, 300, 3, 3), {"pads": [1, 1, 1, 1]}),
    "many pixels": ((1, 3, 150, 170), (40, 3, 3, 3), {"pads": [1, 1, 1, 1]}),
    "deep": ((1, 1024, 14, 14), (20, 1024, 3, 3), {"pads": [1, 1, 1, 1]}),
}  # fmt: skip


@pytest.mark.parametrize("bias", [False, True], ids=["no bias", "bias"])
@pytest.mark.parametrize(("x", "w", "attributes"), CONVOLUTIONS.values(), ids=CONVOLUTIONS)
def test_convolution(compare, floats, x, w, attributes, bias):
    constants = {"w": floats(*w)} | ({"b": floats(w[0])} if bias else {})
    compare(
        helper.make_node("Conv", ["x", *constants], ["y"], **attributes),
        {"x": floats(*x)},
        constants,
    )


@pytest.mark.parametrize("name", ["3x3", "groups", "depthwise", "pointwise"])
def test_convolution_with_computed_filters(compare, floats, name):
    x, w, attributes = CONVOLUTIONS[name]
    nodes = [
        helper.make_node("Neg", ["w"], ["computed"]),
        helper.make_node("Conv", ["x", "computed", "b"], ["y"], **attributes),
    ]
    compare(nodes, {"x": floats(*x), "w": floats(*w)}, {"b": floats(w[0])})


TYPED = ["3x3", "groups", "depthwise", "pointwise"]


@pytest.mark.parametrize("name", TYPED)
def test_convolution_in_half_precision(compare, floats, name):
    x, w, attributes = CONVOLUTIONS[name]
    constants = {"w": floats(*w).astype(np.float16), "b": floats(w[0]).astype(np.float16)}
    node = helper.make_node("Conv", ["x", "w", "b"], ["y"], **attributes)
    compare(node, {"x": floats(*x).astype(np.float16)}, constants, tolerance=2e-3)


@pytest.mark.parametrize("name", TYPED)
@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [(np.float64, 1e-13), (ml_dtypes.bfloat16, 2**-8)],
    ids=["double", "bfloat16"],
)
def test_convolution_in_types_that_onnxruntime_lacks(evaluate, floats, name, dtype, tolerance):
    x, w, attributes = CONVOLUTIONS[name]
    constants = {"w": floats(*w).astype(dtype), "b": floats(w[0]).astype(dtype)}
    feeds = {"x": floats(*x).astype(dtype)}
    node = helper.make_node("Conv", ["x", "w", "b"], ["y"], **attributes)
    actual = evaluate(node, feeds, constants)["y"]
    assert actual.dtype == dtype
    exact = ReferenceEvaluator(node).run(
        None, {k: v.astype(np.float64) for k, v in (feeds | constants).items()}
    )[0]
    error = np.abs(actual.astype(np.float64) - exact).max()
    assert error <= tolerance * np.abs(exact).max()


@st.composite
def convolutions(draw):
    rank = draw(st.integers(1, 3))
    axes = {"min_size": rank, "max_size": rank}
    kernel = draw(st.lists(st.integers(1, 4), **axes))
    dilations = draw(st.lists(st.integers(1, 3), **axes))
    pads = draw(st.lists(st.integers(0, 3), min_size=2 * rank, max_size=2 * rank))
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilations, strict=True)]
    pixels = [draw(st.integers(r, r + 9)) for r in reach]
    group = draw(st.integers(1, 4))
    inputs, outputs = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    attributes = {
        "dilations": dilations,
        "group": group,
        "kernel_shape": kernel,
        "pads": pads,
        "strides": draw(st.lists(st.integers(1, 3), **axes)),
    }
    x = (draw(st.integers(1, 2)), group * inputs, *pixels)
    return x, (group * outputs, inputs, *kernel), attributes


@settings(max_examples=150, deadline=None, derandomize=True)
@given(convolutions(), st.integers(0, 1000))
def test_any_convolution(compare, case, seed):
    x, w, attributes = case
    rng = np.random.default_rng(seed)
    feeds = {"x": rng.standard_normal(x).astype(np.float32)}
    constants = {"w": rng.standard_normal(w).astype(np.float32)}
    compare(helper.make_node("Conv", ["x", "w"], ["y"], **attributes), feeds, constants)


POOLINGS = {
    "2x2": {"kernel_shape": [2, 2], "strides": [2, 2]},
    "3x3 padded": {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]},
    "asymmetric": {"kernel_shape": [3, 2], "strides": [1, 2], "pads": [0, 1, 2, 0]},
    "ceil": {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1},
    "ceil padded": {"kernel_shape": [2, 3], "strides": [3, 2], "ceil_mode": 1, "pads": [1] * 4},
    "dilated": {"kernel_shape": [3, 2], "dilations": [2, 3]},
    "same": {"kernel_shape": [3, 4], "strides": [2, 2], "auto_pad": "SAME_UPPER"},
    "same lower": {"kernel_shape": [2, 4], "strides": [1, 3], "auto_pad": "SAME_LOWER"},
    "large": {"kernel_shape": [9, 9], "pads": [4, 4, 4, 4]},
    "one tap": {"kernel_shape": [1, 1], "strides": [2, 1]},
    "nothing": {"kernel_shape": [1, 1]},
}  # fmt: skip


@pytest.mark.parametrize("attributes", POOLINGS.values(), ids=POOLINGS)
@pytest.mark.parametrize("shape", [(2, 3, 14, 13), (1, 70, 57, 58)], ids=str)
def test_max_pool(compare, floats, attributes, shape):
    compare(helper.make_node("MaxPool", ["x"], ["y"], **attributes), {"x": floats(*shape)})


@pytest.mark.parametrize("include", [0, 1])
@pytest.mark.parametrize("attributes", POOLINGS.values(), ids=POOLINGS)
def test_average_pool(compare, floats, attributes, include):
    node = helper.make_node("AveragePool", ["x"], ["y"], count_include_pad=include, **attributes)
    compare(node, {"x": floats(2, 3, 14, 13)})


@pytest.mark.parametrize("op", ["MaxPool", "AveragePool"])
def test_pooling_along_one_and_three_axes(compare, floats, op):
    node = helper.make_node(op, ["x"], ["y"], kernel_shape=[3], strides=[2], pads=[1, 1])
    compare(node, {"x": floats(2, 3, 14)})
    node = helper.make_node(op, ["x"], ["y"], kernel_shape=[3, 2, 4], strides=[2, 1, 3])
    compare(node, {"x": floats(2, 3, 9, 8, 10)})
