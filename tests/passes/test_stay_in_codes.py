from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from kit.codes_writer import CodesWriter, Grid
from kit.numerics import random_feeds, run_onnxruntime
from kit.quantising import quantised, run_optimised
from kit.rewriting import Rewritten, rewrite
from kit.to_quantise import Writer, plain, residual
from onnxruntime.quantization import QuantType

import condense_compiler as cc
from condense_compiler.passes import find_pass

SHAPE = (1, 4, 9, 8)
UNSIGNED, SIGNED = QuantType.QUInt8, QuantType.QInt8
Write = Callable[[CodesWriter], str]


def rewritten(model: onnx.ModelProto) -> Rewritten:
    """Run the pass; the codes must be those that ONNX Runtime computes from the model as given."""
    result = rewrite(model, [find_pass("stay_in_codes")])
    for seed in range(3):
        feeds = random_feeds(model, seed)
        both = (run_optimised(each, feeds) for each in (result.model, model))
        for found, expected in zip(*both, strict=True):
            np.testing.assert_array_equal(found, expected)
    return result


def written(write: Write) -> Rewritten:
    writer = CodesWriter()
    return rewritten(writer.model([write(writer)], SHAPE))


def convolved(
    w: CodesWriter,
    data: str,
    dtype: type[np.generic] = np.int8,
    zeros: np.ndarray | None = None,
    bias_scale: float | None = None,
) -> str:
    """Append a convolution by codes of a map whose step is 0.05."""
    values = w.random.integers(0, 100, (6, 4, 3, 3)).astype(dtype)
    scales = w.constant(w.random.uniform(0.01, 0.02, 6).astype(np.float32))
    zero = w.constant(np.full(6, 45, dtype) if zeros is None else zeros.astype(dtype))
    [filters] = w.apply("DequantizeLinear", w.constant(values), scales, zero, axis=0)
    added = []
    if bias_scale is not None:
        units = w.constant(np.full(6, bias_scale, np.float32))
        bias = w.constant(w.random.integers(-900, 900, 6).astype(np.int32))
        added = w.apply("DequantizeLinear", bias, units, axis=0)
    return w.apply("Conv", data, filters, *added, pads=[1] * 4)[0]


def input_grid(w: CodesWriter, dtype: type[np.generic] = np.uint8) -> Grid:
    return w.parameters(0.05, 100, dtype)


# ONNX Runtime has no filters without sign that have a zero each.
@pytest.mark.parametrize(
    ("filters", "per_channel"), [(SIGNED, False), (SIGNED, True), (UNSIGNED, False)]
)
@pytest.mark.parametrize("network", [residual, plain])
def test_convolutions_that_onnx_runtime_quantised(
    network: Callable[[], onnx.ModelProto], filters: QuantType, per_channel: bool, tmp_path: Path
) -> None:
    given = quantised(network(), tmp_path, filters=filters, per_channel=per_channel)
    result = rewritten(given)
    convolutions = sum(node.op_type == "Conv" for node in given.graph.node)
    assert result.operators.count("QLinearConv") == convolutions
    assert "Conv" not in result.operators


ACTIVATIONS: dict[str, tuple[tuple[str, ...], int, bool]] = {
    "relu below which there is no code": (("Relu",), 0, True),
    "relu": (("Relu",), 90, False),
    "clip to what codes mean": (("Clip", 0.0, 15.3), 0, True),
    "clip to more": (("Clip", -1.0, 99.0), 0, True),
    "clip from below": (("Clip", 0.0), 0, True),
    "clip": (("Clip", 0.0, 6.0), 0, False),
    "sigmoid": (("Sigmoid",), 0, False),
}


@pytest.mark.parametrize(("activation", "zero", "goes"), ACTIVATIONS.values(), ids=ACTIVATIONS)
def test_activations(activation: tuple[str, ...], zero: int, goes: bool) -> None:
    def write(w: CodesWriter) -> str:
        tensor = convolved(w, w.requantize("x", input_grid(w)))
        op, *limits = activation
        [tensor] = w.apply(op, tensor, *(w.constant(np.float32(limit)) for limit in limits))
        return w.requantize(tensor, w.parameters(0.06, zero))

    writer = CodesWriter()
    result = rewrite(writer.model([write(writer)], SHAPE), [find_pass("stay_in_codes")])
    assert (activation[0] not in result.operators) == goes
    assert ("QLinearConv" in result.operators) == goes
    result.check_outputs(tolerance=0.06 / 10)


def grid(scale: float, zero: int) -> Callable[[CodesWriter], Grid]:
    return lambda w: w.parameters(scale, zero)


def read_twice(w: CodesWriter) -> str:
    tensor = convolved(w, w.requantize("x", input_grid(w)))
    codes = w.requantize(tensor, w.parameters(0.06, 90))
    return w.apply("Add", tensor, codes)[0]


LEFT: dict[str, Write] = {
    "values of the input": lambda w: w.requantize(convolved(w, "x"), w.parameters(0.06, 90)),
    "read twice": read_twice,
    "an output": lambda w: convolved(w, w.requantize("x", input_grid(w))),
}

# ONNX Runtime has no QLinearConv of these.
UNUSUAL: dict[str, Write] = {
    "a zero for each filter": lambda w: w.requantize(
        convolved(w, w.requantize("x", input_grid(w)), zeros=np.arange(6)), w.parameters(0.06, 90)
    ),
    "results with a sign": lambda w: w.requantize(
        convolved(w, w.requantize("x", input_grid(w))), w.parameters(0.06, 9, np.int8)
    ),
    "filters without": lambda w: w.requantize(
        convolved(w, w.requantize("x", input_grid(w, np.int8)), np.uint8),
        w.parameters(0.06, 9, np.int8),
    ),
    "a bias in units of its own": lambda w: w.requantize(
        convolved(w, w.requantize("x", input_grid(w)), bias_scale=0.003),
        w.parameters(0.06, 9, np.int8),
    ),
}


@pytest.mark.parametrize("write", UNUSUAL.values(), ids=UNUSUAL)
@pytest.mark.parametrize("target", ["reference", "onnxruntime"])
def test_convolutions_of_other_types_are_functions(write: Write, target: str) -> None:
    writer = CodesWriter()
    model = writer.model([write(writer)], (3, *SHAPE[1:]))
    result = rewrite(model, [find_pass("stay_in_codes")])
    assert result.operators == ["QuantizeLinear", "OnCodes", "DequantizeLinear"]
    compilation = cc.compile(model, target)
    feeds = random_feeds(model)
    [found], [expected] = compilation.run(feeds).values(), run_onnxruntime(model, feeds).values()
    assert np.abs(found - expected).max() <= 1.001 * 0.06


@pytest.mark.parametrize("write", LEFT.values(), ids=LEFT)
def test_what_has_no_integer_operator_is_left(write: Write) -> None:
    writer = CodesWriter()
    result = rewrite(writer.model([write(writer)], SHAPE), [find_pass("stay_in_codes")])
    assert "Conv" in result.operators
    assert not result.outcomes["stay_in_codes"].rewrites


def test_filters_that_the_network_computes_are_left() -> None:
    def write(w: CodesWriter) -> str:
        data = w.requantize("x", input_grid(w))
        [summed] = w.apply("ReduceSum", "x", w.constant(np.array([1])))
        filters = w.requantize(w.apply("Concat", *[summed] * 4, axis=1)[0], w.parameters(0.1, 9))
        [tensor] = w.apply("Conv", data, filters)
        return w.requantize(tensor, w.parameters(0.06, 90))

    writer = CodesWriter()
    result = rewrite(writer.model([write(writer)], SHAPE), [find_pass("stay_in_codes")])
    assert "Conv" in result.operators


def test_no_values_are_stored(tmp_path: Path) -> None:
    w = Writer()
    first = w.write("Relu", w.conv("x", 5, 40, 3))
    pooled = w.write("MaxPool", w.conv(first, 40, 40, 3), kernel_shape=[2, 2], strides=[2, 2])
    w.write("Relu", w.conv(pooled, 40, 2, 1), output="y")
    given = quantised(w.model((1, 2, 6, 5)), tmp_path)
    maps = cc.compile(given).report.to_dict()["feature_maps"]
    pixels = 13 * 11
    assert maps["before"]["arena_bytes"] > 4 * 40 * pixels
    assert maps["after"]["arena_bytes"] == 2 * 40 * pixels


@pytest.mark.parametrize("op", ["Sub", "PRelu", "Mul", "Add", "Max"])
@pytest.mark.parametrize("constant_first", [True, False])
def test_constants_keep_their_side(op: str, constant_first: bool) -> None:
    """`c - x` must not become `x - c`."""

    def write(w: CodesWriter) -> str:
        values = w.requantize("x", input_grid(w))
        constant = w.constant(w.random.uniform(0.2, 3, (1, 4, 1, 1)).astype(np.float32))
        operands = (constant, values) if constant_first else (values, constant)
        if op == "PRelu" and constant_first:
            operands = (values, constant)  # a slope cannot be the wider one
        return w.requantize(w.apply(op, *operands)[0], w.parameters(0.03, 100))

    written(write)
