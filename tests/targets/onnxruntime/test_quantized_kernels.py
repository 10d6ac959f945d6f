"""The quantized kernel computes what its function body computes, to the bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kit.fused import FusedLayer
from kit.numerics import run_onnxruntime
from kit.quantized import QuantizedLayer, quantized_layers

from condense_compiler.operators.fused import ConvPool
from condense_compiler.operators.window import Window
from condense_compiler.targets.onnxruntime import onnxruntime_session

PATHS = ("avx512", "avx2", "portable")


def compare(layer: QuantizedLayer, threads: int = 1) -> None:
    model, feeds = layer.model(), layer.feeds()
    expected = run_onnxruntime(model, feeds)["y"]
    session = onnxruntime_session(model, intra_op_num_threads=threads, log_severity_level=3)
    result = session.run(["y"], feeds)[0]
    assert result.dtype == expected.dtype
    np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("path", PATHS)
@settings(max_examples=200, deadline=None)
@given(layer=quantized_layers(), threads=st.sampled_from((1, 2)))
def test_any_layer(path: str, layer: QuantizedLayer, threads: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONDENSE_ISA", path)
        compare(layer, threads)


@pytest.mark.parametrize("channels", [3, 64])
def test_a_layer_of_usual_size(channels: int) -> None:
    window = Window((3, 3), (1, 1), (1, 1, 1, 1), (1, 1))
    pool = Window((2, 2), (2, 2), (0, 0, 0, 0), (1, 1))
    recipe = ConvPool(window, 1, "max", 2, spatial=pool)
    compare(QuantizedLayer(FusedLayer(recipe, 1, channels, 64, (56, 56)), table=True), threads=2)


def test_reductions_that_need_other_numbers_are_refused() -> None:
    window = Window((1, 1), (1, 1), (0, 0, 0, 0), (1, 1))
    layer = QuantizedLayer(FusedLayer(ConvPool(window, 1, "mean", 2), 1, 3, 4, (4, 4)))
    model = layer.model()
    del model.functions[:]
    with pytest.raises(Exception, match=r"QLinearConvPool .*pooled by max or min"):
        onnxruntime_session(model, log_severity_level=4)
