"""Normalisations over groups of values: against ONNX Runtime or the definition, and in place."""

import numpy as np
import pytest
from kit.in_place import both, lower_single, single
from kit.numerics import run_onnxruntime
from onnx import helper, numpy_helper

from condense_compiler.operators.aliasing import overwritable_inputs

SHAPES = [(1, 6, 5, 7), (3, 6, 1, 1), (2, 6, 61, 67), (1, 6, 130)]
# A mean of 20, rounded, over the deviation of the smallest groups.
TOLERANCE = {np.float32: 1e-5, np.float64: 1e-12, np.float16: 2e-3}


def draw(shape, dtype=np.float32, seed=0):
    # Far from zero, so that squares minus the square of the mean would lose what matters.
    return (np.random.default_rng(seed).standard_normal(shape) + 20).astype(dtype)


def definition(x, axes, epsilon, centred=True):
    x, epsilon = x.astype(np.float64), np.float64(np.float32(epsilon))  # as attributes hold it
    x = x - x.mean(axes, keepdims=True) if centred else x
    return x / np.sqrt(np.square(x).mean(axes, keepdims=True) + epsilon)


def check(node, feeds, constants, expected, opset):
    graph = single(node, feeds, constants, opset)
    # ONNX infers no shape for some of them.
    graph.outputs[0].shape, graph.outputs[0].dtype = list(feeds["x"].shape), feeds["x"].dtype
    assert overwritable_inputs(graph.nodes[0]) == [0]
    apart, in_place = both(graph, feeds)
    np.testing.assert_array_equal(in_place, apart)
    executable = lower_single(graph, None)
    assert executable.facts()["computed_by"] == {}
    tolerance = TOLERANCE[feeds["x"].dtype.type]
    largest = np.abs(expected).max()
    difference = np.abs(apart.astype(np.float64) - expected).max()
    assert difference <= tolerance * largest


def affine(count, dtype, seed=1):
    generator = np.random.default_rng(seed)
    return {name: generator.uniform(0.5, 2, count).astype(dtype) for name in ("scale", "bias")}


def by_channel(values, shape):
    return values.astype(np.float64).reshape(-1, *(1,) * (len(shape) - 2))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("opset", [6, 22])
def test_instances(shape, dtype, opset):
    feeds, terms = {"x": draw(shape, dtype)}, affine(6, dtype)
    node = helper.make_node("InstanceNormalization", ["x", *terms], ["y"], epsilon=1e-3)
    expected = definition(feeds["x"], tuple(range(2, len(shape))), 1e-3)
    expected = expected * by_channel(terms["scale"], shape) + by_channel(terms["bias"], shape)
    check(node, feeds, terms, expected, opset)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("groups", [1, 2, 6])
@pytest.mark.parametrize("opset", [18, 21])
def test_groups_of_channels(shape, dtype, groups, opset):
    feeds, terms = {"x": draw(shape, dtype)}, affine(6 if opset >= 21 else groups, dtype)
    node = helper.make_node("GroupNormalization", ["x", *terms], ["y"], num_groups=groups)
    grouped = feeds["x"].reshape(shape[0], groups, -1)
    expected = definition(grouped, 2, 1e-5).reshape(shape)
    scale, bias = (np.repeat(term, 6 // term.size) for term in terms.values())
    expected = expected * by_channel(scale, shape) + by_channel(bias, shape)
    check(node, feeds, terms, expected, opset)


@pytest.mark.parametrize("op", ["LayerNormalization", "RMSNormalization"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("axis", [1, -1])
def test_layers(op, shape, dtype, axis):
    feeds, terms = {"x": draw(shape, dtype)}, affine(shape[axis:], dtype)
    terms = terms if op == "LayerNormalization" else {"scale": terms["scale"]}
    node = helper.make_node(op, ["x", *terms], ["y"], axis=axis)
    axes = tuple(range(axis % len(shape), len(shape)))
    expected = definition(feeds["x"], axes, 1e-5, centred=op == "LayerNormalization")
    expected = expected * terms["scale"] + terms.get("bias", np.zeros(1))
    check(node, feeds, terms, expected, 23)


@pytest.mark.parametrize(
    ("shape", "axes"),
    [((1, 6, 5, 7), [0, 2, 3]), ((2, 6, 5, 7), [2, 3]), ((3, 6, 5), [1, 2]), ((2, 3, 4), [-1])],
)
def test_mean_and_variance(shape, axes):
    feeds = {"x": draw(shape)}
    node = helper.make_node("MeanVarianceNormalization", ["x"], ["y"], axes=axes)
    x, over = feeds["x"].astype(np.float64), tuple(axes)
    expected = (x - x.mean(over, keepdims=True)) / (x.std(over, keepdims=True) + 1e-9)
    check(node, feeds, {}, expected, 18)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("shape", SHAPES)
def test_norms(order, axis, shape):
    feeds = {"x": draw(shape)}
    feeds["x"][..., -1] = 0
    node = helper.make_node("LpNormalization", ["x"], ["y"], axis=axis, p=order)
    x = feeds["x"].astype(np.float64)
    norm = np.linalg.norm(x, order, axis, keepdims=True)
    check(node, feeds, {}, x / np.where(norm == 0, 1, norm), 22)


def test_groups_that_are_no_stretches_are_not_written_over():
    feeds = {"x": draw((2, 6, 5, 7))}
    node = helper.make_node("MeanVarianceNormalization", ["x"], ["y"], axes=[0, 2, 3])
    graph = single(node, feeds, opset=18)
    assert overwritable_inputs(graph.nodes[0]) == []
    del graph.nodes[0].attrs["axes"]  # these are the axes that are not given
    assert overwritable_inputs(graph.nodes[0]) == []


def test_data_that_are_also_the_scale_are_not_written_over():
    feeds = {"x": draw((4, 6))}
    node = helper.make_node("LayerNormalization", ["x", "x"], ["y"])
    graph = single(node, feeds, opset=17)
    assert overwritable_inputs(graph.nodes[0]) == []
    [y] = lower_single(graph, None).run(feeds).values()
    constants = [numpy_helper.from_array(feeds["x"], "s")]
    values = [helper.make_tensor_value_info(n, 1, (4, 6)) for n in "xy"]
    node = helper.make_node("LayerNormalization", ["x", "s"], ["y"])
    judge = helper.make_graph([node], "g", values[:1], values[1:], constants)
    model = helper.make_model(judge, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    np.testing.assert_allclose(y, run_onnxruntime(model, feeds)["y"], rtol=1e-4)
