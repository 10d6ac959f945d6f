"""Models that ONNX Runtime's quantiser wrote, in every form, against ONNX Runtime's own results."""

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from kit.codes_writer import CodesWriter
from kit.to_quantise import (
    FLOAT,
    SHAPE,
    Writer,
    channel_gate,
    feeds,
    functions_of_channels,
    over_one_axis,
    padded,
    plain,
    pooled_functions_of_channels,
    pooled_parts,
    quantise,
    residual,
    shape_of,
    stored_groups,
)
from onnx import helper, numpy_helper, shape_inference
from onnxruntime import quantization

from condense_compiler.compilation import Compilation
from condense_compiler.driver import compile_model
from condense_compiler.errors import UnsupportedError
from condense_compiler.targets.accelerator import agreement
from condense_compiler.targets.accelerator.integer.executor import execute
from condense_compiler.targets.accelerator.isa.buffers import BIAS_FRACTION_BITS
from condense_compiler.targets.accelerator.quantisation.on_codes import on_codes
from condense_compiler.targets.accelerator.quantisation.session import run_as_defined

SIGNED, UNSIGNED = quantization.QuantType.QInt8, quantization.QuantType.QUInt8


# Types of feature maps and weights, and whether each filter has a scale; ONNX Runtime has no
# filters without sign that have a zero each.
TYPES = [
    (UNSIGNED, SIGNED, False),
    (UNSIGNED, SIGNED, True),
    (SIGNED, SIGNED, False),
    (SIGNED, SIGNED, True),
    (UNSIGNED, UNSIGNED, False),
]

NETWORKS = (
    *(residual, plain, over_one_axis, channel_gate, stored_groups),
    *(functions_of_channels, padded),
)


@pytest.mark.parametrize("form", ["QDQ", "QOperator"])
@pytest.mark.parametrize(("activations", "weights", "per_channel"), TYPES)
@pytest.mark.parametrize("network", NETWORKS)
def test_outputs_equal_those_of_onnx_runtime(
    tmp_path: Path,
    network: Callable[[], onnx.ModelProto],
    activations: quantization.QuantType,
    weights: quantization.QuantType,
    form: str,
    per_channel: bool,
) -> None:
    path = tmp_path / "quantised.onnx"
    model = network()
    quantise(model, path, (activations, weights), form, per_channel=per_channel)
    compilation = compile_model(path, "accelerator")
    assert compilation.report.verification.passed
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    on_values = form == "QDQ" and activations == SIGNED  # some of the layers, on some processors
    for seed in range(10, 16):
        given = feeds(seed, shape_of(model))
        [expected] = session.run(["y"], given)
        assert_alike(compilation, given, expected, exactly=not on_values)


def assert_alike(
    compilation: Compilation,
    given: Mapping[str, np.ndarray],
    expected: np.ndarray,
    *,
    exactly: bool,
) -> None:
    """Compare with ONNX Runtime: a step in one operator may be a few at the end."""
    found = compilation.run(given)["y"]
    scale = compilation.lowered.network.outputs["y"].map.scale
    steps = np.abs(np.rint((found - expected) / scale))
    assert steps.max() <= (0 if exactly else 6)


def quantised_conv(
    weights: np.ndarray, bias: np.ndarray, scales: tuple[float, float, float], zero: int = 0
) -> onnx.ModelProto:
    """Return DequantizeLinear, Conv, QuantizeLinear around an input that is quantised."""
    source, own, result = (np.float32(scale) for scale in scales)
    dtype = weights.dtype
    constants = {
        "x_scale": source,
        "x_zero": np.uint8(113),
        "w": weights,
        "w_scale": own,
        "w_zero": dtype.type(zero),
        "b": bias.astype(np.int32),
        "b_scale": np.array(source * own, np.float32),
        "y_scale": result,
        "y_zero": np.uint8(127),
    }
    graph = helper.make_graph(
        [
            helper.make_node("QuantizeLinear", ["x", "x_scale", "x_zero"], ["xq"]),
            helper.make_node("DequantizeLinear", ["xq", "x_scale", "x_zero"], ["xd"]),
            helper.make_node("DequantizeLinear", ["w", "w_scale", "w_zero"], ["wd"]),
            helper.make_node("DequantizeLinear", ["b", "b_scale"], ["bd"]),
            helper.make_node("Conv", ["xd", "wd", "bd"], ["c"], "conv"),
            helper.make_node("QuantizeLinear", ["c", "y_scale", "y_zero"], ["yq"]),
            helper.make_node("DequantizeLinear", ["yq", "y_scale", "y_zero"], ["y"]),
        ],
        "net",
        [helper.make_tensor_value_info("x", FLOAT, SHAPE)],
        [helper.make_tensor_value_info("y", FLOAT, None)],
        [numpy_helper.from_array(np.asarray(v), n) for n, v in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


@pytest.mark.parametrize("network", [pooled_parts, stored_groups])
def test_parts_of_concatenations_are_pooled_without_a_unit(network, compiled, feeds_of) -> None:
    program = compiled(network(), machine="small", feature_maps="dram")
    expected = execute(program.fused, feeds_of(program))
    for name, values in program.simulate(feeds_of(program)).outputs.items():
        assert np.array_equal(values, expected[name])
    found = agreement.compare_outputs(program.fused, program.quantised, feeds_of(program))
    assert found.differing == 0


@pytest.mark.parametrize("machine", ["default", "small"])
@pytest.mark.parametrize("feature_maps", ["auto", "dram"])
@pytest.mark.parametrize("network", [functions_of_channels, pooled_functions_of_channels, padded])
def test_functions_of_channels_on_every_machine(
    network, feature_maps, machine, compiled, feeds_of
) -> None:
    program = compiled(network(), machine=machine, feature_maps=feature_maps)
    given = feeds_of(program)
    expected = execute(program.fused, given)
    for name, values in program.simulate(given).outputs.items():
        assert np.array_equal(values, expected[name])
    assert agreement.compare_outputs(program.fused, program.quantised, given).differing == 0


@pytest.mark.parametrize("feature_maps", ["auto", "dram"])
def test_tables_of_more_channels_than_the_weight_buffer_holds(
    tmp_path: Path, feature_maps: str
) -> None:
    path = tmp_path / "quantised.onnx"
    quantise(functions_of_channels(), path, (UNSIGNED, SIGNED), "QDQ", per_channel=True)
    options = {"machine": "small", "feature_maps": feature_maps}
    compilation = compile_model(path, "accelerator", target_options=options)
    program = compilation.lowered
    tables = [o.table.content for o in program.network.operators if o.table is not None]
    assert max(map(len, tables)) > program.code.binary.machine.weight_buffer_bytes // 2
    given = feeds(21)
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    [expected] = session.run(["y"], given)
    assert np.array_equal(program.simulate(given).outputs["y"], expected)


@pytest.mark.parametrize("include", [0, 1])
@pytest.mark.parametrize(
    "window",
    [
        {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]},
        {"kernel_shape": [2, 3], "strides": [1, 2], "pads": [1, 0, 0, 2]},
        {"kernel_shape": [3, 2], "strides": [2, 3], "ceil_mode": 1},
        {"kernel_shape": [4, 4], "strides": [3, 3], "pads": [1, 1, 1, 1], "ceil_mode": 1},
        {"kernel_shape": [2, 2], "strides": [2, 2], "auto_pad": "SAME_UPPER"},
    ],
)
def test_averages_whose_windows_differ_in_size(
    tmp_path: Path, window: Mapping[str, object], include: int
) -> None:
    w = Writer(7)
    wide = w.write("LeakyRelu", w.conv("x", 5, 6, 3), alpha=0.3)
    w.write("AveragePool", wide, output="y", count_include_pad=include, **window)
    model = shape_inference.infer_shapes(w.model(None))
    path = tmp_path / "quantised.onnx"
    quantise(model, path, (UNSIGNED, SIGNED), "QDQ", per_channel=True)
    compilation = compile_model(
        path,
        "accelerator",
        target_options={"feature_maps": "dram"},
        memory_limit_bytes=1200,  # a few rows at a time
    )
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    [expected] = session.run(["y"], feeds(3))
    assert np.array_equal(compilation.run(feeds(3))["y"], expected)


@pytest.mark.parametrize("machine", ["default", "small"])
@pytest.mark.parametrize("members", [2, 3, 4])
def test_averages_of_channels_at_the_scale_of_their_input(members: int, machine: str) -> None:
    """Averages of an even number of codes often lie half way between two codes."""
    w = Writer(6)
    wide = w.write("Unsqueeze", w.conv("x", 5, 12, 3), w.integers(1), output="wide")
    window = [members, 1, 1]
    pooled = w.write("AveragePool", wide, kernel_shape=window, strides=window)
    w.write("Squeeze", pooled, w.integers(1), output="y")
    model = w.model((1, 12 // members, *SHAPE[2:]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # no calibration samples
        program = compile_model(model, "accelerator", target_options={"machine": machine}).lowered
    assert any(operator.pooling for operator in program.fused.operators)
    for seed in range(3):
        found = agreement.compare_outputs(program.fused, program.quantised, feeds(seed))
        assert (found.elements, found.differing) == (12 // members * 13 * 11, 0)


def test_a_bias_of_more_bits_than_a_float_has() -> None:
    generator = np.random.default_rng(8)
    weights = generator.integers(-127, 128, (40, 5, 3, 3)).astype(np.int8)
    bias = generator.integers(-(2**30), 2**30, 40)
    model = quantised_conv(weights, bias, (0.03, 1e-7, 0.025))
    compilation = compile_model(model, "accelerator")
    [operator] = compilation.lowered.network.operators
    assert np.array_equal(operator.bias, bias << BIAS_FRACTION_BITS)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    [expected] = session.run(None, feeds(1))
    assert np.array_equal(compilation.run(feeds(1))["y"], expected)


@pytest.mark.parametrize("zero", [0, 3, 128, 255])
def test_weights_without_sign_keep_their_zero(zero: int) -> None:
    generator = np.random.default_rng(9)
    weights = generator.integers(0, 256, (6, 5, 3, 3)).astype(np.uint8)
    model = quantised_conv(weights, np.arange(6), (0.03, 0.004, 0.2), zero)
    compilation = compile_model(model, "accelerator")
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    [expected] = session.run(None, feeds(2))
    assert np.array_equal(compilation.run(feeds(2))["y"], expected)


@pytest.mark.parametrize("activations", [UNSIGNED, SIGNED])
@pytest.mark.parametrize("network", [residual, channel_gate, functions_of_channels])
@pytest.mark.parametrize(
    "options",
    [
        {"extra_options": {"ActivationSymmetric": True}},
        {"extra_options": {"AddQDQPairToWeight": True}},
        {"extra_options": {"DedicatedQDQPair": True}},
        {"extra_options": {"ForceQuantizeNoInputCheck": True}},
        {"extra_options": {"QDQKeepRemovableActivations": True}},
        {"extra_options": {"QuantizeBias": False}},
        {"extra_options": {"UseQDQContribOps": True}},
        {"extra_options": {"WeightSymmetric": False}},
        {"calibrate_method": quantization.CalibrationMethod.Entropy},
        {"reduce_range": True},
    ],
    ids=str,
)
def test_whatever_the_quantiser_is_told(
    tmp_path: Path, options: Mapping[str, Any], network, activations
) -> None:
    path, model = tmp_path / "quantised.onnx", network()
    quantise(model, path, (activations, SIGNED), "QDQ", per_channel=False, **options)
    compilation = compile_model(path, "accelerator")
    assert compilation.report.verification.passed
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    for seed in range(10, 13):
        given = feeds(seed)
        [expected] = session.run(["y"], given)
        assert_alike(compilation, given, expected, exactly=activations == UNSIGNED)


def test_weights_of_4_bits(tmp_path: Path) -> None:
    path = tmp_path / "quantised.onnx"
    quantise(plain(), path, (UNSIGNED, quantization.QuantType.QInt4), "QDQ", per_channel=False)
    compilation = compile_model(path, "accelerator")
    convolutions = [o for o in compilation.lowered.network.operators if hasattr(o, "weight_bits")]
    assert {operator.weight_bits for operator in convolutions} == {4}
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    [expected] = session.run(["y"], feeds(3))
    assert np.array_equal(compilation.run(feeds(3))["y"], expected)


def test_codes_that_are_clipped_between_quantising_and_dequantising() -> None:
    """Tools for fewer bits than 8 write a Clip of codes there."""
    generator = np.random.default_rng(9)
    weights = generator.integers(-7, 8, (6, 5, 3, 3)).astype(np.int8)
    model = quantised_conv(weights, generator.integers(-90, 90, 6), (0.03, 0.04, 0.05))
    limits = [
        numpy_helper.from_array(np.array(v, np.uint8), n) for n, v in (("l", 120), ("h", 135))
    ]
    model.graph.initializer.extend(limits)
    nodes = list(model.graph.node)
    clip = helper.make_node("Clip", ["yq", "l", "h"], ["yc"], "clip")
    nodes[-1].input[0] = "yc"
    del model.graph.node[:]
    model.graph.node.extend([*nodes[:-1], clip, nodes[-1]])
    compilation = compile_model(model, "accelerator")
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    [expected] = session.run(None, feeds(2))
    assert np.unique(expected).size == 16
    assert np.array_equal(compilation.run(feeds(2))["y"], expected)


def test_other_operators_on_codes_are_refused() -> None:
    weights = np.ones((6, 5, 1, 1), np.int8)
    model = quantised_conv(weights, np.arange(6), (0.03, 0.04, 0.05))
    nodes = list(model.graph.node)
    nodes[-1].input[0] = "larger"
    larger = helper.make_node("Max", ["yq", "y_zero"], ["larger"], "max")
    del model.graph.node[:]
    model.graph.node.extend([*nodes[:-1], larger, nodes[-1]])
    with pytest.raises(UnsupportedError, match=r"node 'max' .*codes 'yq'"):
        compile_model(model, "accelerator")


def test_limits_that_would_differ_between_channels_are_refused() -> None:
    """Sums that are clipped and then scaled for each channel have no common limits."""
    w = CodesWriter()
    values = w.requantize("x", w.parameters(0.05, 100))
    codes = w.constant(w.random.integers(-90, 90, (6, 5, 1, 1)).astype(np.int8))
    [filters] = w.apply("DequantizeLinear", codes, *w.parameters(0.02, 0, np.int8))
    [wide] = w.apply("Conv", values, filters)
    limits = (w.constant(np.float32(limit)) for limit in (-1, 6))
    [clipped] = w.apply("Clip", wide, *limits)
    factors = w.constant(w.random.uniform(0.5, 2, (1, 6, 1, 1)).astype(np.float32))
    [scaled] = w.apply("Mul", clipped, factors)
    model = w.model([w.requantize(scaled, w.parameters(0.05, 20))], (1, 5, 7, 7))
    with pytest.raises(UnsupportedError, match="Mul"):
        compile_model(model, "accelerator")


def test_floats_behind_the_accelerator_add_up_alike(tmp_path: Path) -> None:
    """On arrays with gaps, numpy adds them up in another order."""
    w = Writer(13)
    w.write("ReduceMean", w.conv("x", 5, 40, 3), axes=[2, 3], output="y")
    path = tmp_path / "quantised.onnx"
    quantise(w.model((1, 40, 1, 1)), path, (UNSIGNED, SIGNED), "QDQ", per_channel=True)
    with pytest.raises(UnsupportedError, match=r"node 'node_y' \(ReduceMean\): .*--allow-fallback"):
        compile_model(path, "accelerator")
    compilation = compile_model(path, "accelerator", target_options={"allow_fallback": "true"})
    assert compilation.report.verification.passed
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    [expected] = session.run(["y"], feeds(3))
    assert np.allclose(compilation.run(feeds(3))["y"], expected, rtol=1e-6, atol=1e-6)


def with_constant(model: onnx.ModelProto, name: str, value: np.ndarray) -> onnx.ModelProto:
    """Give a constant of a model another value."""
    [tensor] = [t for t in model.graph.initializer if t.name == name]
    tensor.CopyFrom(numpy_helper.from_array(value, name))
    return model


def test_a_bias_in_other_units_is_what_the_model_says() -> None:
    """ONNX Runtime's optimiser adds the codes of such a bias as if the units were its own."""
    weights = np.random.default_rng(9).integers(-9, 9, (6, 5, 1, 1)).astype(np.int8)
    scales = (0.03, 0.00004, 0.0002)
    model = quantised_conv(weights, np.full(6, 1000), scales)
    model = with_constant(model, "b_scale", np.array(1.7e-6, np.float32))
    compilation = compile_model(model, "accelerator")
    assert compilation.report.verification.passed
    [operator] = compilation.lowered.network.operators
    units = 1000 * 1.7e-6 / (scales[0] * scales[1])
    assert np.allclose(operator.bias / (1 << BIAS_FRACTION_BITS), units, rtol=1e-6)


def with_float_bias(model: onnx.ModelProto, bias: np.ndarray) -> onnx.ModelProto:
    """Give the convolution of a model a bias that is not quantised."""
    [layer] = [node for node in model.graph.node if node.op_type == "Conv"]
    layer.input[2] = "bias"
    model.graph.initializer.append(numpy_helper.from_array(bias.astype(np.float32), "bias"))
    return model


def drawn_conv() -> onnx.ModelProto:
    """Return a convolution with many filters, and sums of few units for a step."""
    generator = np.random.default_rng(9)
    weights = generator.integers(-9, 9, (64, 5, 3, 3)).astype(np.int8)
    return quantised_conv(weights, generator.integers(-90, 90, 64), (0.03, 0.04, 0.013))


def test_a_bias_in_floating_point_is_rounded_as_onnx_runtime_rounds_it() -> None:
    bias = np.random.default_rng(9).normal(0, 0.1, 64)
    model = with_float_bias(drawn_conv(), bias)
    compilation = compile_model(model, "accelerator")
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    [expected] = session.run(None, feeds(2))
    assert np.array_equal(compilation.run(feeds(2))["y"], expected)


def test_a_bias_in_other_units_keeps_its_fraction() -> None:
    """Rounded to whole units of the sums, it moves one code in some dozens."""
    model = with_constant(drawn_conv(), "b_scale", np.array(0.0033713927, np.float32))
    compilation = compile_model(model, "accelerator")
    [operator] = compilation.lowered.network.operators
    assert np.any(operator.bias % (1 << BIAS_FRACTION_BITS))
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    [expected] = session.run(None, feeds(2))
    assert np.array_equal(compilation.run(feeds(2))["y"], expected)


def test_a_bias_beyond_32_bits_is_refused() -> None:
    weights = np.ones((6, 5, 1, 1), np.int8)
    model = quantised_conv(weights, np.full(6, 2**30), (0.03, 0.004, 0.2))
    with pytest.raises(UnsupportedError, match="a bias of more than 32 bits"):
        compile_model(with_float_bias(model, np.full(6, 1e6)), "accelerator")


def test_sums_beyond_32_bits_are_refused() -> None:
    weights = np.full((1, 70_000, 1, 1), 127, np.int8)
    model = quantised_conv(weights, np.zeros(1), (0.03, 0.004, 0.2))
    shape = model.graph.input[0].type.tensor_type.shape
    for dimension, size in zip(shape.dim, (1, 70_000, 1, 1), strict=True):
        dimension.dim_value = size
    with pytest.raises(UnsupportedError, match="sums that take more than 32 bits"):
        compile_model(model, "accelerator")


def test_where_outputs_differ_operators_are_judged_one_by_one(monkeypatch) -> None:
    """One step in one operator may be many at the end."""
    weights = np.random.default_rng(9).integers(-9, 9, (6, 5, 1, 1)).astype(np.int8)
    model = quantised_conv(weights, np.arange(6), (0.03, 0.004, 0.02))
    program = compile_model(model, "accelerator", verify_outputs=False).lowered
    far = agreement.Agreement(elements=100, differing=50, largest_steps=3)
    where = "condense_compiler.targets.accelerator.running"
    monkeypatch.setattr(f"{where}.compare_outputs", lambda *_: far)
    assert program.verify(feeds(0)).passed
    monkeypatch.setattr(f"{where}.compare_operators", lambda *_: far)
    assert not program.verify(feeds(0)).passed


def test_the_reference_does_not_depend_on_the_optimiser(tmp_path: Path) -> None:
    """What results are compared with is written in operators on codes, and not optimised."""
    path, model = tmp_path / "quantised.onnx", residual()
    quantise(model, path, (UNSIGNED, SIGNED), "QDQ", per_channel=True)
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    for seed in range(3):
        [expected] = session.run(["y"], feeds(seed))
        [found] = run_as_defined(on_codes(onnx.load(path)), ["y"], feeds(seed))
        assert np.array_equal(found, expected)
