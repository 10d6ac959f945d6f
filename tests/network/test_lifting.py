"""Networks of old opsets written in opset 13 compute the same, bit by bit."""

from collections.abc import Iterator

import numpy as np
import onnx
import pytest
from kit.floating import constant, model, node, run

from condense_compiler.network import load_network
from condense_compiler.network.lifting import LIFTED_OPSET, lift

SHAPE = (2, 4, 6, 8)
OLD = range(7, LIFTED_OPSET)
NORMALISING = ("Hardmax", "LogSoftmax", "Softmax")


def _one(op: str, *, opset: int, weights=(), inputs=("x",), **options) -> onnx.ModelProto:
    return model([node(op, inputs, ["y"], **options)], weights, SHAPE, opset=opset)


def _normalising(opset: int) -> Iterator[onnx.ModelProto]:
    for op in NORMALISING:
        yield _one(op, opset=opset)
        for axis in (0, 1, 2, 3, *((-1, -3) if opset > 10 else ())):
            yield _one(op, opset=opset, axis=axis)


def _axes(opset: int) -> Iterator[onnx.ModelProto]:
    squeezed = [
        node("ReduceMean", ["x"], ["a"], axes=[2]),
        node("Squeeze", ["a"], ["b"], axes=[2]),
        node("Unsqueeze", ["b"], ["y"], axes=[0, 3]),
    ]
    yield model(squeezed, (), SHAPE, opset=opset)
    yield model([squeezed[0], node("Squeeze", ["a"], ["y"])], (), SHAPE, opset=opset)
    yield _one("ReduceSum", opset=opset, axes=[1, 2], keepdims=0)
    yield _one("ReduceSum", opset=opset)
    for split in ({"split": [1, 3]}, {}):
        parts = node("Split", ["x"], ["a", "b"], axis=1, **split)
        joined = node("Concat", ["b", "a"], ["y"], axis=1)
        yield model([parts, joined], (), SHAPE, opset=opset)


def _attributes_that_became_inputs(opset: int) -> Iterator[onnx.ModelProto]:
    factors = [constant(name, np.linspace(0.2, 1.3, 4)) for name in "abcd"]
    spatial = {"spatial": 1} if opset < 9 else {}
    inputs = ("x", *"abcd")
    yield _one("BatchNormalization", opset=opset, weights=factors, inputs=inputs, **spatial)
    yield _one("Dropout", opset=opset, **({"ratio": 0.3} if opset < 12 else {}))
    if opset < 11:
        for limits in ({"min": -0.5, "max": 0.7}, {"min": -0.5}, {}):
            yield _one("Clip", opset=opset, **limits)
        for mode in ("constant", "edge", "reflect"):
            yield _one("Pad", opset=opset, pads=[0, 0, 1, 2, 0, 0, 2, 1], mode=mode, value=0.5)
    if opset < 10:
        yield _one("Slice", opset=opset, starts=[1, -5], ends=[3, 100], axes=[1, 3])
        yield _one("Slice", opset=opset, starts=[0, 1], ends=[3, 100])
        top = node("TopK", ["x"], ["y", "i"], k=3, axis=3)
        yield model([top], (), SHAPE, opset=opset)


def _resized(opset: int) -> Iterator[onnx.ModelProto]:
    for mode in ("nearest", "linear"):
        scales = [1.0, 1.0, 2.0, 3.0]
        if opset < 9:
            yield _one("Upsample", opset=opset, mode=mode, scales=scales)
        if opset == 9:
            weights = [constant("s", scales)]
            yield _one("Upsample", opset=9, mode=mode, weights=weights, inputs=("x", "s"))
        if opset == 10:
            for last in ((2.0, 3.0), (0.5, 0.5), (0.7, 0.6), (2.5, 1.0), (2.0, 0.5), (0.4, 1.5)):
                weights = [constant("s", [1.0, 1.0, *last])]
                yield _one("Resize", opset=10, mode=mode, weights=weights, inputs=("x", "s"))


KINDS = (_normalising, _axes, _attributes_that_became_inputs, _resized)


@pytest.mark.parametrize("opset", OLD)
@pytest.mark.parametrize("kind", KINDS)
def test_a_lifted_network_computes_the_same(kind, opset: int) -> None:
    x = np.random.default_rng(opset).standard_normal(SHAPE).astype(np.float32)
    for given in kind(opset):
        network = load_network(given)
        assert lift(network)
        lifted = network.to_model()
        onnx.checker.check_model(lifted, full_check=True)
        assert network.opset == LIFTED_OPSET
        expected, found = run(given, {"x": x}), run(lifted, {"x": x})
        assert np.array_equal(found["y"], expected["y"], equal_nan=True), given.graph.node


def test_newer_networks_are_left_alone() -> None:
    network = load_network(_one("Softmax", opset=LIFTED_OPSET))
    before = network.to_model()
    assert not lift(network)
    assert network.to_model() == before


def test_names_that_lifting_makes_are_free() -> None:
    nodes = [
        node("Clip", ["x"], ["n/min"], "m", min=0.0),
        node("Clip", ["n/min"], ["y"], "n", max=1.0),
    ]
    given = model(nodes, (), SHAPE, opset=9)
    network = load_network(given)
    lift(network)
    x = np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32)
    assert np.array_equal(run(network.to_model(), {"x": x})["y"], np.clip(x, 0, 1))


def test_a_map_that_grows_and_shrinks_takes_two_operators() -> None:
    weights = [constant("s", [1.0, 1.0, 2.0, 0.5])]
    network = load_network(_one("Resize", opset=10, weights=weights, inputs=("x", "s")))
    lift(network)
    roundings = [node.attrs["nearest_mode"] for node in network.graph.nodes]
    assert roundings == ["floor", "ceil"]
