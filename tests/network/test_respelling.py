"""Operators of which ONNX infers no shape, or that it has withdrawn, as ONNX Runtime runs them."""

import numpy as np
import pytest
from kit.agreement import CHANNELS, agree, convolved, integers
from kit.small_models import constant, model, node, value

from condense_compiler.errors import InputError
from condense_compiler.network import load_network

RANDOM = np.random.default_rng(6)


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("groups", [1, 4, 8])
@pytest.mark.parametrize("opset", [18, 20, 21, 22])
def test_group_normalisation(opset: int, groups: int, batch: int) -> None:
    count = CHANNELS if opset >= 21 else groups
    parameters = [constant(name, RANDOM.normal(size=count)) for name in ("g", "b")]
    norm = node("GroupNormalization", ["c", "g", "b"], ["n"], num_groups=groups, epsilon=0.01)
    agree(
        convolved([norm, node("Relu", ["n"], ["y"])], ["y"], parameters, opset=opset, batch=batch)
    )


def test_group_normalisation_of_rows() -> None:
    parameters = [constant(name, RANDOM.normal(size=2)) for name in ("g", "b")]
    norm = node("GroupNormalization", ["x", "g", "b"], ["y"], num_groups=2)
    agree(model([norm], [value("x", [2, 6, 5])], [value("y", None)], parameters, opset=18))


@pytest.mark.parametrize("axes", [None, [1, 2, 3], [0, 1]])
@pytest.mark.parametrize("opset", [9, 13, 21])
def test_mean_variance_normalisation(opset: int, axes: list[int] | None) -> None:
    attributes = {} if axes is None else {"axes": axes}
    norm = node("MeanVarianceNormalization", ["c"], ["y"], **attributes)
    agree(convolved([norm], ["y"], opset=opset, batch=2))


@pytest.mark.parametrize("opset", [7, 8])
def test_batch_normalisation_of_each_pixel(opset: int) -> None:
    shape = (CHANNELS, 7, 6)
    parameters = [constant(name, RANDOM.uniform(0.5, 2, shape)) for name in "gbmv"]
    norm = node("BatchNormalization", ["c", *"gbmv"], ["y"], spatial=0)
    agree(convolved([norm], ["y"], parameters, opset=opset, batch=2))


def test_batch_normalisation_of_each_pixel_with_a_value_for_each_channel_is_refused() -> None:
    parameters = [constant(name, np.ones(CHANNELS)) for name in "gbmv"]
    norm = node("BatchNormalization", ["c", *"gbmv"], ["y"], spatial=0, name="it")
    with pytest.raises(InputError, match=r"'it'.*BatchNormalization.*each pixel"):
        load_network(convolved([norm], ["y"], parameters, opset=8))


@pytest.mark.parametrize("opset", [9, 11, 22])
def test_unpooling_to_a_constant_shape(opset: int) -> None:
    window = {"kernel_shape": [2, 2], "strides": [2, 2]}
    nodes = [
        node("MaxPool", ["c"], ["v", "i"], **window),
        node("MaxUnpool", ["v", "i", "shape"], ["y"], **window),
    ]
    agree(
        convolved(nodes, ["y"], [integers("shape", 1, CHANNELS, 7, 6)], opset=opset),
        ["onnxruntime"],
    )


@pytest.mark.parametrize(
    ("opset", "axis"), [(9, None), (9, 0), (9, 1), (11, None), (11, 1), (11, -1)]
)
def test_compression_with_a_constant_condition(axis: int | None, opset: int) -> None:
    attributes = {} if axis is None else {"axis": axis}
    condition = constant("k", [False, True, True, False, True][: 2 if axis == 0 else 5], np.bool_)
    compress = node("Compress", ["c", "k"], ["y"], **attributes)
    agree(convolved([compress], ["y"], [condition], opset=opset, batch=2))
