"""Matrix products and operators by parts between quantisations, against ONNX Runtime."""

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kit.codes_writer import CodesWriter
from kit.numerics import random_feeds, run_onnxruntime
from kit.rewriting import rewrite

import condense_compiler as cc
from condense_compiler.operators.on_codes import ON_CODES_OP
from condense_compiler.passes import find_pass

Write = Callable[[CodesWriter, str], str]
STEP = 0.06


def check(write: Write, shape: tuple[int, ...], opset: int = 17) -> None:
    """Compile an operator between quantisations: no values stored, at most one step apart."""
    w = CodesWriter()
    values = w.requantize("x", w.parameters(0.03, 120))
    model = w.model([w.requantize(write(w, values), w.parameters(STEP, 110))], shape, opset)
    result = rewrite(model, [find_pass("stay_in_codes")])
    assert ON_CODES_OP in result.operators
    maps = [t for node in result.network.graph.nodes for t in node.outputs]
    assert [t.dtype == np.float32 for t in maps] == [False] * (len(maps) - 1) + [True]
    feeds = random_feeds(model)
    [expected] = run_onnxruntime(model, feeds).values()
    for outputs in (result.outputs(feeds), cc.compile(model).run(feeds)):
        [found] = outputs.values()
        assert np.abs(found - expected).max() <= 1.001 * STEP


def weights(
    w: CodesWriter, shape: tuple[int, ...], axis: int | None, dtype: type[np.generic] = np.int8
) -> str:
    """Store weights as codes, with a scale for each index of an axis or for all."""
    count = () if axis is None else (shape[axis],)
    limits = np.iinfo(dtype)
    codes = w.constant(w.random.integers(limits.min, limits.max, shape).astype(dtype))
    scales = w.constant(w.random.uniform(0.002, 0.004, count).astype(np.float32))
    zeros = w.constant(np.full(count, limits.max // 2 if limits.min == 0 else 0, dtype))
    attributes = {} if axis is None else {"axis": axis}
    return w.apply("DequantizeLinear", codes, scales, zeros, **attributes)[0]


def bias(w: CodesWriter, size: int, kind: str) -> list[str]:
    if kind == "none":
        return []
    if kind == "values":
        return [w.constant(w.random.uniform(-1, 1, size).astype(np.float32))]
    codes = w.constant(w.random.integers(-900, 900, size).astype(np.int32))
    scales = w.constant(w.random.uniform(0.001, 0.002, size).astype(np.float32))
    return w.apply("DequantizeLinear", codes, scales, axis=0)


@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_general_products(data: st.DataObject) -> None:
    rows, depth, columns = (data.draw(st.integers(1, 9)) for _ in range(3))
    turned = data.draw(st.tuples(st.booleans(), st.booleans()))
    attributes = {"transA": int(turned[0]), "transB": int(turned[1])}
    attributes |= data.draw(st.sampled_from([{}, {"alpha": 0.5}, {"alpha": 2.0, "beta": 0.25}]))
    shape = (columns, depth) if turned[1] else (depth, columns)
    axis = data.draw(st.sampled_from([None, 0, 1]))
    dtype = data.draw(st.sampled_from([np.int8, np.uint8]))
    kind = data.draw(st.sampled_from(["none", "values", "codes"]))

    def write(w: CodesWriter, x: str) -> str:
        added = bias(w, columns, kind)
        return w.apply("Gemm", x, weights(w, shape, axis, dtype), *added, **attributes)[0]

    check(write, (depth, rows) if turned[0] else (rows, depth))


SIDES = [
    ((3, 5), (5, 4)),
    ((2, 3, 5), (5, 4)),
    ((2, 3, 5), (2, 5, 1)),
    ((5,), (5, 4)),
    ((3, 5), (5,)),
]


@pytest.mark.parametrize(("left", "right"), SIDES)
@pytest.mark.parametrize("per_channel", [False, True])
def test_products_with_weights(
    left: tuple[int, ...], right: tuple[int, ...], per_channel: bool
) -> None:
    axis = len(right) - 1 if per_channel else None
    check(lambda w, x: w.apply("MatMul", x, weights(w, right, axis))[0], left)


def test_weights_in_floating_point_stay_as_they_are() -> None:
    def write(w: CodesWriter, x: str) -> str:
        return w.apply("MatMul", x, w.constant(w.random.normal(0, 1, (7, 3)).astype(np.float32)))[0]

    check(write, (4, 7))


@pytest.mark.parametrize("shape", [(4, 4), (2, 3, 5, 5)])
def test_products_of_two_maps(shape: tuple[int, ...]) -> None:
    def write(w: CodesWriter, x: str) -> str:
        other = w.requantize(w.apply("Neg", x)[0], w.parameters(0.04, 90))
        return w.apply("MatMul", x, other)[0]

    check(write, shape)


def test_large_products_are_computed_block_by_block() -> None:
    check(lambda w, x: w.apply("MatMul", x, weights(w, (300, 257), 1))[0], (190, 300))


def ints(w: CodesWriter, *values: int) -> str:
    return w.constant(np.array(values, np.int64))


def floats(w: CodesWriter, *values: float) -> str:
    return w.constant(np.array(values, np.float32))


PARTS: dict[str, tuple[Write, int]] = {
    "mean": (lambda w, x: w.apply("ReduceMean", x, axes=[2, 3])[0], 17),
    "mean, axes behind": (lambda w, x: w.apply("ReduceMean", x, axes=[-1])[0], 13),
    "mean without axes": (lambda w, x: w.apply("ReduceMean", x, axes=[3, 2], keepdims=0)[0], 17),
    "mean, axes an input": (lambda w, x: w.apply("ReduceMean", x, ints(w, 2, 3))[0], 18),
    "sum": (lambda w, x: w.apply("ReduceSum", x, ints(w, 3), keepdims=0)[0], 13),
    "length": (lambda w, x: w.apply("ReduceL2", x, axes=[2, 3])[0], 17),
    "softmax": (lambda w, x: w.apply("Softmax", x, axis=-1)[0], 17),
    "lp pool": (lambda w, x: w.apply("LpPool", x, kernel_shape=[2, 2])[0], 17),
    "linear": (
        lambda w, x: w.apply("Resize", x, "", floats(w, 1, 1, 2, 1.5), mode="linear")[0],
        17,
    ),
    "linear to a size": (
        lambda w, x: w.apply("Resize", x, "", "", ints(w, 2, 5, 9, 13), mode="linear")[0],
        17,
    ),
}


@pytest.mark.parametrize(("write", "opset"), PARTS.values(), ids=PARTS)
def test_parts(write: Write, opset: int) -> None:
    check(write, (2, 5, 6, 7), opset)


def test_many_values_at_one_time_save_nothing() -> None:
    """Where all of a map is one part, its values need more than they do between operators."""
    w = CodesWriter()
    values = w.requantize("x", w.parameters(0.03, 120))
    [mean] = w.apply("ReduceMean", values, axes=[1])
    model = w.model([w.requantize(mean, w.parameters(STEP, 110))], (1, 64, 30, 30))
    result = rewrite(model, [find_pass("stay_in_codes")])
    assert ON_CODES_OP not in result.operators


@pytest.mark.parametrize("limits", [(-0.5, 0.7), (None, 0.4), (0.1, None)])
def test_limits(limits: tuple[float | None, float | None]) -> None:
    def write(w: CodesWriter, x: str) -> str:
        bounds = ["" if limit is None else w.constant(np.float32(limit)) for limit in limits]
        return w.apply("Clip", x, *bounds)[0]

    check(write, (2, 5, 6, 7))


@pytest.mark.parametrize("op", ["Sum", "Mean", "Max", "Min"])
def test_several_maps(op: str) -> None:
    def write(w: CodesWriter, x: str) -> str:
        others = [w.requantize(w.apply(f, x)[0], w.parameters(0.02, 100)) for f in ("Neg", "Abs")]
        return w.apply(op, x, *others)[0]

    check(write, (2, 5, 6, 7))


def test_models_are_written_and_read_again(tmp_path) -> None:
    def model(w: CodesWriter) -> onnx.ModelProto:
        values = w.requantize("x", w.parameters(0.03, 120))
        [product] = w.apply("Gemm", values, weights(w, (7, 3), 1), *bias(w, 3, "codes"))
        return w.model([w.requantize(product, w.parameters(STEP, 110))], (4, 7))

    given = model(CodesWriter())
    cc.compile(given, target="onnxruntime").save(tmp_path)
    feeds = random_feeds(given)
    [expected] = run_onnxruntime(given, feeds).values()
    [found] = cc.compile(tmp_path / "model.onnx").run(feeds).values()
    assert np.abs(found - expected).max() <= 1.001 * STEP
