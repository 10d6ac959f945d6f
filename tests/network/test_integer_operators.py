"""Operators on codes are read as standard ones, and compute the same."""

from pathlib import Path

import numpy as np
import pytest
from kit.layers import Layer, Network
from kit.numerics import random_feeds
from kit.quantising import quantised, run_optimised
from onnx import TensorProto, helper, numpy_helper

from condense_compiler.network import load_network


@pytest.mark.parametrize("form", ["qdq", "qlinear"])
def test_quantised_model_of_onnx_runtime_is_read_in_standard_operators(
    form: str, tmp_path: Path
) -> None:
    """Its operators on codes stand in its own domain, which no other tool knows."""
    layer = Layer("reduce_max", 4, 2, before=("leaky_relu", "sigmoid"))
    given = quantised(Network((layer, layer), opset=18).build(), tmp_path, form)
    network = load_network(given)
    assert {node.domain for node in network.graph.nodes} <= {None, "", "ai.onnx"}
    feeds = random_feeds(given)
    [expected], [found] = run_optimised(given, feeds), run_optimised(network.to_model(), feeds)
    np.testing.assert_array_equal(found, expected)


def test_quantised_matrix_product_is_read_in_standard_operators() -> None:
    generator = np.random.default_rng(0)
    constants = {
        "a_scale": np.float32(0.02),
        "a_zero": np.uint8(100),
        "b": generator.integers(-128, 128, (5, 7)).astype(np.int8),
        "b_scale": generator.uniform(0.001, 0.01, 5).astype(np.float32),
        "b_zero": np.zeros(5, np.int8),
        "c": generator.integers(-900, 900, 5).astype(np.int32),
        "y_scale": np.float32(0.01),
        "y_zero": np.uint8(99),
    }
    node = helper.make_node("QGemm", ["a", *constants], ["y"], domain="com.microsoft", transB=1)
    model = helper.make_model(
        helper.make_graph(
            [node],
            "product",
            [helper.make_tensor_value_info("a", TensorProto.UINT8, (3, 7))],
            [helper.make_tensor_value_info("y", TensorProto.UINT8, (3, 5))],
            [numpy_helper.from_array(np.asarray(v), name) for name, v in constants.items()],
        ),
        opset_imports=[helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)],
        ir_version=10,
    )
    feeds = {"a": generator.integers(0, 256, (3, 7)).astype(np.uint8)}
    [expected] = run_optimised(model, feeds)
    [found] = run_optimised(load_network(model).to_model(), feeds)
    np.testing.assert_array_equal(found, expected)
