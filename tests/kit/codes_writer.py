"""Writing models whose maps are codes."""

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

Grid = tuple[str, str]  # names of the constants that are scale and zero point


class CodesWriter:
    """Nodes and constants of a model with one input, `x`, in floating point."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.stored: list[TensorProto] = []
        self.random = np.random.default_rng(0)

    def constant(self, values: np.ndarray) -> str:
        """Store a constant."""
        name = f"c{len(self.stored)}"
        self.stored.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def apply(self, op: str, *inputs: str, outputs: int = 1, **attributes: object) -> list[str]:
        """Append a node; return the names of its results."""
        names = [f"t{len(self.nodes)}_{i}" for i in range(outputs)]
        node = helper.make_node(op, inputs, names, name=f"n{len(self.nodes)}", **attributes)
        self.nodes.append(node)
        return names

    def parameters(self, scale: float, zero: int, dtype: type[np.generic] = np.uint8) -> Grid:
        """Store scale and zero point."""
        return self.constant(np.float32(scale)), self.constant(np.array(zero, dtype))

    def requantize(self, tensor: str, parameters: Grid) -> str:
        """Round a tensor to codes, and return their values."""
        [quantized] = self.apply("QuantizeLinear", tensor, *parameters)
        return self.apply("DequantizeLinear", quantized, *parameters)[0]

    def model(self, outputs: list[str], shape: tuple[int, ...], opset: int = 17) -> onnx.ModelProto:
        """Return the model."""
        graph = helper.make_graph(
            self.nodes,
            "quantized",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
            self.stored,
        )
        return helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10
        )
