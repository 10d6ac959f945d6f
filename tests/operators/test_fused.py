from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from kit.layers import Window as Written
from kit.strategies import convolutions, max_poolings
from onnx import helper, numpy_helper

from condense_compiler.operators.elementwise import parse
from condense_compiler.operators.fused import REDUCTIONS, ConvPool
from condense_compiler.operators.window import Window

PROGRAMS = ((), ("Relu x",), ("Mul x $0", "LeakyRelu %0 alpha=0.1", "Clip %1 -inf 6.0"))


@st.composite
def windows(draw: st.DrawFn, rank: int) -> Window:
    def sizes(low: int, count: int) -> tuple[int, ...]:
        return tuple(draw(st.lists(st.integers(low, 9), min_size=count, max_size=count)))

    return Window(sizes(1, rank), sizes(1, rank), sizes(0, 2 * rank), sizes(1, rank))


@st.composite
def recipes(draw: st.DrawFn) -> ConvPool:
    rank = draw(st.integers(1, 3))
    ceil_mode = draw(st.booleans())
    spatial = draw(st.none() | windows(rank))
    integers, numbers = st.integers(0, 63), st.floats(-2.0, 2.0, width=32)
    return ConvPool(
        convolution=draw(windows(rank)),
        group=draw(st.integers(1, 8)),
        reduction=draw(st.sampled_from(REDUCTIONS)),
        window=draw(st.integers(1, 8)),
        members=tuple(draw(st.lists(integers, max_size=6))),
        rank_weights=tuple(draw(st.lists(numbers, max_size=4))),
        before=parse(draw(st.sampled_from(PROGRAMS))),
        after=parse(draw(st.sampled_from(PROGRAMS))),
        spatial=spatial
        and Window(
            spatial.kernel_shape, spatial.strides, spatial.pads, spatial.dilations, ceil_mode
        ),
    )


@given(recipes())
def test_recipe_is_read_back_from_its_attributes(recipe: ConvPool) -> None:
    assert ConvPool.from_attributes(recipe.to_attributes()) == recipe


@given(recipes())
def test_recipe_is_read_back_from_a_file(recipe: ConvPool) -> None:
    node = helper.make_node("ConvPool", ["x"], ["y"], domain="condense", **recipe.to_attributes())
    stored = onnx.NodeProto.FromString(node.SerializeToString())
    attributes: dict[str, Any] = {a.name: helper.get_attribute_value(a) for a in stored.attribute}
    texts: dict[str, Any] = {
        name: value.decode() if isinstance(value, bytes) else value
        for name, value in attributes.items()
    }
    assert ConvPool.from_attributes(texts) == recipe


def filled_in(window: Written) -> Window:
    """Return a window with what it leaves to ONNX's defaults; without auto_pad."""
    rank = len(window.kernel)
    return Window(
        window.kernel,
        window.strides or (1,) * rank,
        window.pads or (0,) * (2 * rank),
        window.dilations or (1,) * rank,
        window.ceil_mode,
    )


def one_operator(op: str, window: Written, spatial: Sequence[int], opset: int) -> onnx.ModelProto:
    """Return a model that walks over a map of one channel."""
    weights = np.ones((1, 1, *window.kernel), np.float32)
    convolution = op == "Conv"
    graph = helper.make_graph(
        [helper.make_node(op, ["x", "w"] if convolution else ["x"], ["y"], **window.attributes())],
        "walk",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, (1, 1, *spatial))],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)],
        [numpy_helper.from_array(weights, "w")] if convolution else [],
    )
    opsets = [helper.make_opsetid("", opset)]
    return helper.make_model(
        graph, opset_imports=opsets, ir_version=helper.find_min_ir_version_for(opsets)
    )


def run_shape(model: onnx.ModelProto, spatial: Sequence[int]) -> tuple[int, ...]:
    options = ort.SessionOptions()
    options.log_severity_level = 4
    session = ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    [result] = session.run(None, {"x": np.zeros((1, 1, *spatial), np.float32)})
    return tuple(result.shape[2:])


def inferred_shape(model: onnx.ModelProto) -> tuple[int, ...]:
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True)
    return tuple(d.dim_value for d in inferred.graph.output[0].type.tensor_type.shape.dim[2:])


def maps() -> st.SearchStrategy[tuple[int, ...]]:
    return st.lists(st.integers(3, 12), min_size=1, max_size=3).map(tuple)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_positions_of_a_convolution_are_those_of_onnx(data: st.DataObject) -> None:
    spatial = data.draw(maps())
    window = data.draw(convolutions(spatial))
    assume(not window.auto_pad)
    model = one_operator("Conv", window, spatial, 18)
    expected = filled_in(window).output_shape(spatial)
    assert run_shape(model, spatial) == inferred_shape(model) == expected


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_positions_of_a_max_pooling_are_those_of_onnx(data: st.DataObject) -> None:
    spatial = data.draw(maps())
    window = data.draw(max_poolings(spatial))
    assume(not window.auto_pad)
    expected = filled_in(window).output_shape(spatial)
    for opset in (18, 22):
        model = one_operator("MaxPool", window, spatial, opset)
        assert run_shape(model, spatial) == inferred_shape(model) == expected


BEYOND_THE_MAP = {
    "stride beyond kernel": (Written((1,), (3,), ceil_mode=True), (6,), (2,)),
    "padded": (Written((2,), (2,), pads=(1, 1), ceil_mode=True), (5,), (3,)),
    "one axis of two": (Written((1, 2), (3, 2), ceil_mode=True), (6, 5), (2, 3)),
}


@pytest.mark.parametrize(
    ("window", "spatial", "expected"), BEYOND_THE_MAP.values(), ids=BEYOND_THE_MAP
)
def test_window_that_starts_behind_the_map_is_no_position(
    window: Written, spatial: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    """As it runs, and as ONNX infers since opset 22; before, inference counts it."""
    model = one_operator("MaxPool", window, spatial, 22)
    assert filled_in(window).output_shape(spatial) == expected
    assert run_shape(model, spatial) == inferred_shape(model) == expected
