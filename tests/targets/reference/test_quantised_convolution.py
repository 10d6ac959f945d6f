"""Convolutions of codes: exact sums, scaled and rounded as ONNX Runtime does."""

import numpy as np
import pytest
from hypothesis import given, settings
from kit.fused import FusedLayer
from kit.numerics import run_onnxruntime
from kit.quantized import QuantizedLayer, quantized_layers
from onnx import helper

import condense_compiler as cc
from condense_compiler.operators.fused import ConvPool
from condense_compiler.operators.window import Window


def compare(layer: QuantizedLayer) -> None:
    model, feeds = layer.model(), layer.feeds()
    expected = run_onnxruntime(model, feeds)["y"]
    found = cc.compile(model, target_options={"poison": "true"}).run(feeds)["y"]
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


@settings(max_examples=150, deadline=None)
@given(layer=quantized_layers())
def test_any_layer(layer: QuantizedLayer) -> None:
    compare(layer)


def test_maps_of_several_stripes() -> None:
    window = Window((3, 3), (2, 1), (1, 1, 1, 1), (1, 1))
    pool = Window((3, 3), (2, 2), (1, 1, 1, 1), (1, 1), ceil_mode=True)
    recipe = ConvPool(window, 1, "max", 2, spatial=pool)
    compare(QuantizedLayer(FusedLayer(recipe, 1, 32, 16, (150, 101)), table=True))


@pytest.mark.parametrize("group", [1, 2])
def test_convolution_without_pooling(compare, group):
    generator = np.random.default_rng(3)
    constants = {
        "x_scale": np.float32(0.03),
        "x_zero": np.uint8(121),
        "w": generator.integers(-128, 128, (6, 4 // group, 3, 2)).astype(np.int8),
        "w_scale": generator.uniform(0.001, 0.01, 6).astype(np.float32),
        "w_zero": np.zeros(6, np.int8),
        "y_scale": np.float32(0.02),
        "y_zero": np.uint8(118),
        "b": generator.integers(-3000, 3000, 6).astype(np.int32),
    }
    node = helper.make_node(
        "QLinearConv",
        ["x", *constants],
        ["y"],
        group=group,
        pads=[1, 0, 0, 1],
        strides=[2, 1],
        dilations=[1, 2],
    )
    x = generator.integers(0, 256, (2, 4, 9, 8)).astype(np.uint8)
    executable = compare(node, {"x": x}, constants)
    assert executable.facts()["computed_by"] == {}
