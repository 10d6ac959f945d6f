from collections.abc import Callable

import numpy as np
import onnx
import pytest
from kit.codes_writer import CodesWriter
from kit.numerics import random_feeds, run_onnxruntime
from kit.rewriting import Rewritten, rewrite

import condense_compiler as cc
from condense_compiler.passes import find_pass

SHAPE = (2, 4, 6, 9)
Move = Callable[[CodesWriter, str], str]


def ints(w: CodesWriter, *values: int) -> str:
    return w.constant(np.array(values, np.int64))


def floats(w: CodesWriter, *values: float) -> str:
    return w.constant(np.array(values, np.float32))


def halves(w: CodesWriter, tensor: str) -> str:
    one, two = w.apply("Split", tensor, ints(w, 1, 3), outputs=2, axis=1)
    return w.apply("Concat", two, one, axis=1)[0]


def padded(mode: str, *value: float) -> Move:
    def write(w: CodesWriter, tensor: str) -> str:
        fill = [w.constant(np.float32(v)) for v in value]
        return w.apply("Pad", tensor, ints(w, 0, 0, 1, 2, 0, 0, 0, 1), *fill, mode=mode)[0]

    return write


def resized(**attributes: str) -> Move:
    return lambda w, t: w.apply("Resize", t, "", floats(w, 1, 1, 2, 1.5), **attributes)[0]


MOVES: dict[str, Move] = {
    "pooled": lambda w, t: w.apply("MaxPool", t, kernel_shape=[2, 2])[0],
    "reshaped": lambda w, t: w.apply("Reshape", t, ints(w, 1, 8, 54))[0],
    "transposed": lambda w, t: w.apply("Transpose", t, perm=[0, 2, 3, 1])[0],
    "joined": lambda w, t: w.apply("Concat", t, t, axis=1)[0],
    "split and joined": halves,
    "gathered": lambda w, t: w.apply("Gather", t, ints(w, 2, 0, 3), axis=1)[0],
    "sliced": lambda w, t: w.apply("Slice", t, ints(w, 1), ints(w, 5), ints(w, 3))[0],
    "depth to space": lambda w, t: w.apply("DepthToSpace", t, blocksize=2)[0],
    "tiled": lambda w, t: w.apply("Tile", t, ints(w, 1, 2, 1, 1))[0],
    "expanded": lambda w, t: w.apply("Expand", t, ints(w, 3, 2, 4, 6, 9))[0],
    "maxima": lambda w, t: w.apply("ReduceMax", t, axes=[1])[0],
    "nearest": resized(mode="nearest"),
    "nearest, asymmetric": resized(mode="nearest", coordinate_transformation_mode="asymmetric"),
    "padded with zeros": padded("constant"),
    "padded with a value of a code": padded("constant", -2.5),
    "padded with a value of no code": padded("constant", 0.07),
    "padded with more than any code": padded("constant", 1e9),
    "edges repeated": padded("edge"),
    "mirrored": padded("reflect"),
}
STAY: dict[str, Move] = {
    "interpolated": resized(mode="linear"),
}


def moved(model: onnx.ModelProto) -> Rewritten:
    """Run the pass; what the network computes must not change by a bit."""
    result = rewrite(model, [find_pass("move_codes")])
    feeds = {"x": 4 * random_feeds(model)["x"]}  # some beyond the codes
    expected = run_onnxruntime(model, feeds)
    for name, values in result.outputs(feeds).items():
        np.testing.assert_array_equal(values, expected[name])
    return result


def written(
    move: Move, dtype: type[np.generic], *, same: bool = True, opset: int = 17
) -> onnx.ModelProto:
    w = CodesWriter()
    zero = 100 if dtype is np.uint8 else -28
    first = w.parameters(0.05, zero, dtype)
    second = first if same else w.parameters(0.07, zero - 10, dtype)
    return w.model([w.requantize(move(w, w.requantize("x", first)), second)], SHAPE, opset)


def float_maps(result: Rewritten) -> int:
    """Return the number of maps in floating point between the input and the output."""
    results = (tensor for node in result.network.graph.nodes for tensor in node.outputs)
    return sum(tensor.dtype == np.float32 for tensor in results) - 1


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
@pytest.mark.parametrize("move", MOVES.values(), ids=MOVES)
def test_codes_are_moved_instead_of_values(move: Move, dtype: type[np.generic]) -> None:
    result = moved(written(move, dtype))
    assert float_maps(result) == 0
    assert result.operators.count("QuantizeLinear") == 1


@pytest.mark.parametrize("move", STAY.values(), ids=STAY)
def test_what_makes_new_values_stays(move: Move) -> None:
    assert not moved(written(move, np.uint8)).outcomes["move_codes"].rewrites


def test_places_of_maxima_are_those_of_values() -> None:
    w = CodesWriter()
    grid = w.parameters(0.05, 100)
    pooled, places = w.apply("MaxPool", w.requantize("x", grid), outputs=2, kernel_shape=[2, 2])
    [cast] = w.apply("Cast", places, to=onnx.TensorProto.FLOAT)
    result = moved(w.model([w.requantize(pooled, grid), cast], SHAPE))
    assert not result.outcomes["move_codes"].rewrites


@pytest.mark.parametrize("move", MOVES.values(), ids=MOVES)
def test_other_codes_behind_are_made_of_moved_codes(move: Move) -> None:
    result = moved(written(move, np.uint8, same=False))
    assert float_maps(result) == 1  # dequantised last, right in front of the quantisation


@pytest.mark.parametrize("opset", [11, 12])
def test_old_opsets_move_codes_behind_lifting(opset: int) -> None:
    compilation = cc.compile(written(MOVES["split and joined"], np.uint8, opset=13))
    expected = compilation.report.after.arena_bytes
    w = CodesWriter()
    grid = w.parameters(0.05, 100)
    one, two = w.apply("Split", w.requantize("x", grid), outputs=2, axis=1, split=[1, 3])
    [joined] = w.apply("Concat", two, one, axis=1)
    old = cc.compile(w.model([w.requantize(joined, grid)], SHAPE, opset))
    assert old.report.after.arena_bytes == expected
    assert old.report.verification is not None
    assert old.report.verification.passed


def test_one_part_in_floating_point_does_not_hold_the_others_back() -> None:
    w = CodesWriter()
    grid = w.parameters(0.05, 100)
    one, two = w.apply("Split", w.requantize("x", grid), ints(w, 1, 3), outputs=2, axis=1)
    [other] = w.apply("Erf", one)
    result = moved(w.model([w.requantize(two, grid), other], SHAPE))
    assert result.node("Split").outputs[0].dtype == np.uint8


def test_larger_maps_are_moved_as_codes_only_if_nobody_wants_their_values() -> None:
    w = CodesWriter()
    grid = w.parameters(0.05, 100)
    large = resized(mode="nearest")(w, w.requantize("x", grid))
    [other] = w.apply("Erf", large)
    result = moved(w.model([w.requantize(large, grid), other], SHAPE))
    assert result.node("Resize").outputs[0].dtype == np.uint8  # one of two readers wants codes
    w = CodesWriter()
    large = resized(mode="nearest")(w, w.requantize("x", w.parameters(0.05, 100)))
    result = moved(w.model([w.apply("Erf", large)[0]], SHAPE))
    assert result.node("Resize").outputs[0].dtype == np.float32


def test_an_output_keeps_its_values() -> None:
    w = CodesWriter()
    [turned] = w.apply("Transpose", w.requantize("x", w.parameters(0.05, 100)))
    assert not moved(w.model([turned], SHAPE)).outcomes["move_codes"].rewrites


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
def test_codes_whose_zero_point_is_left_out(dtype: type[np.generic]) -> None:
    """Without a zero point the type of the codes says what they are."""
    w = CodesWriter()
    scale, zero = w.parameters(0.05, 0, dtype)
    [codes] = w.apply("QuantizeLinear", "x", scale, zero)
    [values] = w.apply("DequantizeLinear", codes, scale)
    [turned] = w.apply("Transpose", values)
    result = moved(w.model([w.requantize(turned, (scale, zero))], SHAPE))
    assert float_maps(result) == 0
