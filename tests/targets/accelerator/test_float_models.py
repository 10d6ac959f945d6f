"""Models in floating point as people export them: opsets, types, names, ends, several maps."""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import numpy as np
import onnx
import pytest
from kit.floating import FLOAT, SAME, constant, conv, filters, model, node, run
from onnx import TensorProto, helper

from condense_compiler.compilation import Compilation
from condense_compiler.driver import compile_model
from condense_compiler.errors import UnsupportedError

DATA = Path(__file__).parents[2] / "data" / "accelerator"
pytestmark = [
    pytest.mark.filterwarnings("ignore:no calibration samples"),
    pytest.mark.filterwarnings("ignore::UserWarning:onnxruntime"),
]

WEIGHTS = filters("w", 8, 3, 3, 3)
# Of the largest value: what 8 bits, and ranges of four random samples, may cost.
TOLERANCE = 0.08


def compiled(given: onnx.ModelProto | Path, *, fallback: bool = False) -> Compilation:
    """Compile; the codes must be those of ONNX Runtime on the quantised model."""
    options = {"allow_fallback": "true"} if fallback else {}
    compilation = compile_model(given, "accelerator", target_options=options)
    assert compilation.report.verification.passed
    return compilation


def feeds_of(given: onnx.ModelProto, seed: int = 5) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    return {
        value.name: random.standard_normal(
            [d.dim_value for d in value.type.tensor_type.shape.dim]
        ).astype(helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type))
        for value in given.graph.input
    }


def assert_close_to_float(given: onnx.ModelProto, *, fallback: bool = False) -> None:
    """Compile, and compare with the model as given."""
    feeds, compilation = feeds_of(given), compiled(given, fallback=fallback)
    expected, found = run(given, feeds), compilation.run(feeds)
    assert list(found) == list(expected)
    for name, values in expected.items():
        assert (found[name].dtype, found[name].shape) == (values.dtype, values.shape)
        difference = np.abs(found[name].astype(np.float64) - values.astype(np.float64))
        assert difference.max() <= TOLERANCE * np.abs(values).max()


def by_opset(opset: int) -> onnx.ModelProto:
    """Return a network whose operators changed most between opsets."""
    nodes, weights = [conv("x", "c")], [WEIGHTS, filters("f", 10, 4)]
    if opset < 11:
        nodes.append(node("Clip", ["c"], ["d"], min=-1.0, max=1.5))
    else:
        nodes.append(node("Clip", ["c", "low", "high"], ["d"]))
        weights += [constant("low", -1.0), constant("high", 1.5)]
    halves = {"split": [4, 4]} if opset < 13 else {}
    inputs = ["d"] if opset < 13 else ["d", "halves"]
    nodes.append(node("Split", inputs, ["l", "r"], axis=1, **halves))
    nodes.append(node("Max", ["l", "r"], ["m"]))
    nodes.append(node("GlobalAveragePool", ["m"], ["g"]))
    axes = {"axes": [2, 3]} if opset < 13 else {}
    nodes.append(node("Squeeze", ["g"] if opset < 13 else ["g", "axes"], ["s"], **axes))
    weights += [constant("axes", [2, 3]), constant("halves", [4, 4])] if opset >= 13 else []
    nodes.append(node("Gemm", ["s", "f"], ["y"], transB=1))
    if opset < 11:  # a bias was not to be left out
        nodes[-1].input.append("b")
        weights.append(constant("b", np.linspace(-1, 1, 10)))
    return model(nodes, weights, opset=opset)


@pytest.mark.parametrize("opset", [7, 8, 9, 10, 11, 12, 13, 17, 18, onnx.defs.onnx_opset_version()])
def test_models_of_every_opset_are_quantised(opset: int) -> None:
    opset = min(opset, 21)  # ONNX Runtime is always behind
    assert_close_to_float(by_opset(opset))


@pytest.mark.parametrize("opset", [11, 17])
def test_half_precision_keeps_its_ends(opset: int) -> None:
    weights = [filters("w", 8, 3, 3, 3, dtype=np.float16)]
    pool = node("MaxPool", ["y"], ["z"], kernel_shape=[2, 2])
    nodes = [conv("x", "c"), node("Relu", ["c"], ["y"]), pool]
    dtype, outputs = TensorProto.FLOAT16, ("y", "z", "x")
    assert_close_to_float(model(nodes, weights, opset=opset, dtype=dtype, outputs=outputs))


def test_double_precision_keeps_its_ends() -> None:
    nodes = [
        node("Cast", ["x"], ["single"], to=FLOAT),
        conv("single", "c"),
        node("Cast", ["c"], ["y"], to=TensorProto.DOUBLE),
    ]
    assert_close_to_float(model(nodes, [WEIGHTS], dtype=TensorProto.DOUBLE))


@pytest.mark.parametrize("count", [2, 3, 5])
@pytest.mark.parametrize("op", ["Max", "Min", "Sum", "Mean"])
def test_several_maps_are_joined(op: str, count: int) -> None:
    parts = [conv("x", f"a{i}", f"w{i}") for i in range(count)]
    weights = [filters(f"w{i}", 8, 3, 3, 3) for i in range(count)]
    joined = node(op, [f"a{i}" for i in range(count)], ["s"])
    behind = conv("s", "y", "v")
    assert_close_to_float(model([*parts, joined, behind], [*weights, filters("v", 4, 8, 3, 3)]))


def test_a_constant_among_several_maps_counts() -> None:
    nodes = [conv("x", "a"), node("Relu", ["a"], ["b"]), node("Max", ["a", "k", "b"], ["y"])]
    given = model(nodes, [WEIGHTS, constant("k", 0.9)])
    assert_close_to_float(given)
    assert compiled(given).run(feeds_of(given))["y"].min() > 0.8


@pytest.mark.parametrize(
    "name", ["a/b", "a b", "é漢", "t0#", "x_quantized", "x_scale", "b1", "c_token_3"]
)
def test_names_never_collide(name: str) -> None:
    nodes = [
        node("Conv", ["x", "w", "b"], [name], name, **SAME),
        node("Conv", [name, "v", "b"], ["c"], "c", **SAME),
        node("Conv", ["c", "v", f"{name}b"], ["y"], "x_QuantizeLinear", **SAME),
    ]
    biases = [filters("b", 8), filters(f"{name}b", 8)]
    assert_close_to_float(model(nodes, [WEIGHTS, filters("v", 8, 8, 3, 3), *biases]))


def test_an_input_that_nothing_reads_is_ignored() -> None:
    size = helper.make_tensor_value_info("size", FLOAT, (1, 2))
    assert_close_to_float(model([conv("x", "y")], [WEIGHTS], more_inputs=[size]))


@pytest.mark.parametrize("outputs", [("y", "x"), ("c", "y", "z")])
def test_ends_that_are_read_inside(outputs: Sequence[str]) -> None:
    nodes = [conv("x", "c"), node("Relu", ["c"], ["y"]), node("Sigmoid", ["c"], ["z"])]
    assert_close_to_float(model(nodes, [WEIGHTS], outputs=outputs))


@pytest.mark.parametrize("op", ["Identity", "Flatten", "GlobalAveragePool", "Relu", "Sigmoid"])
def test_networks_of_one_operator(op: str) -> None:
    assert_close_to_float(model([node(op, ["x"], ["y"])]))


def test_an_input_may_be_clipped_first() -> None:
    limits = [constant("low", -0.5), constant("high", 0.75)]
    nodes = [node("Clip", ["x", "low", "high"], ["d"]), conv("d", "y")]
    assert_close_to_float(model(nodes, [WEIGHTS, *limits]))


@pytest.mark.parametrize("shape", [(1, 3, 1, 1), (1, 3, 17, 5), (1, 3, 9)])
def test_maps_of_any_size(shape: tuple[int, ...]) -> None:
    axes = len(shape) - 2
    layer = node("Conv", ["x", "w"], ["y"], pads=[1] * 2 * axes)
    assert_close_to_float(model([layer], [filters("w", 4, 3, *[3] * axes)], shape))


NOT_ON_THE_ACCELERATOR = {
    "parts of bytes cut in another way": model(
        [
            node("Reshape", ["x", "shape"], ["r"]),
            node("Split", ["r", "parts"], ["s", "t"], axis=1),
            node("Relu", ["t"], ["u"]),
            conv("s", "y"),
        ],
        [constant("shape", [1, 7, 1, 3]), constant("parts", [3, 4]), WEIGHTS],
        (1, 3, 7),
        outputs=("y", "u"),
    ),
    "a batch": model([conv("x", "y")], [WEIGHTS], (2, 3, 8, 8)),
    "results without axes": model(
        [conv("x", "c"), node("ReduceMean", ["c"], ["m"], keepdims=0), node("Relu", ["m"], ["y"])],
        [WEIGHTS],
    ),
    "softmax": model([conv("x", "c"), node("Softmax", ["c"], ["y"], axis=1)], [WEIGHTS], opset=11),
    "several results": model(
        [conv("x", "c"), node("TopK", ["c", "k"], ["y", "i"], axis=1)],
        [WEIGHTS, constant("k", [3])],
    ),
}


@pytest.mark.parametrize("name", NOT_ON_THE_ACCELERATOR)
def test_what_the_accelerator_lacks_is_refused_in_one_line_or_runs_elsewhere(name: str) -> None:
    given = NOT_ON_THE_ACCELERATOR[name]
    with pytest.raises(UnsupportedError, match=r"^node '.*' \(\w+\): .*--allow-fallback") as caught:
        compile_model(given, "accelerator")
    assert "\n" not in str(caught.value)
    compiled(given, fallback=True)


@pytest.mark.parametrize(
    ("attributes", "fallback"),
    [
        ({}, False),
        ({"pads": [1, 0, 1, 1], "count_include_pad": 1}, False),
        ({"strides": [3, 2], "ceil_mode": 1}, True),  # a constant for each pixel
        ({"pads": [1, 2, 2, 1]}, True),
    ],
    ids=str,
)
def test_averages_over_dilated_windows(attributes: dict[str, object], fallback: bool) -> None:
    attributes |= {"kernel_shape": [3, 3], "dilations": [2, 1]}
    nodes = [conv("x", "c"), node("AveragePool", ["c"], ["m"], **attributes), conv("m", "y", "v")]
    weights = [WEIGHTS, filters("v", 4, 8, 3, 3)]
    assert_close_to_float(model(nodes, weights, opset=19), fallback=fallback)


def test_transposed_groups_with_a_bias_are_quantised() -> None:
    transposed = node("ConvTranspose", ["c", "v", "b"], ["t"], group=4)
    nodes = [conv("x", "c"), transposed, node("Sigmoid", ["t"], ["y"])]
    weights = [WEIGHTS, filters("v", 8, 3, 2, 2), filters("b", 12)]
    assert_close_to_float(model(nodes, weights), fallback=True)


@pytest.mark.parametrize("shape", [(1, 5), (), (1, 1), (5,)])
def test_biases_of_any_shape_are_quantised(shape: tuple[int, ...]) -> None:
    nodes = [conv("x", "c"), node("Flatten", ["c"], ["f"]), node("Gemm", ["f", "v", "b"], ["y"])]
    bias = constant("b", np.full(shape, 0.25, np.float32))
    assert_close_to_float(model(nodes, [WEIGHTS, filters("v", 128, 5), bias], (1, 3, 4, 4)))


def test_a_dilated_average_between_codes_is_refused_in_one_line() -> None:
    codes = [constant("s", 0.05), constant("z", 128, np.uint8)]
    nodes = [
        node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        node("DequantizeLinear", ["q", "s", "z"], ["d"]),
        node("AveragePool", ["d"], ["r"], kernel_shape=[2, 2], dilations=[2, 2]),
        node("QuantizeLinear", ["r", "s", "z"], ["p"]),
        node("DequantizeLinear", ["p", "s", "z"], ["y"]),
    ]
    with pytest.raises(UnsupportedError, match=r"node '.*' \(AveragePool\): ") as caught:
        compile_model(model(nodes, codes, opset=19), "accelerator")
    assert "\n" not in str(caught.value)


def test_places_of_the_largest_values_run_elsewhere() -> None:
    nodes = [
        conv("x", "c"),
        node("MaxPool", ["c"], ["v", "i"], "pool", kernel_shape=[2, 2], strides=[2, 2]),
        node("MaxUnpool", ["v", "i"], ["y"], kernel_shape=[2, 2], strides=[2, 2]),
    ]
    given = model(nodes, [WEIGHTS], (1, 3, 8, 8))
    hosted = compiled(given, fallback=True).report.target_facts["fallback"]
    assert [each["op"] for each in hosted] == ["MaxPool", "MaxUnpool"]
    with pytest.raises(UnsupportedError, match="MaxUnpool"):
        compile_model(given, "accelerator")


@pytest.mark.parametrize("name", ["softmax", "a batch"])
def test_operators_are_refused_before_anything_is_calibrated(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_arguments: object) -> None:
        raise AssertionError("calibrated")

    package = "condense_compiler.targets.accelerator.quantisation"
    monkeypatch.setattr(import_module(f"{package}.prepare"), "quantise", never)
    with pytest.raises(UnsupportedError, match="--allow-fallback"):
        compile_model(NOT_ON_THE_ACCELERATOR[name], "accelerator")


@pytest.mark.parametrize(
    ("name", "fallback"),
    [
        ("acc_opset12_conv_gemm", False),
        ("acc_scalar_map", True),
        ("acc_shared_bias_b1", True),
        ("crash_accelerator_stopiteration", False),
        ("wrong_accelerator_qlinearadd_constant", False),
    ],
)
def test_models_that_broke_the_target(name: str, fallback: bool, tmp_path: Path) -> None:
    compilation = compiled(DATA / f"{name}.onnx", fallback=fallback)
    compilation.save(tmp_path / "out")
