"""Scales of feature maps: rounded up, so that last bits of calibration make no difference."""

from importlib import import_module

import numpy as np
import pytest
from kit.floating import SAME, conv, filters, model, node
from onnx import numpy_helper

from condense_compiler.targets import find_target
from condense_compiler.targets.accelerator.quantisation import static

pytestmark = pytest.mark.filterwarnings("ignore:no calibration samples")


def quantised(monkeypatch: pytest.MonkeyPatch, factor: float) -> list[np.ndarray]:
    """Quantise with samples that are a little larger, and return all constants."""
    nodes = [
        conv("x", "c"),
        node("Sigmoid", ["c"], ["s"]),
        node("Conv", ["s", "v", "b"], ["y"], **SAME),
    ]
    weights = [filters("w", 8, 3, 3, 3), filters("v", 4, 8, 3, 3), filters("b", 4)]
    inner = static.quantise  # what it is called by is replaced

    def scaled(network, samples):
        return inner(network, [{n: v * np.float32(factor) for n, v in s.items()} for s in samples])

    package = "condense_compiler.targets.accelerator.quantisation"
    monkeypatch.setattr(import_module(f"{package}.prepare"), "quantise", scaled)
    prepared = find_target("accelerator").prepare(model(nodes, weights), {}, [])
    return [numpy_helper.to_array(tensor) for tensor in prepared.model.graph.initializer]


def test_last_bits_of_the_samples_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    exact, other = (quantised(monkeypatch, factor) for factor in (1.0, 1 + 2.0**-22))
    assert all(np.array_equal(a, b) for a, b in zip(exact, other, strict=True))
    scales = [values for values in exact if values.dtype == np.float32 and values.ndim == 0]
    fractions = np.frexp(scales)[0] * 256
    assert np.array_equal(fractions, np.rint(fractions))
