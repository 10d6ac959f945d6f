"""Networks whose outputs are codes, or hold the same values under several names."""

import numpy as np
import onnx
import pytest
from kit.floating import constant, model, node, run
from onnx import TensorProto

from condense_compiler.driver import compile_model
from condense_compiler.errors import UnsupportedError

SCALE, ZERO = 0.05, 131
CODES = [constant("s", SCALE), constant("z", ZERO, np.uint8)]
QUANTISED = [
    node("QuantizeLinear", ["x", "s", "z"], ["p"]),
    node("DequantizeLinear", ["p", "s", "z"], ["d"]),
    node("MaxPool", ["d"], ["c"], kernel_shape=[2, 2]),
    node("QuantizeLinear", ["c", "s", "z"], ["q"], "codes"),
]


def _run(given: onnx.ModelProto, **options: str) -> None:
    feeds = {"x": np.random.default_rng(3).standard_normal((1, 3, 13, 11)).astype(np.float32)}
    compilation = compile_model(given, "accelerator", target_options=options)
    assert compilation.report.verification.passed
    found, expected = compilation.run(feeds), run(given, feeds)
    assert list(found) == list(expected)
    for name, values in expected.items():
        assert (found[name].dtype, found[name].shape) == (values.dtype, values.shape)
        step = 1 if values.dtype.kind == "u" else SCALE
        assert np.abs(found[name].astype(float) - values).max() <= 1.01 * step


@pytest.mark.parametrize("moved", [False, True])
def test_codes_are_an_output(moved: bool) -> None:
    nodes = [*QUANTISED, node("Transpose", ["q"], ["t"], perm=[0, 2, 3, 1])]
    given = model(nodes, CODES, outputs=["t" if moved else "q"], dtype=TensorProto.UINT8)
    given.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT
    _run(given, allow_fallback="true")
    with pytest.raises(UnsupportedError, match="--allow-fallback"):
        compile_model(given, "accelerator")


def test_two_outputs_hold_the_same() -> None:
    nodes = [
        *QUANTISED,
        node("DequantizeLinear", ["q", "s", "z"], ["y"]),
        node("QuantizeLinear", ["y", "s", "z"], ["r"]),
        node("DequantizeLinear", ["r", "s", "z"], ["v"]),
        node("DequantizeLinear", ["q", "s", "z"], ["u"]),
    ]
    _run(model(nodes, CODES, outputs=["v", "y", "u"]))
