"""Pooling that rounds up has as many windows as in ONNX Runtime, in every version."""

from operator import ge

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kit.numerics import random_feeds, run_onnxruntime
from onnx import TensorProto, helper

import condense_compiler as cc
from condense_compiler.network import load_network

PAIRS = st.tuples(st.integers(1, 3), st.integers(1, 3))


def pooled(shape: tuple[int, ...], op: str, opset: int, **attributes: object) -> onnx.ModelProto:
    nodes = [
        helper.make_node(op, ["x"], ["pooled"], ceil_mode=1, **attributes),
        helper.make_node("Relu", ["pooled"], ["y"]),
    ]
    x, y = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, size)
        for name, size in (("x", shape), ("y", None))
    )
    graph = helper.make_graph(nodes, "pooled", [x], [y])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


@pytest.mark.parametrize("opset", [11, 18, 22])
@pytest.mark.parametrize("op", ["MaxPool", "AveragePool"])
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_windows_are_those_of_onnx_runtime(op: str, opset: int, data: st.DataObject) -> None:
    kernel, strides = data.draw(PAIRS), data.draw(PAIRS)
    pads = [data.draw(st.integers(0, size - 1)) for size in (*kernel, *kernel)]
    shape = (1, 2, *(data.draw(st.integers(size, 7)) for size in kernel))
    attributes = {"kernel_shape": kernel, "strides": strides, "pads": pads}
    if op == "AveragePool" and all(map(ge, kernel, strides)):
        attributes["count_include_pad"] = data.draw(st.integers(0, 1))
    model = pooled(shape, op, opset, **attributes)
    feeds = random_feeds(model)
    [expected] = run_onnxruntime(model, feeds).values()
    [found] = cc.compile(model, verify_outputs=False).run(feeds).values()
    assert found.shape == expected.shape
    assert np.allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_pools_whose_windows_all_start_on_the_map_stay_as_they_are() -> None:
    model = pooled((1, 2, 6, 6), "MaxPool", 18, kernel_shape=[3, 3], strides=[2, 2])
    [pool, _] = load_network(model).graph.nodes
    assert pool.attrs["ceil_mode"] == 1
