"""Random nodes of operators that have kernels of their own, against ONNX Runtime."""

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from kit.random_nodes import CASES, Case
from onnxruntime.capi import onnxruntime_pybind11_state as state

REFUSED = (state.Fail, state.InvalidArgument, state.NotImplemented, state.RuntimeException)


MODULES = "condense_compiler.targets.reference"
LIMITS = {
    "pooling._TEMPORARY_BYTES": 1,
    "resizing._BLOCK_BYTES": 1,
    "softmax._BLOCK": 2,
    "transposed_convolution._PRODUCT_BYTES": 8,
}


@pytest.fixture(params=["in one piece", "in the smallest pieces"])
def pieces(request, monkeypatch):
    """How much is computed at a time; all that the tests draw is small."""
    if request.param == "in the smallest pieces":
        for name, limit in LIMITS.items():
            monkeypatch.setattr(f"{MODULES}.{name}", limit)


@pytest.mark.usefixtures("pieces")
@pytest.mark.parametrize("family", CASES)
@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_kernels_equal_onnxruntime(compare, family, data):
    case: Case = data.draw(CASES[family])
    half = next(iter(case.feeds.values())).dtype == np.float16
    try:
        compare(
            case.node(),
            case.feeds,
            case.given(),
            opset=case.opset,
            tolerance=1e-3 if half else 2e-6,
        )
    except REFUSED:
        assume(False)
