"""Single layers: convolution and grouped maximum, as plain operators and as a fused one."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from condense_compiler.operators.fused import DOMAIN, OP, ConvPool
from condense_compiler.operators.window import Window

OPSET = 18
IR_VERSION = 10


@dataclass(frozen=True)
class LayerSize:
    """A convolution by 3 by 3 filters whose maps are pooled by `window`.

    Attributes:
        inputs: Input channels.
        outputs: Channels behind the pooling.
        window: Maps that are pooled into one.
        side: Height and width.
    """

    inputs: int
    outputs: int
    window: int
    side: int

    def __str__(self) -> str:
        return f"{self.inputs} → {self.outputs}, k = {self.window}, {self.side}²"


LAYERS = (
    LayerSize(3, 16, 2, 416),
    LayerSize(16, 32, 2, 208),
    LayerSize(64, 64, 2, 56),
    LayerSize(128, 128, 2, 28),
    LayerSize(256, 256, 2, 13),
    LayerSize(64, 64, 4, 56),
)


def plain_layer(size: LayerSize) -> onnx.ModelProto:
    """Return the layer as Conv, Reshape and ReduceMax."""
    grouped = (1, size.outputs, size.window, size.side, size.side)
    nodes = [
        helper.make_node("Conv", ["X", "W", "B"], ["wide"], kernel_shape=[3, 3], pads=[1] * 4),
        helper.make_node("Reshape", ["wide", "grouped"], ["groups"]),
        helper.make_node("ReduceMax", ["groups", "axis"], ["Y"], keepdims=0),
    ]
    constants = {"grouped": np.array(grouped), "axis": np.array([2])}
    return _model(size, nodes, constants, [helper.make_opsetid("", OPSET)])


def fused_layer(size: LayerSize) -> onnx.ModelProto:
    """Return the layer as one operator."""
    recipe = ConvPool(Window((3, 3), (1, 1), (1,) * 4, (1, 1)), 1, "max", size.window)
    node = helper.make_node(OP, ["X", "W", "B"], ["Y"], domain=DOMAIN, **recipe.to_attributes())
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(DOMAIN, 1)]
    return _model(size, [node], {}, opsets)


def _model(
    size: LayerSize,
    nodes: list[onnx.NodeProto],
    constants: dict[str, npt.NDArray[Any]],
    opsets: list[onnx.OperatorSetIdProto],
) -> onnx.ModelProto:
    generator = np.random.default_rng(0)
    wide = size.outputs * size.window
    scale = np.float32((2.0 / size.inputs / 9) ** 0.5)
    weights = {
        "W": generator.standard_normal((wide, size.inputs, 3, 3), np.float32) * scale,
        "B": generator.standard_normal(wide, np.float32),
    }
    stored = [numpy_helper.from_array(v, name) for name, v in (weights | constants).items()]
    shape = (1, size.inputs, size.side, size.side)
    graph = helper.make_graph(
        nodes,
        "layer",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("Y", TensorProto.FLOAT, None)],
        stored,
    )
    return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
