"""Results are written over an input only where nothing else that is read lies there."""

import numpy as np
import onnx
import pytest
from kit.numerics import random_feeds, run_onnxruntime
from onnx import TensorProto, helper, numpy_helper

import condense_compiler as cc

SIDE = 24


def run_both(model: onnx.ModelProto) -> None:
    compilation = cc.compile(model)
    feeds = random_feeds(model)
    [expected], [found] = (
        list(outputs.values())
        for outputs in (run_onnxruntime(model, feeds), compilation.run(feeds))
    )
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6 * np.abs(expected).max())


def model_of(
    nodes: list[onnx.NodeProto], shape: list[int], constants: dict[str, np.ndarray]
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "shared",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


@pytest.mark.parametrize("op", ["Mul", "Add", "Sub", "Div", "Max"])
@pytest.mark.parametrize("view", ["Slice", "Reshape"])
def test_a_map_and_a_view_of_it(op: str, view: str) -> None:
    """Other rows are read through the view than those that are written."""
    if view == "Slice":
        first = helper.make_node("Slice", ["a", "starts", "ends"], ["part"])
        constants = {"starts": np.array([0]), "ends": np.array([1])}
    else:
        first = helper.make_node("Reshape", ["a", "shape"], ["turned"])
        constants = {"shape": np.array([SIDE, 1, SIDE])}
    nodes = [
        helper.make_node("Exp", ["x"], ["a"]),
        first,
        helper.make_node(op, ["a", first.output[0]], ["wide"]),
        helper.make_node("Tanh", ["wide"], ["y"]),
    ]
    shape = [SIDE, SIDE]
    run_both(model_of(nodes, shape, constants))


@pytest.mark.parametrize("batch", [1, 2, 3])
@pytest.mark.parametrize("channels", [(3, 8), (8, 3), (5, 5)])
@pytest.mark.parametrize("op", ["Conv", "LRN"])
def test_layers_that_change_the_size_of_a_batch_item(
    batch: int, channels: tuple[int, int], op: str
) -> None:
    """The second item of a batch starts elsewhere in a result with more or fewer channels."""
    before, after = channels
    filters = np.random.default_rng(0).standard_normal((after, before, 1, 1), np.float32)
    conv = helper.make_node("Conv", ["a", "filters"], ["b"])
    second = helper.make_node("LRN", ["b"], ["c"], size=3) if op == "LRN" else None
    nodes = [helper.make_node("Exp", ["x"], ["a"]), conv, *([second] if second else [])]
    nodes.append(helper.make_node("Tanh", [nodes[-1].output[0]], ["y"]))
    run_both(model_of(nodes, [batch, before, 7, 9], {"filters": filters}))
