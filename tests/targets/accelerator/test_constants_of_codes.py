"""Maps joined with constants that ONNX Runtime holds as codes: codes equal its own."""

from pathlib import Path

import numpy as np
import pytest
from kit.floating import SHAPE, constant, conv, filters, model, node, run
from onnxruntime import quantization

from condense_compiler.driver import compile_model

pytestmark = [
    pytest.mark.filterwarnings("ignore:no calibration samples"),
    pytest.mark.filterwarnings("ignore::UserWarning:onnxruntime"),
]

WEIGHTS = [filters("w", 8, 3, 3, 3), filters("v", 4, 8, 3, 3)]
CONSTANTS = {
    "one": constant("k", 0.7),
    "negative": constant("k", -1.3),
    "by channel": constant("k", np.linspace(-1, 2, 8).reshape(1, 8, 1, 1)),
}


def _equals_onnx_runtime(given) -> None:
    compilation = compile_model(given, "accelerator")
    assert compilation.report.verification.relative_difference == 0
    quantised = compilation.lowered.quantised
    for seed in range(3):
        x = np.random.default_rng(seed).standard_normal(SHAPE).astype(np.float32)
        expected = run(quantised, {"x": x}, optimised=True)["y"]
        assert np.array_equal(compilation.run({"x": x})["y"], expected)


def _gelu(source: str, result: str, order: str) -> list:
    """Return an exact GELU as exporters write it; `order` is that of its products."""
    d, e, a, m = (f"{result}_{part}" for part in "deam")
    first, last = {
        "x f, half": ([source, a], [m, "half"]),
        "f half, x": ([a, "half"], [source, m]),
        "half x, f": (["half", source], [m, a]),
    }[order]
    return [
        node("Div", [source, "root"], [d]),
        node("Erf", [d], [e]),
        node("Add", ["one", e], [a]),
        node("Mul", first, [m]),
        node("Mul", last, [result]),
    ]


@pytest.mark.parametrize("opset", [11, 17])
@pytest.mark.parametrize("order", ["x f, half", "f half, x", "half x, f"])
def test_an_exact_gelu_written_out(order: str, opset: int) -> None:
    constants = [constant("root", 2**0.5), constant("one", 1.0), constant("half", 0.5)]
    nodes = [conv("x", "c"), *_gelu("c", "g", order), conv("g", "y", "v")]
    _equals_onnx_runtime(model(nodes, [*WEIGHTS, *constants], opset=opset))


@pytest.mark.parametrize("inputs", [["c", "k"], ["k", "c"]])
@pytest.mark.parametrize("name", CONSTANTS)
@pytest.mark.parametrize("op", ["Add", "Mul"])
def test_models_in_floating_point(op: str, name: str, inputs: list[str]) -> None:
    nodes = [conv("x", "c"), node(op, inputs, ["d"]), conv("d", "y", "v")]
    _equals_onnx_runtime(model(nodes, [*WEIGHTS, CONSTANTS[name]]))


@pytest.mark.parametrize("form", ["QDQ", "QOperator"])
@pytest.mark.parametrize("types", ["QUInt8", "QInt8"])
@pytest.mark.parametrize("inputs", [["c", "k"], ["k", "c"]])
@pytest.mark.parametrize("name", CONSTANTS)
@pytest.mark.parametrize("op", ["Add", "Mul"])
def test_models_that_are_quantised(
    tmp_path: Path, op: str, name: str, inputs: list[str], types: str, form: str
) -> None:
    class Reader(quantization.CalibrationDataReader):
        def __init__(self) -> None:
            random = np.random.default_rng(1)
            values = [random.standard_normal(SHAPE).astype(np.float32) for _ in range(2)]
            self.left = iter([{"x": each} for each in values])

        def get_next(self):
            return next(self.left, None)

    nodes = [conv("x", "c"), node(op, inputs, ["d"], "join"), conv("d", "y", "v")]
    path = tmp_path / "quantised.onnx"
    quantization.quantize_static(
        model(nodes, [*WEIGHTS, CONSTANTS[name]]),
        path,
        Reader(),
        quant_format=quantization.QuantFormat[form],
        activation_type=quantization.QuantType[types],
        weight_type=quantization.QuantType.QInt8,
    )
    compilation = compile_model(path, "accelerator")
    assert compilation.report.verification.relative_difference == 0
