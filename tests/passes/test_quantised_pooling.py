"""Layers in 8 bits are fused like others, and compute the same codes."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
from kit.codes_writer import CodesWriter
from kit.layers import Layer, Network
from kit.numerics import random_feeds, run_onnxruntime
from kit.quantising import FORMATS, quantised, run_optimised
from kit.rewriting import rewrite
from kit.spellings import ALL_SPELLINGS
from onnxruntime.quantization import QuantType

import condense_compiler as cc
from condense_compiler.operators.fused import OP
from condense_compiler.operators.quantized import QUANTIZED_OP
from condense_compiler.targets.onnxruntime import onnxruntime_session

CHANNELS, OUTPUTS, SIDE = 5, 6, 9


@dataclass(frozen=True)
class Spelling:
    """How a quantized layer is written.

    Attributes:
        split: Split and Max instead of Reshape and ReduceMax.
        activation: Operator between convolution and grouping.
        between: Q and DQ between grouping and maximum.
        max_pool: A spatial max-pooling behind.
        integer_bias: The bias is stored as int32.
        window: Maps that are pooled into one.
        slope: Slope of LeakyRelu; a negative one does not keep order.
        read_twice: Something else reads the wide maps, too.
        requantised: The pooled maps are quantised again.
        quantised_maps: The wide maps are quantised.
        quantised_data: The input of the convolution is quantised.
        data_type: Type of the codes of the input.
        behind: Operator behind the pooling.
        bias_units: Units of the stored bias, in those of the sums.
        scales_of_channels: Filters have a scale for each input channel.
    """

    split: bool = False
    activation: str = "LeakyRelu"
    between: bool = True
    max_pool: bool = True
    integer_bias: bool = True
    window: int = 2
    slope: float = 0.1
    read_twice: bool = False
    requantised: bool = True
    quantised_maps: bool = True
    quantised_data: bool = True
    data_type: type[np.generic] = np.uint8
    behind: str = ""
    bias_units: float = 1.0
    scales_of_channels: bool = False


def model(spelling: Spelling) -> onnx.ModelProto:
    write = CodesWriter()
    wide = OUTPUTS * spelling.window
    scale, filter_scale = 0.05, 0.01
    data = "x"
    if spelling.quantised_data:
        data = write.requantize("x", write.parameters(scale, 120, spelling.data_type))
    values = write.random.integers(-100, 100, (wide, CHANNELS, 3, 3)).astype(np.int8)
    count = (CHANNELS,) if spelling.scales_of_channels else ()
    unit = np.full(count, filter_scale, np.float32), np.zeros(count, np.int8)
    [filters] = write.apply("DequantizeLinear", write.constant(values), *map(write.constant, unit))
    bias = write.random.integers(-2000, 2000, wide).astype(np.int32)
    if spelling.integer_bias:
        units = np.float32(scale) * np.float32(filter_scale) * np.float32(spelling.bias_units)
        steps = write.constant(units)
        [added] = write.apply(
            "DequantizeLinear", write.constant(bias), steps, write.constant(np.int32(0))
        )
    else:
        added = write.constant((bias * np.float32(scale * filter_scale)).astype(np.float32))
    [tensor] = write.apply("Conv", data, filters, added, kernel_shape=[3, 3], pads=[1] * 4)
    extra = [tensor] if spelling.read_twice else []
    if spelling.quantised_maps:
        tensor = write.requantize(tensor, write.parameters(0.06, 131))
    if spelling.activation:
        attributes = {"alpha": spelling.slope} if spelling.activation == "LeakyRelu" else {}
        [tensor] = write.apply(spelling.activation, tensor, **attributes)
    parameters = write.parameters(0.05, 40)
    if spelling.activation:
        tensor = write.requantize(tensor, parameters)
    tensor = _maximum(write, tensor, spelling, parameters)
    last = write.parameters(0.045, 35)
    if spelling.max_pool:
        tensor = write.requantize(tensor, parameters) if spelling.between else tensor
        [tensor] = write.apply("MaxPool", tensor, kernel_shape=[2, 2], strides=[2, 2])
    if spelling.behind:
        [tensor] = write.apply(spelling.behind, tensor)
    y = write.requantize(tensor, last) if spelling.requantised else tensor
    outputs = [y, *extra]
    return write.model(outputs, (1, CHANNELS, SIDE, SIDE), opset=21)


def _maximum(
    write: CodesWriter, tensor: str, spelling: Spelling, parameters: tuple[str, str]
) -> str:
    if spelling.split:
        sizes = write.constant(np.full(spelling.window, OUTPUTS))
        parts = write.apply("Split", tensor, sizes, outputs=spelling.window, axis=1)
        if spelling.between and spelling.activation:
            parts = [write.requantize(part, parameters) for part in parts]
        return write.apply("Max", *parts)[0]
    shape = write.constant(np.array([1, OUTPUTS, spelling.window, SIDE, SIDE]))
    [tensor] = write.apply("Reshape", tensor, shape)
    if spelling.between and spelling.activation:
        tensor = write.requantize(tensor, parameters)
    return write.apply("ReduceMax", tensor, write.constant(np.array([2])), keepdims=0)[0]


SPELLINGS = [
    Spelling(),
    Spelling(split=True),
    Spelling(between=False),
    Spelling(split=True, between=False, max_pool=False),
    Spelling(activation="", max_pool=False),
    Spelling(activation="Relu", integer_bias=False, window=3),
    Spelling(split=True, window=4),
    Spelling(requantised=False),
    Spelling(requantised=False, max_pool=False, split=True),
    Spelling(requantised=False, max_pool=False, behind="Tanh"),
]


@pytest.mark.parametrize("spelling", SPELLINGS, ids=str)
def test_layers_are_fused_and_compute_the_same(spelling: Spelling) -> None:
    given = model(spelling)
    result = rewrite(given)
    assert result.operators.count(QUANTIZED_OP) == 1
    assert "Conv" not in result.operators
    x = np.random.default_rng(1).standard_normal((1, CHANNELS, SIDE, SIDE), np.float32) * 3
    [expected] = run_onnxruntime(given, {"x": x}).values()
    [plain] = run_onnxruntime(result.model, {"x": x}).values()
    [fused] = onnxruntime_session(result.model).run(None, {"x": x})
    np.testing.assert_array_equal(fused, plain)
    # ONNX Runtime without its optimiser sums in floating point: a sum exactly between two steps
    # may be rounded to either.
    step = 0.05
    assert np.abs(fused - expected).max() <= step * 1.01
    assert np.mean(fused != expected) < 0.01


FLOAT_SPELLINGS = [
    Spelling(quantised_data=False),
    Spelling(quantised_data=False, quantised_maps=False, activation="", requantised=False),
    Spelling(quantised_data=False, quantised_maps=False, between=False, split=True, window=3),
]


@pytest.mark.parametrize("spelling", FLOAT_SPELLINGS, ids=str)
def test_filters_alone_in_codes_are_fused_in_floating_point(spelling: Spelling) -> None:
    given = model(spelling)
    result = rewrite(given)
    assert OP in result.operators
    assert "Conv" not in result.operators
    x = np.random.default_rng(1).standard_normal((1, CHANNELS, SIDE, SIDE), np.float32) * 3
    [expected] = run_onnxruntime(given, {"x": x}).values()
    [plain] = run_onnxruntime(result.model, {"x": x}).values()
    [fused] = onnxruntime_session(result.model).run(None, {"x": x})
    step = 0.06  # a sum between two codes may be rounded to either
    is_rounded = spelling.quantised_maps or spelling.requantised
    tolerance = step * 1.01 if is_rounded else 1e-6 * np.abs(expected).max()
    assert np.abs(fused - expected).max() <= tolerance
    assert np.abs(plain - expected).max() <= tolerance
    assert np.mean(np.abs(fused - expected) > 1e-5) < 0.01


FILTER_SCALES = {
    "one": {},
    "one for each filter": {"axis": 0},
    "one for each block": {"axis": 1, "block_size": 2},
}


@pytest.mark.parametrize("reduction", ["ReduceMax", "ReduceMean", "ReduceL2"])
@pytest.mark.parametrize("scales", FILTER_SCALES)
@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
def test_how_filters_alone_are_stored(reduction: str, scales: str, dtype: type[np.generic]) -> None:
    w = CodesWriter()
    attributes = FILTER_SCALES[scales]
    shape = {"one": (), "one for each filter": (12,), "one for each block": (12, 3, 3, 3)}[scales]
    codes = w.constant(w.random.integers(0, 100, (12, CHANNELS, 3, 3)).astype(dtype))
    scale = w.constant(w.random.uniform(0.01, 0.02, shape).astype(np.float32))
    zero = w.constant(w.random.integers(40, 60, shape).astype(dtype))
    [filters] = w.apply("DequantizeLinear", codes, scale, zero, **attributes)
    [wide] = w.apply("Conv", "x", filters, pads=[1] * 4)
    [groups] = w.apply("Reshape", wide, w.constant(np.array([2, 6, 2, SIDE, SIDE])))
    [pooled] = w.apply(reduction, groups, w.constant(np.array([2])), keepdims=0)
    result = rewrite(w.model([pooled], (2, CHANNELS, SIDE, SIDE), opset=21))
    assert "Conv" not in result.operators or reduction == "ReduceMean"  # a mean goes into filters
    assert "DequantizeLinear" not in result.operators
    result.check_outputs(tolerance=1e-6)


OTHERS = {
    "a larger code may become a smaller one": Spelling(slope=-0.5),
    "are an output of the network": Spelling(read_twice=True),
    "not quantised right behind": Spelling(quantised_maps=False),
    "have no single scale in 8 bits": Spelling(data_type=np.uint16),
    "the scales differ within a filter": Spelling(scales_of_channels=True),
}


@pytest.mark.parametrize("reason", OTHERS)
def test_other_layers_stay_and_the_reason_is_told(reason: str) -> None:
    result = rewrite(model(OTHERS[reason]))
    assert QUANTIZED_OP not in result.operators
    assert any(reason in told for told in result.reasons), result.reasons


def test_only_max_and_min_are_pooled_in_codes(tmp_path: Path) -> None:
    given = Network((Layer("reduce_mean", 3, 2),), opset=18).build()
    result = rewrite(quantised(given, tmp_path))
    assert QUANTIZED_OP not in result.operators
    assert any("by max or min, not by mean" in told for told in result.reasons)


# What ONNX Runtime's tool makes of these differs between members of a group, or is not traced:
# several convolutions with a scale each, the negative of the largest negative, TopK of codes.
NOT_FUSED = re.compile(r"several_convolutions|negated|top_k|stack_slices")


@pytest.mark.parametrize("form", FORMATS)
def test_every_spelling_in_8_bits(form: str, tmp_path: Path) -> None:
    spellings = [n for n, s in ALL_SPELLINGS.items() if s.reduction in ("max", "min")]
    assert len(spellings) > 40
    for name in spellings:
        network = Network((Layer(name, 3, 2, before=("leaky_relu",)),), opset=18).build()
        given = quantised(network, tmp_path, form)
        result = rewrite(given)
        if not NOT_FUSED.search(name):
            assert result.fused == 1, f"{name}: {result.reasons}"
        feeds = random_feeds(network, 7)
        session = onnxruntime_session(result.model, log_severity_level=4)
        [expected], [fused] = run_optimised(given, feeds), session.run(None, feeds)
        np.testing.assert_array_equal(fused, expected, err_msg=name)


CODE_TYPES = [
    (QuantType.QUInt8, QuantType.QInt8),
    (QuantType.QUInt8, QuantType.QUInt8),
    (QuantType.QInt8, QuantType.QInt8),
]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(("maps", "filters"), CODE_TYPES, ids=str)
@pytest.mark.parametrize("per_channel", [False, True])
def test_types_and_scales_of_codes(
    form: str, maps: QuantType, filters: QuantType, per_channel: bool, tmp_path: Path
) -> None:
    layers = tuple(
        Layer(name, 5, 2, before=("leaky_relu",)) for name in ("split_max", "reduce_max")
    )
    network = Network(layers, opset=18).build()
    given = quantised(network, tmp_path, form, maps=maps, filters=filters, per_channel=per_channel)
    feeds = random_feeds(network, 7)
    compilation = cc.compile(given, verify_outputs=True)
    assert len(compilation.report.fused) == 2
    assert compilation.report.verification is not None
    assert compilation.report.verification.passed
    [expected], [found] = run_optimised(given, feeds), compilation.run(feeds).values()
    np.testing.assert_array_equal(found, expected)


def test_arena_holds_codes_and_stays_flat(tmp_path: Path) -> None:
    arenas = set()
    for window in (1, 2, 4):
        layers = tuple(Layer("reduce_max", 4, window, before=("relu",)) for _ in range(3))
        given = quantised(Network(layers, opset=18).build(), tmp_path)
        arenas.add(cc.compile(given).plan.arena_bytes)
    assert len(arenas) == 1


def test_bias_in_units_of_another_layer_is_converted() -> None:
    """Layers that share a bias have it in the units of one of them."""
    result = rewrite(model(Spelling(bias_units=3.0)))
    assert result.operators.count(QUANTIZED_OP) == 1
    x = np.random.default_rng(1).standard_normal((1, CHANNELS, SIDE, SIDE), np.float32) * 3
    [expected] = run_onnxruntime(model(Spelling(bias_units=3.0)), {"x": x}).values()
    [found] = run_onnxruntime(result.model, {"x": x}).values()
    assert np.abs(found - expected).max() <= 0.045 * 1.01


def shuffled() -> onnx.ModelProto:
    """Return a model whose convolution of codes has its channels shuffled."""
    write, wide = CodesWriter(), 6
    data = write.requantize("x", write.parameters(0.05, 120))
    values = write.random.integers(-100, 100, (wide, CHANNELS, 3, 3)).astype(np.int8)
    unit = write.constant(np.float32(0.01)), write.constant(np.int8(0))
    [filters] = write.apply("DequantizeLinear", write.constant(values), *unit)
    [tensor] = write.apply("Conv", data, filters, kernel_shape=[3, 3], pads=[1] * 4)
    parameters = write.parameters(0.06, 131)
    tensor = write.requantize(tensor, parameters)
    apart = write.constant(np.array([1, 2, 3, SIDE, SIDE]))
    [tensor] = write.apply("Reshape", tensor, apart)
    [tensor] = write.apply("Transpose", tensor, perm=[0, 2, 1, 3, 4])
    [tensor] = write.apply("Reshape", tensor, write.constant(np.array([1, wide, SIDE, SIDE])))
    y = write.requantize(tensor, parameters)
    return write.model([y], (1, CHANNELS, SIDE, SIDE), opset=21)


def test_shuffle_of_codes_is_folded_into_the_filters() -> None:
    given = shuffled()
    result = rewrite(given)
    assert "Transpose" not in result.operators
    x = np.random.default_rng(1).standard_normal((1, CHANNELS, SIDE, SIDE), np.float32) * 3
    [expected] = run_optimised(given, {"x": x})
    [found] = onnxruntime_session(result.model).run(None, {"x": x})
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("first", ["QuantizeLinear", "ReduceMax"])
def test_a_convolution_of_values_whose_pooled_maps_become_codes(first: str) -> None:
    """Fused up to the quantisation, or not at all; never as one operator that returns codes."""
    write = CodesWriter()
    filters = write.constant(write.random.standard_normal((6, CHANNELS, 3, 3), np.float32))
    [tensor] = write.apply("Conv", "x", filters, pads=[1] * 4)
    [tensor] = write.apply("Reshape", tensor, write.constant(np.array([1, 3, 2, SIDE, SIDE])))
    for op in (first, "ReduceMax" if first == "QuantizeLinear" else "QuantizeLinear"):
        behind = (
            [write.constant(np.array([2]))] if op == "ReduceMax" else write.parameters(0.1, 128)
        )
        [tensor] = write.apply(
            op, tensor, *behind, **({"keepdims": 0} if op == "ReduceMax" else {})
        )
    given = write.model([tensor], (1, CHANNELS, SIDE, SIDE), opset=21)
    given.graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.UINT8
    result = rewrite(given)
    assert result.fused == (first == "ReduceMax")
    x = np.random.default_rng(1).standard_normal((1, CHANNELS, SIDE, SIDE), np.float32)
    [expected] = run_onnxruntime(given, {"x": x}).values()
    [found] = run_onnxruntime(result.model, {"x": x}).values()
    assert np.abs(found.astype(int) - expected).max() <= 1
