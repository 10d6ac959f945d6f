"""Give averages a scale of their own.

ONNX Runtime's quantisation gives the output of AveragePool the scale of its input. The mean of four
codes then often lies right between two codes, and which one is taken depends on the rounding of
32-bit floating point. A slightly larger scale makes such ties rare.
"""

import numpy as np
import onnx
from onnx import numpy_helper

_WIDER = np.float32(1.0 + 2.0**-7)
_MOVING = ("Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze")


def rescale_averages(model: onnx.ModelProto) -> None:
    """Change the scales behind every AveragePool that has the scale of its input."""
    graph = model.graph
    stored = {tensor.name: tensor for tensor in graph.initializer}
    makers = {name: node for node in graph.node for name in node.output}
    for node in [node for node in graph.node if node.op_type == "AveragePool"]:
        before = makers.get(node.input[0])
        if before is None or before.op_type != "DequantizeLinear":
            continue
        shared, own = before.input[1], f"{node.output[0]}/own_scale"
        values = numpy_helper.to_array(stored[shared]) * _WIDER
        graph.initializer.append(numpy_helper.from_array(values, own))
        _replace_behind(graph, node.output[0], shared, own)


def _replace_behind(graph: onnx.GraphProto, tensor: str, shared: str, own: str) -> None:
    """Replace the scale of a tensor, and of what only moves its values."""
    pending = [tensor]
    while pending:
        name = pending.pop()
        for node in graph.node:
            if name not in node.input[:1]:
                continue
            if node.op_type in ("QuantizeLinear", "DequantizeLinear") and node.input[1] == shared:
                node.input[1] = own
                pending.extend(node.output)
            elif node.op_type in _MOVING:
                pending.extend(node.output)
