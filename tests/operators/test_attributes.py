from typing import Any

import numpy as np
import onnx
import onnx_graphsurgeon as gs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kit.layers import Window as Written
from kit.numerics import run_onnxruntime
from kit.strategies import convolutions, max_poolings
from onnx import helper, numpy_helper

from condense_compiler.operators.attributes import (
    Spelling,
    constant_input,
)
from condense_compiler.operators.convolution import Convolution
from condense_compiler.operators.pooling import Pool
from condense_compiler.operators.registry import parse_as
from condense_compiler.operators.window import Window

Spatial = tuple[int, ...]


def model_of(
    op: str, attributes: dict[str, Any], kernel: Spatial, spatial: Spatial
) -> onnx.ModelProto:
    weights = np.random.default_rng(1).standard_normal((2, 2, *kernel)).astype(np.float32)
    convolution = op == "Conv"
    graph = helper.make_graph(
        [helper.make_node(op, ["x", "w"] if convolution else ["x"], ["y"], **attributes)],
        "walk",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, (1, 2, *spatial))],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)],
        [numpy_helper.from_array(weights, "w")] if convolution else [],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def explicit(window: Window) -> dict[str, Any]:
    attributes: dict[str, Any] = {
        "kernel_shape": window.kernel_shape,
        "strides": window.strides,
        "pads": window.pads,
        "dilations": window.dilations,
    }
    return attributes | ({"ceil_mode": 1} if window.ceil_mode else {})


def check(op: str, written: Written, spatial: Spatial) -> None:
    """Check that a window says what its operator does, with nothing left to defaults."""
    source = model_of(op, dict(written.attributes()), written.kernel, spatial)
    [node] = gs.import_onnx(source).nodes
    window = parse_as(Convolution if op == "Conv" else Pool, node).window
    feeds = {"x": np.random.default_rng(2).standard_normal((1, 2, *spatial)).astype(np.float32)}
    [expected] = run_onnxruntime(source, feeds).values()
    spelled_out = model_of(op, explicit(window), written.kernel, spatial)
    [actual] = run_onnxruntime(spelled_out, feeds).values()
    assert window.output_shape(spatial) == expected.shape[2:]
    np.testing.assert_array_equal(actual, expected)


def maps() -> st.SearchStrategy[Spatial]:
    return st.lists(st.integers(3, 11), min_size=1, max_size=3).map(tuple)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_convolution_walks_as_its_window_says(data: st.DataObject) -> None:
    spatial = data.draw(maps())
    check("Conv", data.draw(convolutions(spatial)), spatial)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_max_pooling_walks_as_its_window_says(data: st.DataObject) -> None:
    spatial = data.draw(maps())
    check("MaxPool", data.draw(max_poolings(spatial)), spatial)


@pytest.mark.parametrize("mode", ["SAME_UPPER", "SAME_LOWER"])
@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("size", [5, 6, 7, 8])
def test_pads_that_keep_the_size(mode: str, kernel: int, stride: int, size: int) -> None:
    check("Conv", Written((kernel,), (stride,), auto_pad=mode), (size,))
    if stride <= kernel:  # ONNX Runtime refuses others
        check("MaxPool", Written((kernel,), (stride,), auto_pad=mode), (size,))


def test_kernel_shape_is_that_of_the_filters_where_it_is_not_given() -> None:
    source = model_of("Conv", {"pads": [1, 2, 0, 1]}, (3, 2), (6, 5))
    [node] = gs.import_onnx(source).nodes
    assert parse_as(Convolution, node).window.kernel_shape == (3, 2)


def node_with(*inputs: gs.Tensor, **attributes: object) -> gs.Node:
    return gs.Node("Anything", "it", attributes, list(inputs), [])


def axes_of(node: gs.Node) -> tuple[int, ...] | None:
    return Spelling(node).integers("axes", 1)


def test_list_is_read_from_attribute_or_input() -> None:
    data, axes = gs.Variable("x"), gs.Constant("axes", np.array([1, -1]))
    assert axes_of(node_with(data, axes=[2, 3])) == (2, 3)
    assert axes_of(node_with(data, axes=2)) == (2,)
    assert axes_of(node_with(data, axes)) == (1, -1)
    assert axes_of(node_with(data, gs.Constant("k", np.array(4)))) == (4,)


def test_list_that_is_not_given_or_not_constant_is_none() -> None:
    data = gs.Variable("x")
    assert axes_of(node_with(data)) is None
    assert axes_of(node_with(data, gs.Variable("axes"))) is None
    assert axes_of(node_with(data, gs.Variable.empty())) is None


def test_constant_input_that_is_absent_is_none() -> None:
    assert constant_input(node_with(gs.Variable("x"), gs.Variable.empty()), 1) is None
    assert constant_input(node_with(gs.Variable("x")), 1) is None
