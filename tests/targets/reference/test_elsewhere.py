"""Operators without a kernel here: ONNX Runtime computes them, or else `onnx.reference`."""

import numpy as np
import onnx_graphsurgeon as gs
import pytest
from onnx import TensorProto, helper, numpy_helper

import condense_compiler as cc
from condense_compiler.errors import UnsupportedError
from condense_compiler.targets.reference.kernel import NodeContext
from condense_compiler.targets.reference.single_node import single_node_models


def lstm(*, names=("x", "w", "r"), **attributes):
    return helper.make_node("LSTM", names, ["y", "h", "c"], hidden_size=6, **attributes)


def recurrent(floats, gates):
    return {"w": floats(1, gates * 6, 4), "r": floats(1, gates * 6, 6)}


LSTMS = {
    "plain": ({}, ()),
    "clipped": ({"clip": 0.2}, ()),
    "with other activations": ({"activations": ["Sigmoid", "Relu", "Relu"]}, ()),
    "with lengths": ({}, ("", "lengths")),
    "backwards": ({"direction": "reverse"}, ("", "lengths")),
    "coupled": ({"input_forget": 1}, ()),
}


@pytest.mark.parametrize("name", LSTMS)
@pytest.mark.parametrize("batch", [1, 3])
def test_lstm(compare, floats, name, batch):
    attributes, more = LSTMS[name]
    constants = recurrent(floats, 4)
    constants |= {"lengths": np.full(batch, 3, np.int32)} if more else {}
    node = lstm(names=("x", "w", "r", *more), **attributes)
    executable = compare(node, {"x": floats(5, batch, 4)}, constants, opset=14)
    assert executable.facts()["computed_by"] == {"onnxruntime": {"LSTM": 1}}


@pytest.mark.parametrize(("op", "gates"), [("GRU", 3), ("RNN", 1)])
@pytest.mark.parametrize("attributes", [{}, {"clip": 0.1}, {"activations": ["Relu"]}], ids=str)
def test_other_recurrent_layers(compare, floats, op, gates, attributes):
    given = dict(attributes)
    if op == "GRU" and "activations" in given:
        given["activations"] = ["Sigmoid", "Relu"]
    node = helper.make_node(op, ["x", "w", "r"], ["y", "h"], hidden_size=6, **given)
    compare(node, {"x": floats(5, 2, 4)}, recurrent(floats, gates))


INDICES = np.array([[[0, -1], [2, 1]]])
ELSEWHERE = [
    ("LpPool", {"kernel_shape": [2, 3], "p": 1, "strides": [2, 1]}, (1, 3, 7, 6), {}, 18),
    ("GlobalLpPool", {"p": 3}, (2, 3, 7, 5), {}, 20),
    ("GatherElements", {"axis": 1}, (1, 3, 2), {"i": INDICES}, 13),
    ("GridSample", {"mode": "bilinear"}, (1, 3, 6, 5), {"g": "grid"}, 16),
    ("GridSample", {"mode": "cubic"}, (1, 3, 6, 5), {"g": "grid"}, 20),
    ("Einsum", {"equation": "bij,bkj->bik"}, (2, 3, 5), {"z": "2 4 5"}, 20),
    ("Tile", {}, (2, 3), {"r": np.array([2, 2])}, 20),
    ("CumSum", {}, (2, 3), {"a": np.array(1)}, 20),
    ("Resize", {"mode": "cubic"}, (1, 1, 5, 6), {"": None, "s": "scales"}, 13),
    ("Resize", {"mode": "linear", "antialias": 1}, (1, 1, 9, 8), {"": None, "s": "less"}, 18),
]
VALUES = {
    "scales": np.array([1, 1, 1.7, 2], np.float32),
    "less": np.array([1, 1, 0.5, 0.5], np.float32),
}


@pytest.mark.parametrize(("op", "attributes", "shape", "operands", "opset"), ELSEWHERE, ids=str)
def test_operators_that_onnxruntime_computes(
    compare, floats, op, attributes, shape, operands, opset
):
    def value(given):
        if isinstance(given, np.ndarray):
            return given
        if given == "grid":
            return np.tanh(floats(1, 4, 3, 2))
        return VALUES[given] if given in VALUES else floats(*map(int, given.split()))

    constants = {name: value(given) for name, given in operands.items() if name}
    node = helper.make_node(op, ["x", *operands], ["y"], **attributes)
    executable = compare(node, {"x": floats(*shape)}, constants, opset=opset)
    assert executable.facts()["computed_by"] == {"onnxruntime": {op: 1}}


def test_linear_resizing_of_whole_numbers(compare):
    x = np.arange(36, dtype=np.uint8).reshape(1, 1, 6, 6) * 7
    node = helper.make_node("Resize", ["x", "", "s"], ["y"], mode="linear")
    scales = np.array([1, 1, 1.7, 2.3], np.float32)
    compare(node, {"x": x}, {"s": scales}, tolerance=0)


def model(node, *outputs, dtype=TensorProto.FLOAT, shape=(2, 3), constants=None, opset=20):
    graph = helper.make_graph(
        [node],
        "one",
        [helper.make_tensor_value_info("x", dtype, shape)],
        [helper.make_tensor_value_info(name, dtype, None) for name in outputs],
        [numpy_helper.from_array(v, n) for n, v in (constants or {}).items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


def test_types_without_a_kernel_are_computed_by_onnx_reference(floats):
    compiled = cc.compile(unknown(), verify_outputs=False)
    facts = compiled.report.to_dict()["target_facts"]
    assert facts["computed_by"] == {"onnx.reference": {"Acos": 1}}
    x = np.tanh(floats(2, 3)).astype(helper.tensor_dtype_to_np_dtype(TensorProto.BFLOAT16))
    y = compiled.run({"x": x})["y"].astype(np.float32)
    np.testing.assert_allclose(y, np.arccos(x.astype(np.float32)), 1e-2, 1e-2)


def unknown():
    """A model of one operator that only `onnx.reference` computes."""
    node = helper.make_node("Acos", ["x"], ["y"])
    return model(node, "y", dtype=TensorProto.BFLOAT16, opset=22)


def broken(*_arguments):
    raise NotImplementedError("no such operator\nand more lines")


def test_what_nobody_computes_is_refused_in_one_line_before_it_runs(monkeypatch):
    def fail(*_arguments):
        raise AssertionError("the network was run")

    monkeypatch.setattr("condense_compiler.driver.verify", fail)
    monkeypatch.setattr("condense_compiler.targets.reference.fallback.ReferenceEvaluator", broken)
    with pytest.raises(UnsupportedError, match=r"^node '.*' \(Acos\) cannot be computed: .*$"):
        cc.compile(unknown())


def test_results_may_lie_on_what_is_read(floats):
    node = helper.make_node("LpPool", ["x"], ["y"], kernel_shape=[2, 2], strides=[1, 1])
    given = model(node, "y", shape=(1, 3, 9, 8))
    compiled = cc.compile(given, target_options={"poison": "true"}, verify_outputs=False)
    x = floats(1, 3, 9, 8)
    windows = np.lib.stride_tricks.sliding_window_view(x, (2, 2), (2, 3))
    expected = np.sqrt((windows**2).sum((-2, -1)))
    np.testing.assert_allclose(compiled.run({"x": x})["y"], expected, 1e-5)
    assert compiled.report.after.arena_bytes == x.nbytes


def test_runtimes_that_do_not_know_the_newest_operators_are_asked_for_older_ones():
    graph = gs.import_onnx(model(helper.make_node("Sin", ["x"], ["y"]), "y", opset=26))
    context = NodeContext(graph.nodes[0], opset=26)
    versions = [m.opset_import[0].version for m in single_node_models(context, {})]
    assert versions == [26, 22]
