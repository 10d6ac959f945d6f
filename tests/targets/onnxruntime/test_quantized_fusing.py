"""Quantized layers are fused when a session is made, and compute the same bytes."""

from dataclasses import dataclass

import numpy as np
import onnx
import pytest
from kit.numerics import run_onnxruntime
from onnx import NodeProto, TensorProto, helper, numpy_helper

from condense_compiler.operators.quantized import QUANTIZED_OP
from condense_compiler.targets.onnxruntime import onnxruntime_session
from condense_compiler.targets.onnxruntime.quantized import fuse_quantized

CHANNELS, OUTPUTS, SIDE = 5, 6, 9


@dataclass(frozen=True)
class Spelling:
    """How a quantized layer is written.

    Attributes:
        split: Split and Max instead of Reshape and ReduceMax.
        activation: Operator between convolution and grouping.
        between: Q and DQ between grouping and maximum.
        max_pool: A spatial max-pooling behind.
        integer_bias: The bias is stored as int32.
        window: Maps that are pooled into one.
        slope: Slope of LeakyRelu; a negative one does not keep order.
        read_twice: Something else reads the wide maps, too.
    """

    split: bool = False
    activation: str = "LeakyRelu"
    between: bool = True
    max_pool: bool = True
    integer_bias: bool = True
    window: int = 2
    slope: float = 0.1
    read_twice: bool = False


class _Writer:
    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.stored: list[TensorProto] = []
        self.random = np.random.default_rng(0)

    def constant(self, values: np.ndarray) -> str:
        name = f"c{len(self.stored)}"
        self.stored.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def apply(self, op: str, *inputs: str, outputs: int = 1, **attributes: object) -> list[str]:
        names = [f"t{len(self.nodes)}_{i}" for i in range(outputs)]
        node = helper.make_node(op, inputs, names, name=f"n{len(self.nodes)}", **attributes)
        self.nodes.append(node)
        return names

    def parameters(self, scale: float, zero: int) -> tuple[str, str]:
        return self.constant(np.float32(scale)), self.constant(np.array(zero, np.uint8))

    def requantize(self, tensor: str, parameters: tuple[str, str]) -> str:
        [quantized] = self.apply("QuantizeLinear", tensor, *parameters)
        return self.apply("DequantizeLinear", quantized, *parameters)[0]


def model(spelling: Spelling) -> onnx.ModelProto:
    write = _Writer()
    wide = OUTPUTS * spelling.window
    scale, filter_scale = 0.05, 0.01
    data = write.requantize("x", write.parameters(scale, 120))
    values = write.random.integers(-100, 100, (wide, CHANNELS, 3, 3)).astype(np.int8)
    unit = write.constant(np.float32(filter_scale)), write.constant(np.int8(0))
    [filters] = write.apply("DequantizeLinear", write.constant(values), *unit)
    bias = write.random.integers(-2000, 2000, wide).astype(np.int32)
    if spelling.integer_bias:
        steps = write.constant(np.float32(scale) * np.float32(filter_scale))
        [added] = write.apply(
            "DequantizeLinear", write.constant(bias), steps, write.constant(np.int32(0))
        )
    else:
        added = write.constant((bias * np.float32(scale * filter_scale)).astype(np.float32))
    [tensor] = write.apply("Conv", data, filters, added, kernel_shape=[3, 3], pads=[1] * 4)
    extra = [tensor] if spelling.read_twice else []
    tensor = write.requantize(tensor, write.parameters(0.06, 131))
    if spelling.activation:
        attributes = {"alpha": spelling.slope} if spelling.activation == "LeakyRelu" else {}
        [tensor] = write.apply(spelling.activation, tensor, **attributes)
    parameters = write.parameters(0.05, 40)
    if spelling.activation:
        tensor = write.requantize(tensor, parameters)
    tensor = _maximum(write, tensor, spelling, parameters)
    last = write.parameters(0.045, 35)
    if spelling.max_pool:
        tensor = write.requantize(tensor, parameters) if spelling.between else tensor
        [tensor] = write.apply("MaxPool", tensor, kernel_shape=[2, 2], strides=[2, 2])
    write.nodes[-1].output[0] = tensor
    y = write.requantize(tensor, last)
    outputs = [y, *extra]
    graph = helper.make_graph(
        write.nodes,
        "quantized",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, CHANNELS, SIDE, SIDE))],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        write.stored,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def _maximum(write: _Writer, tensor: str, spelling: Spelling, parameters: tuple[str, str]) -> str:
    if spelling.split:
        sizes = write.constant(np.full(spelling.window, OUTPUTS))
        parts = write.apply("Split", tensor, sizes, outputs=spelling.window, axis=1)
        if spelling.between and spelling.activation:
            parts = [write.requantize(part, parameters) for part in parts]
        return write.apply("Max", *parts)[0]
    shape = write.constant(np.array([1, OUTPUTS, spelling.window, SIDE, SIDE]))
    [tensor] = write.apply("Reshape", tensor, shape)
    if spelling.between and spelling.activation:
        tensor = write.requantize(tensor, parameters)
    return write.apply("ReduceMax", tensor, write.constant(np.array([2])), keepdims=0)[0]


def fused_count(given: onnx.ModelProto) -> int:
    return sum(node.op_type == QUANTIZED_OP for node in fuse_quantized(given).graph.node)


SPELLINGS = [
    Spelling(),
    Spelling(split=True),
    Spelling(between=False),
    Spelling(split=True, between=False, max_pool=False),
    Spelling(activation="", max_pool=False),
    Spelling(activation="Relu", integer_bias=False, window=3),
    Spelling(split=True, window=4),
]


@pytest.mark.parametrize("spelling", SPELLINGS, ids=str)
def test_layers_are_fused_and_compute_the_same(spelling: Spelling) -> None:
    given = model(spelling)
    assert fused_count(given) == 1
    x = np.random.default_rng(1).standard_normal((1, CHANNELS, SIDE, SIDE), np.float32) * 3
    [expected] = run_onnxruntime(given, {"x": x}).values()
    result = onnxruntime_session(given).run(None, {"x": x})[0]
    # Stock ONNX Runtime without its optimiser sums in floating point: a sum exactly between two
    # steps may be rounded to either.
    step = 0.045
    assert np.abs(result - expected).max() <= step * 1.01
    assert np.mean(result != expected) < 0.01


@pytest.mark.parametrize("spelling", [Spelling(slope=-0.5), Spelling(read_twice=True)], ids=str)
def test_other_layers_stay(spelling: Spelling) -> None:
    given = model(spelling)
    assert fused_count(given) == 0
    assert fuse_quantized(given) is given
