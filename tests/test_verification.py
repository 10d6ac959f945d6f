"""What counts as the same output."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from kit.layers import Layer, Network
from kit.numerics import random_feeds
from kit.quantising import quantised

from condense_compiler.verification import original_outputs, verify


@pytest.fixture
def network() -> onnx.ModelProto:
    return Network((Layer("reduce_max", 4, 2, before=("leaky_relu",)),), opset=18).build()


@pytest.mark.parametrize("share", [0.5, 2.0])
def test_a_difference_counts_beyond_the_tolerance(network: onnx.ModelProto, share: float) -> None:
    feeds = random_feeds(network)

    def run(_feeds: object) -> dict[str, np.ndarray]:
        outputs = original_outputs(network, feeds)
        largest = max(np.abs(values).max() for values in outputs.values())
        return {name: v + np.float32(share * 1e-4) * largest for name, v in outputs.items()}

    assert verify(run, network, feeds).passed == (share < 1)


@pytest.mark.parametrize("share", [0.5, 2.0])
def test_codes_may_differ_by_two_steps(
    network: onnx.ModelProto, share: float, tmp_path: Path
) -> None:
    """A sum between two codes is rounded to either, and no runtime agrees with another."""
    given = quantised(network, tmp_path)
    feeds = random_feeds(network)

    def run(_feeds: object) -> dict[str, np.ndarray]:
        outputs = original_outputs(given, feeds)
        largest = max(np.abs(values).max() for values in outputs.values())
        return {name: v + np.float32(share * 1e-2) * largest for name, v in outputs.items()}

    result = verify(run, given, feeds)
    assert result.tolerance == 1e-2
    assert result.passed == (share < 1)


def test_what_the_optimiser_of_onnx_runtime_changes_is_tolerated_twice(tmp_path: Path) -> None:
    layers = tuple(Layer("reduce_max", 16, 2, before=("leaky_relu",)) for _ in range(12))
    given = quantised(Network(layers, opset=18).build(), tmp_path)
    feeds = random_feeds(given)
    expected = original_outputs(given, feeds)
    optimised = original_outputs(given, feeds, optimised=True)
    largest = max(np.abs(values).max() for values in expected.values())
    difference = max(np.abs(optimised[n] - expected[n]).max() for n in expected) / largest
    result = verify(lambda _: optimised, given, feeds)
    assert result.passed
    assert result.tolerance == pytest.approx(max(2 * difference, 1e-2))
