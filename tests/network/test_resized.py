"""Resized maps have the size that ONNX Runtime computes, whatever inference rounds."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

import condense_compiler as cc
from condense_compiler.network import load_network
from condense_compiler.network.resized import pixels

SIZES = [(10, 1.3), (20, 1.3), (10, 1.2), (30, 1.1), (7, 1.7), (10, 2.0), (9, 0.3), (1, 3.0)]


def resize(opset, name, source, scale, constants):
    scales = np.array([1, 1, scale, scale], np.float32)
    if opset < 9:
        return helper.make_node("Upsample", [source], [name], scales=scales)
    constants[f"{name}/s"] = scales
    op = "Upsample" if opset == 9 else "Resize"
    inputs = [source, f"{name}/s"]
    inputs[1:1] = [""] if opset > 11 else ["roi"] if opset == 11 else []
    return helper.make_node(op, inputs, [name])


def model(opset, size, *scales):
    constants = {"roi": np.empty(0, np.float32)} if opset == 11 else {}
    names = ["x", *(f"y{number}" for number in range(len(scales)))]
    nodes = [
        resize(opset, name, source, scale, constants)
        for source, name, scale in zip(names, names[1:], scales, strict=False)
    ]
    nodes.append(helper.make_node("Add", [names[-1], names[-1]], ["twice"]))
    graph = helper.make_graph(
        nodes,
        "resized",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2, size, size])],
        [helper.make_tensor_value_info("twice", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def run_onnxruntime(given, x):
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = ort.InferenceSession(given.SerializeToString(), options)
    return session.run(None, {"x": x})[0]


@pytest.mark.parametrize("opset", [7, 9, 10, 11, 13, 18, 19])
@pytest.mark.parametrize(("size", "scale"), SIZES, ids=str)
def test_sizes_and_values(opset, size, scale):
    if opset < 10:
        scale = max(scale, 1.0)
    given = model(opset, size, scale)
    x = np.random.default_rng(size).standard_normal((1, 2, size, size)).astype(np.float32)
    expected = run_onnxruntime(given, x)
    assert expected.shape[2] == pixels(size, scale)
    compiled = cc.compile(given)
    assert compiled.report.verification.passed
    np.testing.assert_array_equal(compiled.run({"x": x})["twice"], expected)


def test_one_behind_the_other():
    """What lies behind a size that inference misses is missed, too."""
    given = model(13, 10, 1.3, 10 / 13, 1.3, 2.0)
    shapes = [node.outputs[0].shape[2] for node in load_network(given).graph.nodes]
    sizes = [13, pixels(13, 10 / 13)]
    sizes += [pixels(sizes[-1], 1.3)]
    sizes += [2 * sizes[-1]] * 2
    assert shapes == sizes


def test_the_model_is_left_as_it_is():
    network = load_network(model(13, 10, 1.3))
    scales = network.graph.nodes[0].inputs[2].values
    np.testing.assert_array_equal(scales, np.array([1, 1, 1.3, 1.3], np.float32))
    assert onnx.checker.check_model(network.to_model()) is None


def test_on_the_onnxruntime_target():
    given = model(13, 10, 1.3)
    x = np.random.default_rng(1).standard_normal((1, 2, 10, 10)).astype(np.float32)
    compiled = cc.compile(given, target="onnxruntime")
    np.testing.assert_array_equal(compiled.run({"x": x})["twice"], run_onnxruntime(given, x))
