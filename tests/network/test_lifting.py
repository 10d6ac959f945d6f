"""Networks of old opsets, written in opset 13, compute the same."""

import numpy as np
import onnx
import pytest
from kit.codes_writer import CodesWriter
from kit.numerics import random_feeds, run_onnxruntime

from condense_compiler.network import load_network
from condense_compiler.network.lifting import lift

SHAPE = (1, 4, 6, 5)


def lifted(model: onnx.ModelProto) -> list[str]:
    """Lift a network, compare what it computes, and return its operators."""
    network = load_network(model)
    assert lift(network)
    assert network.opset == 13
    feeds = random_feeds(model)
    [expected] = run_onnxruntime(model, feeds).values()
    [found] = run_onnxruntime(network.to_model(), feeds).values()
    np.testing.assert_array_equal(found, expected)
    return [node.op for node in network.graph.nodes]


@pytest.mark.parametrize(
    "scales", [(1, 1, 2, 3), (1, 1, 0.5, 0.6), (1, 1, 2, 0.5), (1, 1, 0.4, 1.5), (1, 1, 1, 1.2)]
)
@pytest.mark.parametrize("opset", [9, 10])
def test_nearest_pixels(scales: tuple[float, ...], opset: int) -> None:
    """Positions are rounded up along axes that shrink, and down along the others."""
    if opset == 9 and min(scales) < 1:
        pytest.skip("Upsample does not shrink")
    w = CodesWriter()
    op = "Resize" if opset == 10 else "Upsample"
    [resized] = w.apply(op, "x", w.constant(np.array(scales, np.float32)), mode="nearest")
    operators = lifted(w.model([resized], SHAPE, opset))
    both = min(scales) < 1 < max(scales)
    assert operators == ["Resize"] * (1 + both)


@pytest.mark.parametrize("opset", [9, 11, 12])
@pytest.mark.parametrize("op", ["Softmax", "LogSoftmax", "Hardmax"])
@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_all_axes_from_one_on(op: str, axis: int, opset: int) -> None:
    if opset < 11 and axis < 0:
        pytest.skip("axes were counted from the front")
    w = CodesWriter()
    assert op in lifted(w.model([w.apply(op, "x", axis=axis)[0]], SHAPE, opset))
