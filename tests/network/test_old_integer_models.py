"""Models of 8 bits in opsets in which DequantizeLinear has no axis yet, as the model zoo's are."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from kit.agreement import operators
from kit.numerics import random_feeds, run_onnxruntime
from onnx import helper, numpy_helper

import condense_compiler as cc

OF_ONNX_RUNTIME = "com.microsoft"
OPSETS = [10, 11, 12, 13]
STEP = 1.0  # of the codes of a result, which reordered sums may round to either side
TARGETS = ("reference", "onnxruntime")


class Codes:
    """Writes operators on codes."""

    def __init__(self) -> None:
        self.random = np.random.default_rng(8)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, values: Any) -> str:
        """Store values; return their name."""
        name = f"k{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def grid(self, scale: float, zero: int = 128) -> list[str]:
        """Store a scale and a zero point; return their names."""
        return [self.constant(np.float32(scale)), self.constant(np.uint8(zero))]

    def write(self, op: str, inputs: Sequence[str], domain: str = "", **attributes: Any) -> str:
        """Append an operator; return the name of its result."""
        result = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [result], domain=domain, **attributes))
        return result

    def filters(self, channels: int, depth: int, *, per_channel: bool) -> list[str]:
        """Store codes, scale and zero point of filters; return their names."""
        if per_channel:
            codes = self.random.integers(-128, 128, (channels, depth, 3, 3)).astype(np.int8)
            scales = self.random.uniform(0.001, 0.01, channels).astype(np.float32)
            zeros = np.zeros(channels, np.int8)
        else:
            codes = self.random.integers(0, 256, (channels, depth, 3, 3)).astype(np.uint8)
            scales, zeros = np.float32(0.005), np.uint8(120)
        return [self.constant(values) for values in (codes, scales, zeros)]

    def model(self, result: str, opset: int) -> onnx.ModelProto:
        """Return the model."""
        imports = [helper.make_opsetid("", opset), helper.make_opsetid(OF_ONNX_RUNTIME, 1)]
        graph = helper.make_graph(
            self.nodes,
            "codes",
            [helper.make_tensor_value_info("x", 1, (1, 3, 9, 8))],
            [helper.make_tensor_value_info(result, 1, None)],
            self.constants,
        )
        return helper.make_model(graph, opset_imports=imports, ir_version=7)


def residual(opset: int, *, per_channel: bool, domain: str = "") -> onnx.ModelProto:
    """Return two convolutions and their sum, and what ONNX Runtime has for pools and joins."""
    w = Codes()
    small, large, larger = w.grid(0.05), w.grid(0.087), w.grid(0.093, 119)  # no sum is a tie
    data = w.write("QuantizeLinear", ["x", *small])
    pads = {"pads": [1] * 4, "domain": domain}
    bias = w.constant(w.random.integers(-500, 500, 8).astype(np.int32))
    first = w.write(
        "QLinearConv",
        [data, *small, *w.filters(8, 3, per_channel=per_channel), *small, bias],
        **pads,
    )
    second = w.write(
        "QLinearConv", [first, *small, *w.filters(8, 8, per_channel=per_channel), *small], **pads
    )
    total = w.write("QLinearAdd", [second, *small, first, *small, *large], OF_ONNX_RUNTIME)
    pooled = w.write(
        "QLinearAveragePool",
        [total, *large, *larger],
        OF_ONNX_RUNTIME,
        kernel_shape=[2, 2],
        pads=[0, 0, 1, 1],
    )
    joined = w.write(
        "QLinearConcat", [*large, pooled, *larger, total, *large], OF_ONNX_RUNTIME, axis=1
    )
    return w.model(w.write("DequantizeLinear", [joined, *large]), opset)


def product(opset: int, *, per_channel: bool, biased: bool) -> onnx.ModelProto:
    """Return a general matrix product on codes."""
    w = Codes()
    grid = w.grid(0.05)
    data = w.write("QuantizeLinear", ["x", *grid])
    rows = w.write("Reshape", [data, w.constant(np.array([9, 24]))])
    count = (5,) if per_channel else ()
    weights = [
        w.constant(w.random.integers(-128, 128, (5, 24)).astype(np.int8)),
        w.constant(w.random.uniform(0.001, 0.01, count).astype(np.float32)),
        w.constant(np.zeros(count, np.int8)),
    ]
    bias = w.constant(w.random.integers(-900, 900, 5).astype(np.int32)) if biased else ""
    result = w.write("QGemm", [rows, *grid, *weights, bias, *grid], OF_ONNX_RUNTIME, transB=1)
    return w.model(w.write("DequantizeLinear", [result, *grid]), opset)


def check(model: onnx.ModelProto, step: float) -> list[cc.Compilation]:
    """Compare with ONNX Runtime: no code is further away than one step."""
    feeds = random_feeds(model, seed=2)
    [(name, expected)] = run_onnxruntime(model, feeds).items()
    compiled = [cc.compile(model, target, verify_outputs=False) for target in TARGETS]
    for compilation in compiled:
        found = compilation.run(feeds)[name]
        assert np.abs(found - expected).max() <= 1.001 * STEP * step
        assert np.mean(found != expected) < 0.02
    return compiled


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("domain", ["", OF_ONNX_RUNTIME])
def test_convolutions_sums_pools_and_joins(opset: int, per_channel: bool, domain: str) -> None:
    for compilation in check(residual(opset, per_channel=per_channel, domain=domain), 0.087):
        assert compilation.program.network.opset == 13
        values = {"Add", "AveragePool", "Conv"} & set(operators(compilation))
        assert not values, "every operator reads and writes codes"


def test_the_arena_does_not_depend_on_the_opset() -> None:
    sizes = {cc.compile(residual(opset, per_channel=False)).plan.arena_bytes for opset in OPSETS}
    assert len(sizes) == 1


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("biased", [False, True])
def test_matrix_products(opset: int, per_channel: bool, biased: bool) -> None:
    check(product(opset, per_channel=per_channel, biased=biased), 0.05)


@pytest.mark.parametrize("opset", [10, 12])
def test_the_accelerator_takes_them(opset: int) -> None:
    w = Codes()
    grid = w.grid(0.05)
    data = w.write("QuantizeLinear", ["x", *grid])
    filters = w.filters(8, 3, per_channel=False)
    codes = w.write("QLinearConv", [data, *grid, *filters, *grid], pads=[1] * 4)
    model = w.model(w.write("DequantizeLinear", [codes, *grid]), opset)
    report = cc.compile(model, "accelerator").report
    assert report.verification is not None
    assert report.verification.passed


def test_maps_that_grow_and_shrink_are_lifted() -> None:
    """Upsample-9 that grows along one axis and shrinks along another rounds both ways."""
    w = Codes()
    grid = w.grid(0.05)
    values = w.write("DequantizeLinear", [w.write("QuantizeLinear", ["x", *grid]), *grid])
    scales = w.constant(np.array([1, 1, 0.5, 2], np.float32))
    model = w.model(w.write("Resize", [values, scales], mode="nearest"), 10)
    feeds = random_feeds(model)
    compilation = cc.compile(model, "onnxruntime")
    assert compilation.program.network.opset == 13
    [(name, expected)] = run_onnxruntime(model, feeds).items()
    np.testing.assert_array_equal(compilation.run(feeds)[name], expected)
