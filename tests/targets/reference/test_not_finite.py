"""NaN and infinity: what the kernels make of them is what ONNX Runtime makes of them."""

import numpy as np
import onnx_graphsurgeon as gs
import pytest
from kit.in_place import both, single
from onnx import helper

from condense_compiler.targets.reference.functions import FUNCTIONS

NAN, INF = np.nan, np.inf
VALUES = np.array(
    [NAN, INF, -INF, 0, -0.0, 1, -1, 3e38, -3e38, 1e-40, 88, -88, 100, -100, 2.5, -0.5, 1e20],
    np.float32,
)
BINARY = {"Add", "Div", "Max", "Mean", "Min", "Mul", "PRelu", "Pow", "Sub", "Sum"}
ROWS = np.array(
    [
        [NAN, 1, 2, 3], [1, NAN, 2, 3], [1, 2, 3, NAN], [INF, 1, 2, 3], [-INF] * 4,
        [INF, -INF, 1, 2], [INF, INF, 1, 2], [-INF, 1, 2, 3], [1e30, 1, 2, 3],
        [1000, -1000, 0, 3], [NAN] * 4, [2, 2, 1, 2],
    ],
    np.float32,
)  # fmt: skip


def assert_same(kit, node, feeds, constants=None, opset=24):
    """Compare with ONNX Runtime where nothing need be finite."""
    model = kit.to_model([node], feeds, constants or {}, node.output, opset)
    expected = kit.run_onnxruntime(model, feeds)
    graph = gs.import_onnx(model)
    for name, tensor in graph.tensors().items():
        if name in expected:
            tensor.shape, tensor.dtype = list(expected[name].shape), expected[name].dtype
    actual = kit.lower(graph).run(feeds)
    for name, value in expected.items():
        np.testing.assert_allclose(actual[name], value, 1e-5, 1e-6)


@pytest.mark.parametrize("op", sorted(FUNCTIONS.keys() - BINARY))
def test_element_wise(kit, op):
    assert_same(kit, helper.make_node(op, ["x"], ["y"]), {"x": VALUES})


@pytest.mark.parametrize("op", sorted(BINARY))
def test_of_two_tensors(kit, op):
    pairs = np.meshgrid(VALUES, VALUES)
    feeds = dict(zip("xz", map(np.ascontiguousarray, pairs), strict=True))
    assert_same(kit, helper.make_node(op, ["x", "z"], ["y"]), feeds)


@pytest.mark.parametrize("bounds", [(-1, 1), (NAN, 1), (-1, NAN), (2, -2), (-INF, INF)], ids=str)
def test_clip(kit, bounds):
    constants = dict(zip(("low", "high"), np.array(bounds, np.float32), strict=True))
    assert_same(kit, helper.make_node("Clip", ["x", *constants], ["y"]), {"x": VALUES}, constants)


@pytest.mark.parametrize("op", ["Hardmax", "LogSoftmax", "Softmax"])
def test_along_an_axis(kit, op):
    assert_same(kit, helper.make_node(op, ["x"], ["y"], axis=1), {"x": ROWS})


@pytest.mark.parametrize("op", ["Max", "Mean", "Min", "Prod", "Sum"])
def test_reductions(kit, op):
    node = helper.make_node(f"Reduce{op}", ["x", "a"], ["y"])
    assert_same(kit, node, {"x": ROWS}, {"a": np.array([1])})


@pytest.mark.parametrize("op", ["ArgMax", "ArgMin"])
@pytest.mark.parametrize("last", [0, 1])
def test_places(kit, op, last):
    node = helper.make_node(op, ["x"], ["y"], axis=1, select_last_index=last)
    assert_same(kit, node, {"x": ROWS})


def test_response_normalisation(kit):
    assert_same(
        kit, helper.make_node("LRN", ["x"], ["y"], size=3), {"x": ROWS.reshape(1, 12, 2, 2)}
    )


def spotted(*shape):
    """Return a map with a few values that are not finite."""
    x = np.random.default_rng(3).standard_normal(shape).astype(np.float32)
    x[0, 0, 1, 2] = x[-1, 1, 3, 3] = NAN
    x[0, 1, 0, 0], x[0, 0, 4, 4] = INF, -INF
    x[0, 1, 4:] = -INF
    return x


WINDOWS = [
    {"kernel_shape": [2, 2]},
    {"kernel_shape": [3, 3], "pads": [1] * 4},
    {"kernel_shape": [2, 1], "strides": [2, 2]},
]


@pytest.mark.parametrize("window", WINDOWS, ids=str)
@pytest.mark.parametrize("outputs", [["y"], ["y", "i"]], ids=len)
def test_max_pool(kit, window, outputs):
    node = helper.make_node("MaxPool", ["x"], outputs, **window)
    assert_same(kit, node, {"x": spotted(2, 3, 6, 6)}, opset=22)


@pytest.mark.parametrize("op", ["AveragePool", "LpPool"])
@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_other_pools(kit, op, window):
    assert_same(kit, helper.make_node(op, ["x"], ["y"], **window), {"x": spotted(1, 2, 6, 6)})


@pytest.mark.parametrize("op", ["GlobalAveragePool", "GlobalMaxPool"])
def test_global_pools(kit, op):
    assert_same(kit, helper.make_node(op, ["x"], ["y"]), {"x": spotted(2, 3, 6, 6)})


@pytest.mark.parametrize("mode", ["linear", "nearest"])
def test_resizing(kit, mode):
    node = helper.make_node("Resize", ["x", "", "s"], ["y"], mode=mode)
    scales = {"s": np.array([1, 1, 1.5, 2], np.float32)}
    assert_same(kit, node, {"x": spotted(1, 2, 6, 6)}, scales, 19)


@pytest.mark.parametrize("op", ["MaxPool", "Softmax"])
def test_in_place(op):
    attributes = {"kernel_shape": [2, 2]} if op == "MaxPool" else {}
    x = spotted(2, 3, 6, 6)
    graph = single(helper.make_node(op, ["x"], ["y"], **attributes), {"x": x})
    apart, in_place = both(graph, {"x": x})
    np.testing.assert_array_equal(in_place, apart)
