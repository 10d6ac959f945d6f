from collections.abc import Callable
from itertools import pairwise

import numpy as np
import onnx
import pytest
from kit.codes_writer import CodesWriter
from kit.numerics import random_feeds, run_onnxruntime
from kit.rewriting import Rewritten, rewrite

from condense_compiler.passes import find_pass

SHAPE = (1, 4, 6, 5)


def dropped(write: Callable[[CodesWriter], list[str]]) -> Rewritten:
    """Run the pass; values must be the very same."""
    writer = CodesWriter()
    model = writer.model(write(writer), SHAPE)
    result = rewrite(model, [find_pass("drop_signs")])
    feeds = {"x": 4 * random_feeds(model)["x"]}  # some beyond the codes
    expected = run_onnxruntime(model, feeds)
    for name, values in result.outputs(feeds).items():
        np.testing.assert_array_equal(values, expected[name])
    return result


def types(result: Rewritten) -> set[np.dtype]:
    return {
        np.dtype(tensor.dtype)
        for node in result.network.graph.nodes
        for tensor in node.outputs
        if node.op == "QuantizeLinear"
    }


@pytest.mark.parametrize("zero", [-128, -7, 0, 127])
def test_codes_lose_their_sign(zero: int) -> None:
    result = dropped(lambda w: [w.requantize("x", w.parameters(0.05, zero, np.int8))])
    assert types(result) == {np.dtype(np.uint8)}


def test_all_readers_follow() -> None:
    def write(w: CodesWriter) -> list[str]:
        [codes] = w.apply("QuantizeLinear", "x", *w.parameters(0.05, 3, np.int8))
        readers = [w.parameters(0.05, 3, np.int8), w.parameters(0.02, -9, np.int8)]
        return [w.apply("DequantizeLinear", codes, *grid)[0] for grid in readers]

    assert types(dropped(write)) == {np.dtype(np.uint8)}


def convolved(w: CodesWriter, filters: type[np.generic] = np.int8) -> list[str]:
    """Append QLinearConv, a pooling of codes, and another QLinearConv."""
    grids = [w.parameters(0.05, zero, np.int8) for zero in (3, -9, 20)]
    [codes] = w.apply("QuantizeLinear", "x", *grids[0])
    for source, to in pairwise(grids):
        values = w.constant(w.random.integers(0, 90, (4, 4, 2, 2)).astype(filters))
        weights = (values, *w.parameters(0.01, 40, filters))
        [codes] = w.apply("QLinearConv", codes, *source, *weights, *to)
        [codes] = w.apply("MaxPool", codes, kernel_shape=[2, 1])
    return [w.apply("DequantizeLinear", codes, *grids[2])[0]]


def test_integer_convolutions_follow() -> None:
    result = dropped(convolved)
    made = {t.dtype for node in result.network.graph.nodes[:-1] for t in node.outputs}
    assert made == {np.dtype(np.uint8)}


def mixed(w: CodesWriter) -> list[str]:
    """An integer convolution whose result others read as codes: its input keeps its sign, too."""
    grid = w.parameters(0.05, 3, np.int8)
    [codes] = w.apply("QuantizeLinear", "x", *grid)
    values = w.constant(w.random.integers(0, 90, (4, 4, 2, 2)).astype(np.int8))
    [made] = w.apply("QLinearConv", codes, *grid, values, *w.parameters(0.01, 4, np.int8), *grid)
    [cast] = w.apply("Cast", made, to=onnx.TensorProto.FLOAT)
    return [w.apply("DequantizeLinear", made, *grid)[0], cast]


def without_sign(w: CodesWriter) -> list[str]:
    return [w.requantize("x", w.parameters(0.05, 3))]


def read_as_numbers(w: CodesWriter) -> list[str]:
    grid = w.parameters(0.05, 3, np.int8)
    [codes] = w.apply("QuantizeLinear", "x", *grid)
    [cast] = w.apply("Cast", codes, to=onnx.TensorProto.FLOAT)
    return [w.apply("DequantizeLinear", codes, *grid)[0], cast]


@pytest.mark.parametrize("write", [without_sign, read_as_numbers, mixed])
def test_what_others_read_keeps_its_sign(write: Callable[[CodesWriter], list[str]]) -> None:
    assert not dropped(write).outcomes["drop_signs"].rewrites


def test_outputs_keep_their_type() -> None:
    writer = CodesWriter()
    [codes] = writer.apply("QuantizeLinear", "x", *writer.parameters(0.05, 3, np.int8))
    model = writer.model([codes], SHAPE)
    model.graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.INT8
    result = rewrite(model, [find_pass("drop_signs")])
    assert not result.outcomes["drop_signs"].rewrites


@pytest.mark.parametrize("fill", [None, -9, 127])
def test_padding_follows(fill: int | None) -> None:
    def write(w: CodesWriter) -> list[str]:
        grid = w.parameters(0.05, 3, np.int8)
        [codes] = w.apply("QuantizeLinear", "x", *grid)
        pads = w.constant(np.array([0, 0, 1, 2, 0, 0, 0, 1]))
        value = [] if fill is None else [w.constant(np.array(fill, np.int8))]
        [padded] = w.apply("Pad", codes, pads, *value)
        return [w.apply("DequantizeLinear", padded, *grid)[0]]

    assert types(dropped(write)) == {np.dtype(np.uint8)}


def test_places_of_maxima_hold_maps_with_a_sign_back() -> None:
    def write(w: CodesWriter) -> list[str]:
        grid = w.parameters(0.05, 3, np.int8)
        [codes] = w.apply("QuantizeLinear", "x", *grid)
        pooled, places = w.apply("MaxPool", codes, outputs=2, kernel_shape=[2, 2])
        [cast] = w.apply("Cast", places, to=onnx.TensorProto.FLOAT)
        return [w.apply("DequantizeLinear", pooled, *grid)[0], cast]

    assert not dropped(write).outcomes["drop_signs"].rewrites
